//! A restored older store brings neither a revoked tenant, nor a revoked Gateway, nor an old policy back unnoticed.

use std::path::Path;

use key_service::chain::gateway_object;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::PingRequest;

use crate::client::*;
use crate::governance::{Headquarters, apply};
use crate::rig::Rig;

const COMPROMISE: RevocationReasonCode = RevocationReasonCode::KeyCompromise;
const EVERYTHING: &str = "permit (principal, action, resource);\n";
const FAST: &str = "requests = { lease_time_seconds = 1, longest_lease_seconds = 1 }\n";

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Stops the Core and keeps a copy of its store.
async fn back_up(rig: &mut Rig) {
    rig.stop().await;
    copy(&rig.folder.path().join("state/store"), &rig.folder.path().join("backup"));
    rig.restart().await;
}

/// Puts the copy in the place of the store.
async fn restore(rig: &mut Rig) {
    rig.stop().await;
    copy(&rig.folder.path().join("backup"), &rig.folder.path().join("state/store"));
}

#[tokio::test]
async fn what_was_revoked_stays_so_in_an_older_store() {
    let mut rig = Rig::start_with(FAST).await;
    let acme = rig.operator().provision("acme").await;
    let globex = rig.operator().provision("globex").await;
    back_up(&mut rig).await;
    rig.operator().revoke(&acme.l1, COMPROMISE).await.unwrap();
    rig.operator().revoke(&gateway_object("both-gateway"), COMPROMISE).await.unwrap();
    // The newer store is the right one.
    rig.restart().await;
    restore(&mut rig).await;
    let refused = rig.start_refused().await;
    assert!(refused.contains("the store is older"), "{refused}");
    assert!(refused.contains(&*acme.l1) && refused.contains("L1 of acme"), "{refused}");
    assert!(refused.contains("gateway:both-gateway"), "{refused}");

    rig.front = format!("{FAST}policy = {{ accept_older_store = true }}");
    rig.restart().await;
    assert_eq!(rig.operator().state(&acme.l1).await, State::Compromised);
    let closed = rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(closed.reason, ResultReason::PermissionDenied);
    assert!(rig.gateway("both-gateway").call(PingRequest {}).await.is_err());
    rig.gateway("globex-gateway").wrap(&globex.l3, &object(), b"x").await.unwrap();
    // It is put right for good.
    rig.front = FAST.to_owned();
    rig.restart().await;
    assert_eq!(rig.operator().state(&acme.l1).await, State::Compromised);
}

#[tokio::test]
async fn an_old_policy_does_not_come_back() {
    let headquarters = Headquarters::new();
    let mut rig = Rig::start_with(&headquarters.trusted(false)).await;
    let acme = rig.operator().provision("acme").await;
    apply(&rig.operator(), &headquarters.bundle(1, EVERYTHING)).await.unwrap();
    back_up(&mut rig).await;
    let second = headquarters.bundle(2, "permit (principal is Krypton::Operator, action, resource);\n");
    apply(&rig.operator(), &second).await.unwrap();
    restore(&mut rig).await;
    let refused = rig.start_refused().await;
    assert!(refused.contains("policy 2 was in force, and it has policy 1"), "{refused}");

    rig.front = rig.front.replace(" }", ", accept_older_store = true }");
    rig.restart().await;
    let gateway = rig.gateway("acme-gateway");
    let denied = ResultReason::PermissionDenied;
    assert_eq!(gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err().reason, denied);
    assert!(apply(&rig.operator(), &headquarters.bundle(1, EVERYTHING)).await.is_err());
    apply(&rig.operator(), &second).await.unwrap();
    assert_eq!(gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err().reason, denied);
    apply(&rig.operator(), &headquarters.bundle(3, EVERYTHING)).await.unwrap();
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
}

#[tokio::test]
async fn a_lost_store_does_not_let_a_revoked_gateway_in() {
    let mut rig = Rig::start_with(FAST).await;
    rig.operator().revoke(&gateway_object("acme-gateway"), COMPROMISE).await.unwrap();
    rig.stop().await;
    std::fs::remove_dir_all(rig.folder.path().join("state/store")).unwrap();
    rig.restart().await;
    assert!(rig.gateway("acme-gateway").call(PingRequest {}).await.is_err());
    rig.gateway("globex-gateway").call(PingRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_torn_entry_is_left_out_and_an_edited_one_refused() {
    let mut rig = Rig::start_with(FAST).await;
    let acme = rig.operator().provision("acme").await;
    rig.operator().revoke(&acme.l1, COMPROMISE).await.unwrap();
    rig.stop().await;
    let path = rig.folder.path().join("state/ledger");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("closed region Compromised {}\n", acme.l1)), "{text}");
    std::fs::write(&path, format!("{text}closed region Comp")).unwrap();
    rig.restart().await;
    rig.stop().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    std::fs::write(&path, text.replace("Compromised", "Active")).unwrap();
    assert!(rig.start_refused().await.contains("line 2 of the ledger"));
}
