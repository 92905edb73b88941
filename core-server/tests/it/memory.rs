//! The memory of a running Core: where keys are, and where they are not.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use core_server::offline::{self, OfflineKey};
use kmip_protocol::enumeration::*;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::binary::krypton_core;
use crate::client::*;
use crate::rig::Rig;

/// Times that `needle` occurs in the writable memory of a process.
fn occurrences(pid: u32, needle: &[u8]) -> io::Result<usize> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut memory = File::open(format!("/proc/{pid}/mem"))?;
    let finder = memchr::memmem::Finder::new(needle);
    let mut found = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
    {
        let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        memory.seek(SeekFrom::Start(start))?;
        // Some mappings of devices cannot be read; no key is there.
        if memory.read_exact(&mut bytes).is_ok() {
            found += finder.find_iter(&bytes).count();
        }
    }
    Ok(found)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// The keys of a Core that runs, from a copy of its state.
async fn keys_of(rig: &Rig, copied_to: PathBuf) -> Vec<OfflineKey> {
    let mut config = rig.config();
    copy(&config.state_directory, &copied_to);
    config.state_directory = copied_to;
    offline::keys(&config).await.unwrap()
}

#[tokio::test]
async fn unsealed_keys_are_in_one_place_and_nowhere_after_a_revoke() {
    let rig = Rig::stopped();
    let mut child = krypton_core().arg("--config").arg(rig.write_config("")).spawn().unwrap();
    let pid = child.id().unwrap();
    let ready = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().unwrap();
    if let Err(error) = occurrences(pid, b"needle") {
        println!("skipped: the memory of a hardened process is readable for root only ({error})");
        return;
    }
    let listen = ready.split(['=', ' ']).nth(2).unwrap().parse().unwrap();
    let operator = Party::new(listen, rig.pki.client("krypton-operator", "olga"));
    let gateway = Party::new(listen, rig.pki.client("krypton-gateway", "acme-gateway"));
    let chain = operator.provision("acme").await;
    let keys = keys_of(&rig, rig.folder.path().join("copy")).await;
    assert_eq!(keys.len(), 2);

    for round in 0..50 {
        let blob = gateway.wrap(&chain.l3, &object(), &[round; 32]).await.unwrap();
        gateway.unwrap(&chain.l3, &object(), &blob).await.unwrap();
    }
    for key in &keys {
        let found = occurrences(pid, &key.bytes).unwrap();
        assert_eq!(found, 1, "{} is in its locked slot only", key.level.name());
    }
    let root = std::fs::read(rig.config().software_directory().join("acme.l1")).unwrap();
    assert_eq!(occurrences(pid, &root).unwrap(), 0, "L1");

    operator.revoke(&chain.l1, RevocationReasonCode::KeyCompromise).await.unwrap();
    for key in &keys {
        for half in key.bytes.chunks(16) {
            assert_eq!(occurrences(pid, half).unwrap(), 0, "{} after the Revoke", key.level.name());
        }
    }
    child.kill().await.unwrap();
}
