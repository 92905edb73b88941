//! Malformed input gets a KMIP error or a clean close, and nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;

use kmip_net::{ClientSettings, ReloadableTls, TlsSettings};
use kmip_protocol::message::ResponseMessage;
use kmip_ttlv::{Limits, SecretBuffer, Tag, Writer};

use crate::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_are_answered_and_harm_nobody() {
    let system = System::start();
    let acme = system.application("acme");
    let key = acme.create("unharmed").await.unwrap();
    for (what, message) in malformed_messages() {
        let mut hostile = raw_client(&system).open().await.unwrap();
        if hostile.send(message).await.is_ok()
            && let Ok(answer) = hostile.receive().await
        {
            let answer = ResponseMessage::read(&answer, Limits::default());
            let answer = answer.unwrap_or_else(|error| panic!("{what}: the answer is malformed: {error}"));
            assert!(answer.items.iter().all(|item| item.result_reason.is_some()), "{what}: {answer:?}");
            assert!(answer.items.iter().all(|item| item.result_message.is_some()), "{what}: {answer:?}");
        }
        assert!(acme.get(&key).await.is_ok(), "after {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_before_tls_ends_that_connection_only() {
    let system = System::start();
    let acme = system.application("acme");
    let key = acme.create("unharmed").await.unwrap();
    let address = system.gateway.as_ref().unwrap().address;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[0xff; 4096], &[0x16, 0x03, 0x01, 0xff, 0xff]]
    {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(garbage).unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // An alert or nothing, and the end.
        let _ = connection.read_to_end(&mut answer);
        assert!(answer.len() < 64);
        assert!(acme.get(&key).await.is_ok());
    }
}

fn raw_client(system: &System) -> kmip_net::Client {
    let pki = system.run().join("pki");
    let tls = TlsSettings {
        certificate: pki.join("clients/acme.pem"),
        key: pki.join("clients/acme.key"),
        authority: pki.join("ca.pem"),
        revocation_lists: Vec::new(),
    };
    let address = system.gateway.as_ref().unwrap().address.to_string();
    kmip_net::Client::new(ClientSettings::new(address), ReloadableTls::client(tls).unwrap()).unwrap()
}

fn malformed_messages() -> Vec<(&'static str, SecretBuffer)> {
    let message = |bytes: &[u8]| {
        let mut buffer = SecretBuffer::with_capacity(bytes.len());
        buffer.extend_from_slice(bytes);
        buffer
    };
    vec![
        ("an empty request", message(&[0x42, 0x00, 0x78, 0x01, 0, 0, 0, 0])),
        ("a response", message(&[0x42, 0x00, 0x7b, 0x01, 0, 0, 0, 0])),
        ("a declared length of 2 GiB", message(&[0x42, 0x00, 0x78, 0x01, 0x7f, 0xff, 0xff, 0xf8])),
        ("an odd length", message(&[0x42, 0x00, 0x78, 0x01, 0, 0, 0, 3, 1, 2, 3])),
        ("a wrong type", message(&[0x42, 0x00, 0x78, 0x07, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])),
        (
            "an item that ends outside its structure",
            message(&[0x42, 0x00, 0x78, 0x01, 0, 0, 0, 8, 0x42, 0x00, 0x77, 0x01, 0, 0, 0, 0xf8]),
        ),
        ("deep nesting", nested(5_000)),
        ("text on the binary port", message(b"<RequestMessage></RequestMessage>")),
    ]
}

fn nested(depth: usize) -> SecretBuffer {
    let mut items = Vec::new();
    for level in (0..depth).rev() {
        let length = u32::try_from(level * 8).unwrap();
        let at = depth - 1 - level;
        items.resize((at + 1) * 8, 0);
        items[at * 8..at * 8 + 4].copy_from_slice(&[0x42, 0x00, 0x79, 0x01]);
        items[at * 8 + 4..at * 8 + 8].copy_from_slice(&length.to_be_bytes());
    }
    let mut writer = Writer::new();
    writer.structure(Tag::new(0x42_0078), |writer| writer.raw(&items));
    writer.finish()
}
