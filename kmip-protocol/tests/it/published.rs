//! Every message of the published test cases is read into its typed form, and written again to the same items.

use bytes::Bytes;
use kmip_protocol::message::{RequestBatchItem, RequestMessage, ResponseMessage};
use kmip_protocol::operation::Operation;
use kmip_protocol::tag;
use kmip_ttlv::{Error, Limits, Writer};

use crate::tree::Item;
use crate::vectors;

const LIMITS: Limits = Limits::DEFAULT;

fn written_request(ttlv: &Bytes) -> Result<Bytes, Error> {
    let message = RequestMessage::read(ttlv, LIMITS).map_err(|error| error.error)?;
    let version = message.header.protocol_version;
    let decode = |item: &RequestBatchItem| {
        let operation = Operation::from_value(item.operation).expect("the operation is in the table");
        item.decode(operation, LIMITS, version).expect("the operation has payloads")
    };
    let payloads = message.items.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    Ok(RequestMessage::write(&message.header, &payloads).into_bytes())
}

fn written_response(ttlv: &Bytes) -> Result<Bytes, Error> {
    let mut writer = Writer::new();
    ResponseMessage::read(ttlv, LIMITS)?.write(&mut writer);
    Ok(writer.finish().into_bytes())
}

/// An item of the original that the written message lacks, or has another value of.
type Rule = (&'static str, fn(&Item) -> bool);

/// The only differences there may be; each is needed by some message.
const RULES_OF_REQUESTS: &[Rule] = &[
    ("Attribute Index 0 goes without saying", |item| item.tag == tag::ATTRIBUTE_INDEX && item.word() == 0),
    ("a client numbers the items of a batch by itself", |item| item.tag == tag::UNIQUE_BATCH_ITEM_ID),
];
const RULES_OF_RESPONSES: &[Rule] =
    &[("Attribute Index 0 goes without saying", |item| item.tag == tag::ATTRIBUTE_INDEX && item.word() == 0)];

/// Requests that are not well-formed as printed: an Attribute without Attribute Name.
const MISPRINTED: [&str; 2] = ["CS-AC-M-3-12.xml RequestMessage 1", "CS-AC-M-8-12.xml RequestMessage 1"];

#[test]
fn every_message_is_written_as_it_was_read() {
    let Some(messages) = vectors::messages() else { return };
    let mut failures = Vec::new();
    for message in &messages {
        let written =
            if message.is_request { written_request(&message.ttlv) } else { written_response(&message.ttlv) };
        let is_misprinted = MISPRINTED.iter().any(|misprinted| message.name.ends_with(misprinted));
        let Ok(written) = written else {
            if !is_misprinted {
                failures.push(format!("{}: {}", message.name, written.unwrap_err()));
            }
            continue;
        };
        assert!(!is_misprinted, "{} can be read", message.name);
        let rules = if message.is_request { RULES_OF_REQUESTS } else { RULES_OF_RESPONSES };
        let normal = |source: &Bytes| {
            Item::decode(source).without(&|item| rules.iter().any(|(_, applies)| applies(item)))
        };
        if let Some(difference) = normal(&message.ttlv).difference(&normal(&written)) {
            failures.push(format!("{}\n{difference}", message.name));
        }
    }
    eprintln!("{} messages", messages.len());
    assert!(failures.is_empty(), "{} messages:\n{}", failures.len(), failures.join("\n\n"));
}
