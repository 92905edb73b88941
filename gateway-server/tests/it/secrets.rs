//! Where secrets are not: the Gateway's memory and store hold no root key, its store no plaintext of a key.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use core_server::offline;
use key_service::port::{Entropy, SystemEntropy};
use memchr::memmem;

use crate::application::Application;
use crate::memory::Image;
use crate::operator::Operator;
use crate::system::{Server, System};

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_holds_no_root_key_and_stores_no_plaintext() {
    let mut system = System::provision();
    plain_pages(&system);
    system.start_both();
    let acme = system.application("acme");
    let key = acme.create("searched").await.unwrap();
    let data_key = acme.get(&key).await.unwrap();

    // The search finds what is there: the opened key in the Gateway, root keys in the Core.
    let gateway = system.gateway.as_ref().unwrap().process();
    let core = system.core.as_ref().unwrap().process();
    let (core_image, gateway_image) = (Image::of(core), Image::of(gateway));
    assert!(gateway_image.holds(data_key.expose()), "the search does not find a key that is there");

    system.gateway.take().unwrap().stop();
    system.core.take().unwrap().stop();
    let config = core_server::Config::read(&system.run().join("core.toml")).unwrap();
    let root_keys = offline::keys(&config).await.unwrap();
    assert!(root_keys.len() >= 2, "acme has an L2 and an L3");
    assert!(
        root_keys.iter().any(|root_key| core_image.holds(&root_key.bytes)),
        "the search does not find the Core's own keys"
    );
    let store = read_all(&system.run().join("gateway"));
    for root_key in &root_keys {
        assert!(!gateway_image.holds(&root_key.bytes), "an L2 or L3 is in the Gateway's memory");
        assert!(!contains(&store, &root_key.bytes), "an L2 or L3 is in the Gateway's store");
    }
    assert!(store.len() > 1000, "the store is somewhere else");
    assert!(!contains(&store, data_key.expose()), "the plaintext of a key is in the Gateway's store");
}

/// Two Gateways and the Core, each with connections that stay open and have carried keys in both directions.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_revoke_no_key_of_the_tenant_is_in_memory() {
    let mut system = System::provision();
    plain_pages(&system);
    let config = core_server::Config::read(&system.run().join("core.toml")).unwrap();
    let mut root_keys = offline::keys(&config).await.unwrap();
    root_keys.retain(|root_key| &*root_key.tenant == "acme");
    assert!(root_keys.len() >= 2, "acme has an L2 and an L3");
    system.core = Some(system.start_server("core"));
    let gateways = [system.start_another_gateway(0), system.start_another_gateway(1)];
    let pki = system.run().join("pki");
    let applications = gateways.each_ref().map(|gateway| Application::new(gateway.address, &pki, "acme"));
    let bystander = Application::new(gateways[0].address, &pki, "globex");
    let kept = bystander.create("kept").await.unwrap();
    let of_bystander = bystander.get(&kept).await.unwrap();
    let mut data_keys: Vec<Vec<u8>> = Vec::new();
    for application in &applications {
        for round in 0..8 {
            data_keys.push(use_all_ways(application, round).await);
        }
    }

    let processes: Vec<u32> = gateways.iter().chain(&system.core).map(Server::process).collect();
    let before: Vec<Image> = processes.iter().map(|process| Image::of(*process)).collect();
    for root_key in &root_keys {
        assert!(before[2].holds(&root_key.bytes), "the search does not find an L2 or L3 that is there");
    }
    for (number, data_key) in data_keys.iter().enumerate() {
        assert!(before[number / 8].holds(data_key), "the search does not find an L4 that is there");
    }

    let operator = Operator::new(&system);
    operator.revoke(&operator.root("acme").await).await.unwrap();

    let after: Vec<Image> = processes.iter().map(|process| Image::of(*process)).collect();
    let mut found = Vec::new();
    for (image, process) in after.iter().zip(["gateway 0", "gateway 1", "core"]) {
        for (level, key) in root_keys
            .iter()
            .map(|key| ("L2 or L3", &key.bytes[..]))
            .chain(data_keys.iter().map(|key| ("L4", &key[..])))
        {
            // Half of a key is as bad: it would have been read from a register, say.
            for half in key.chunks(16) {
                found.extend(
                    image.places(half).into_iter().map(|place| format!("{level} of {process}: {place}")),
                );
            }
        }
    }
    assert!(found.is_empty(), "{} keys are left after the Revoke:\n{}", found.len(), found.join("\n"));
    assert!(after[0].holds(of_bystander.expose()), "the keys of another tenant were wiped, too");
    assert!(bystander.get(&kept).await.is_ok());
    for application in &applications {
        application.create("late").await.unwrap_err();
    }
}

/// Has a key made or stored, used and returned in the ways that an application has; returns its bytes.
async fn use_all_ways(application: &Application, round: usize) -> Vec<u8> {
    let key = match round % 2 {
        0 => application.create(&format!("created-{round}")).await.unwrap(),
        _ => application.register(&format!("registered-{round}"), &random_key()).await.unwrap(),
    };
    application.activate(&key).await.unwrap();
    for _ in 0..4 {
        application.encrypt(&key, &[7; 64]).await.unwrap();
        application.decrypt(&key, &[7; 64]).await.unwrap();
    }
    application.begin_encryption(&key, &[7; 64]).await.unwrap();
    application.get(&key).await.unwrap().expose().to_vec()
}

fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    SystemEntropy::new().fill(&mut key).unwrap();
    key
}

/// No core file can be made of either server: its limit is zero and it is not dumpable, so that what the kernel is asked for in
/// a crash is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_no_core_file() {
    let mut system = System::start();
    system.application("acme").create("dumped").await.unwrap();
    for server in [system.gateway.take().unwrap(), system.core.take().unwrap()] {
        let limits = fs::read_to_string(format!("/proc/{}/limits", server.process())).unwrap();
        let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(limit.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{limit}");
        let ended = server.abort();
        assert_eq!(ended.signal(), Some(6));
        assert!(!ended.core_dumped(), "a core file was written");
    }
}

/// Secret pages cannot be read from outside, so that a search there would prove nothing.
fn plain_pages(system: &System) {
    let gateway = system.run().join("gateway.toml");
    let text = fs::read_to_string(&gateway).unwrap();
    fs::write(&gateway, format!("{text}\n[cache]\nmemory = \"locked\"\n")).unwrap();
    let core = system.run().join("core.toml");
    let text = fs::read_to_string(&core).unwrap();
    fs::write(&core, format!("{text}\n[memory]\nkind = \"locked\"\n")).unwrap();
}

fn read_all(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            bytes.extend(read_all(&entry.path()));
        } else {
            bytes.extend(fs::read(entry.path()).unwrap());
        }
    }
    bytes
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memmem::find(haystack, needle).is_some()
}
