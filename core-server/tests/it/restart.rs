//! Cold starts: what is at rest, and how the chain is opened again.

use core_server::chain::Level;
use core_server::offline;
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::*;

use crate::client::*;
use crate::rig::Rig;

#[tokio::test]
async fn a_cold_core_opens_the_chain_on_demand() {
    let mut rig = Rig::start().await;
    let chain = rig.operator().provision("acme").await;
    let blob = rig.gateway("acme-gateway").wrap(&chain.l3, &object(), b"the key").await.unwrap();
    rig.restart().await;
    assert_eq!(rig.core().opened_keys(), 0);
    assert_eq!(rig.gateway("acme-gateway").unwrap(&chain.l3, &object(), &blob).await.unwrap(), b"the key");
    assert_eq!(rig.core().opened_keys(), 2);
    assert_eq!(rig.metric(r#"krypton_core_unseals_total{level="L2"}"#).await, 1);
    assert_eq!(rig.metric(r#"krypton_core_unseals_total{level="L3"}"#).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_for_a_cold_tenant_unseal_once() {
    let mut rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let tapes = operator.create_l3(&chain.l2, "tapes").await.unwrap();
    operator.activate(&tapes).await.unwrap();
    rig.restart().await;
    let mut wraps = tokio::task::JoinSet::new();
    for index in 0..16 {
        let gateway = rig.gateway("acme-gateway");
        let key = if index % 2 == 0 { chain.l3.clone() } else { tapes.clone() };
        wraps.spawn(async move { gateway.wrap(&key, &object(), b"x").await });
    }
    for wrapped in wraps.join_all().await {
        wrapped.unwrap();
    }
    assert_eq!(rig.metric(r#"krypton_core_unseals_total{level="L2"}"#).await, 1);
    assert_eq!(rig.metric(r#"krypton_core_unseals_total{level="L3"}"#).await, 2);
}

#[tokio::test]
async fn without_its_root_a_cold_tenant_stays_closed() {
    let mut rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let globex = operator.provision("globex").await;
    rig.restart().await;
    let root = rig.config().software_directory().join("acme.l1");
    let kept = std::fs::read(&root).unwrap();
    std::fs::remove_file(&root).unwrap();
    let gateway = rig.gateway("both-gateway");
    let refused = gateway.wrap(&chain.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied, "{}", refused.message);
    gateway.wrap(&globex.l3, &object(), b"x").await.unwrap();

    std::fs::write(&root, [7; 32]).unwrap();
    let refused = gateway.wrap(&chain.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);
    std::fs::write(&root, kept).unwrap();
    gateway.wrap(&chain.l3, &object(), b"x").await.unwrap();
}

#[tokio::test]
async fn a_revocation_outlasts_a_restart() {
    let mut rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    operator.revoke(&chain.l1, RevocationReasonCode::CessationOfOperation).await.unwrap();
    rig.restart().await;
    let refused = rig.gateway("acme-gateway").wrap(&chain.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied);
}

#[tokio::test]
async fn software_roots_are_refused_unless_allowed() {
    let mut rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    rig.stop().await;
    let mut config = rig.config();
    config.roots.insecure_allow_software = false;
    let shutdown = kmip_net::CancellationToken::new();
    let running = core_server::run(config, shutdown.clone()).await.unwrap();
    let address = running.listen_address();
    let gateway = Party::new(address, rig.pki.client("krypton-gateway", "acme-gateway"));
    let operator = Party::new(address, rig.pki.client("krypton-operator", "olga"));
    let refused = gateway.wrap(&chain.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied);
    assert_eq!(operator.register_l1("globex").await.unwrap_err().reason, ResultReason::PermissionDenied);
    shutdown.cancel();
    running.stopped().await;
    assert!(!rig.config().software_directory().join("globex.l1").exists());
}

#[tokio::test]
async fn the_store_holds_no_key_in_plain_text() {
    let mut rig = Rig::start().await;
    let chain = rig.operator().provision("acme").await;
    let data_key: Vec<u8> = (0..32u8).map(|index| index.wrapping_mul(37) ^ 0xC3).collect();
    let gateway = rig.gateway("acme-gateway");
    gateway.wrap(&chain.l3, &object(), &data_key).await.unwrap();
    rig.stop().await;

    let config = rig.config();
    let keys = offline::keys(&config).await.unwrap();
    let levels: Vec<Level> = keys.iter().map(|key| key.level).collect();
    assert_eq!(levels, [Level::L3, Level::L2]);
    let files = files_below(&config.state_directory, &config.software_directory());
    let whole: Vec<u8> = files.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    let holds = |bytes: &[u8]| whole.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(chain.l3.as_bytes()) && holds(b"acme"), "the search finds what is there");
    for key in &keys {
        assert!(!holds(&key.bytes) && !holds(&key.bytes[..16]), "{} in the store", key.level.name());
    }
    assert!(!holds(&data_key));
    let root = std::fs::read(config.software_directory().join("acme.l1")).unwrap();
    assert!(!holds(&root));
}

/// All files below `folder`, without those in `except`.
fn files_below(folder: &std::path::Path, except: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path == except {
        } else if path.is_dir() {
            files.extend(files_below(&path, except));
        } else {
            files.push(path);
        }
    }
    files
}

#[tokio::test]
async fn offline_keys_open_what_gateways_wrapped() {
    let mut rig = Rig::start().await;
    let chain = rig.operator().provision("acme").await;
    let blob = rig.gateway("acme-gateway").wrap(&chain.l3, &object(), b"the key").await.unwrap();
    assert!(
        !rig.operator().attributes(&chain.l3).await.unwrap().contains(&Attribute::KeyValuePresent(false))
    );
    rig.stop().await;
    let keys = offline::keys(&rig.config()).await.unwrap();
    let l3 = keys.iter().find(|key| key.unique_identifier == chain.l3).unwrap();
    // The associated data as docs/STORAGE.md gives it.
    let mut associated_data = b"\x01\x04\x00\x04acme\x00\x07default\x00\x24".to_vec();
    associated_data.extend_from_slice(chain.l3.as_bytes());
    associated_data.extend_from_slice(&object().encode());
    let plain = key_service::crypto::unseal(&l3.bytes, &associated_data, &blob).unwrap();
    assert_eq!(*plain, *b"the key");
}
