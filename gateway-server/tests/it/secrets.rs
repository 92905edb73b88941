//! Where secrets are not: the Gateway's memory and store hold no root key, its store no plaintext of a key.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use core_server::offline;

use crate::operator::Operator;
use crate::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_holds_no_root_key_and_stores_no_plaintext() {
    let mut system = System::provision();
    plain_pages(&system);
    system.core = Some(system.start_server("core"));
    system.gateway = Some(system.start_server("gateway"));
    let acme = system.application("acme");
    let key = acme.create("searched").await.unwrap();
    let data_key = acme.get(&key).await.unwrap();

    // The search finds what is there: the opened key in the Gateway, root keys in the Core.
    let gateway = system.gateway.as_ref().unwrap().process();
    let core = system.core.as_ref().unwrap().process();
    assert!(is_in_memory(gateway, data_key.expose()), "the search does not find a key that is there");
    let core_image = memory_image(core);
    let gateway_image = memory_image(gateway);

    system.gateway.take().unwrap().stop();
    system.core.take().unwrap().stop();
    let config = core_server::Config::read(&system.run().join("core.toml")).unwrap();
    let root_keys = offline::keys(&config).await.unwrap();
    assert!(root_keys.len() >= 2, "acme has an L2 and an L3");
    assert!(
        root_keys.iter().any(|root_key| contains(&core_image, &root_key.bytes)),
        "the search does not find the Core's own keys"
    );
    let store = read_all(&system.run().join("gateway"));
    for root_key in &root_keys {
        assert!(!contains(&gateway_image, &root_key.bytes), "an L2 or L3 is in the Gateway's memory");
        assert!(!contains(&store, &root_key.bytes), "an L2 or L3 is in the Gateway's store");
    }
    assert!(store.len() > 1000, "the store is somewhere else");
    assert!(!contains(&store, data_key.expose()), "the plaintext of a key is in the Gateway's store");
}

/// A data key may linger in buffers of TLS on connections that are still open: docs/SECURITY.md says so, and nothing is claimed
/// about data keys here.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_revoke_no_root_key_is_in_memory() {
    let mut system = System::provision();
    plain_pages(&system);
    let config = core_server::Config::read(&system.run().join("core.toml")).unwrap();
    let mut root_keys = offline::keys(&config).await.unwrap();
    root_keys.retain(|root_key| &*root_key.tenant == "acme");
    system.core = Some(system.start_server("core"));
    system.gateway = Some(system.start_server("gateway"));
    let acme = system.application("acme");
    let key = acme.create("revoked").await.unwrap();
    let data_key = acme.get(&key).await.unwrap().expose().to_vec();
    let (gateway, core) =
        (system.gateway.as_ref().unwrap().process(), system.core.as_ref().unwrap().process());
    assert!(is_in_memory(gateway, &data_key), "the search does not find a key that is there");
    let before = memory_image(core);

    let operator = Operator::new(&system);
    operator.revoke(&operator.root("acme").await).await.unwrap();
    let (gateway_image, core_image) = (memory_image(gateway), memory_image(core));

    assert!(root_keys.iter().any(|root_key| contains(&before, &root_key.bytes)), "the keys were never there");
    for root_key in root_keys {
        assert!(!contains(&core_image, &root_key.bytes), "an L2 or L3 is left in the Core's memory");
        assert!(!contains(&gateway_image, &root_key.bytes), "an L2 or L3 is in the Gateway's memory");
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

fn is_in_memory(process: u32, needle: &[u8]) -> bool {
    contains(&memory_image(process), needle)
}

/// All readable memory of a process.
fn memory_image(process: u32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory =
        fs::File::open(format!("/proc/{process}/mem")).expect("needs the right to trace processes");
    let mut image = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, rest) = line.split_once('-').unwrap();
        let to = rest.split_once(' ').unwrap().0;
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut region = vec![0; usize::try_from(to - from).unwrap()];
        if memory.seek(SeekFrom::Start(from)).is_ok() && memory.read_exact(&mut region).is_ok() {
            image.extend_from_slice(&region);
        }
    }
    image
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
    let first = needle[0];
    haystack.windows(needle.len()).any(|window| window[0] == first && window == needle)
}
