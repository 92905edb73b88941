//! Shredding an L3 version: who may say what, and when it may be destroyed.

use std::time::Duration;

use bytestring::ByteString;
use key_service::chain::{SHRED, SHRED_REPORT, VENDOR, gateway_object, shred_mark};
use kmip_protocol::attribute::{Attribute, AttributeReference, Attributes, CustomValue};
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

fn report(text: &'static str) -> Attribute {
    named_report(SHRED_REPORT, text)
}

fn named_report(name: &'static str, text: &'static str) -> Attribute {
    let [vendor, name, text] = [VENDOR, name, text].map(ByteString::from_static);
    Attribute::custom(vendor, name, CustomValue::Text(text))
}

fn add(key: &ByteString, attribute: Attribute) -> AddAttributeRequest {
    AddAttributeRequest { unique_identifier: named(key), new_attribute: Attributes::new([attribute]) }
}

fn modify(key: &ByteString, attribute: Attribute) -> ModifyAttributeRequest {
    ModifyAttributeRequest {
        unique_identifier: named(key),
        current_attribute: Attributes::default(),
        new_attribute: Attributes::new([attribute]),
    }
}

fn unmark(key: &ByteString) -> DeleteAttributeRequest {
    let [vendor, name] = [VENDOR, SHRED].map(ByteString::from_static);
    DeleteAttributeRequest {
        unique_identifier: named(key),
        current_attribute: Attributes::default(),
        attribute_references: vec![AttributeReference::Custom { vendor, name }],
        attribute_index: None,
    }
}

/// Between two reports.
const PAUSE: Duration = Duration::from_millis(1100);

/// The old version of a rotated L3, and the new one.
async fn rotate(operator: &Party, key: &ByteString) -> ByteString {
    let request = ReKeyRequest {
        unique_identifier: named(key),
        offset: None,
        attributes: Attributes::default(),
        protection_storage_masks: None,
    };
    operator.ask::<ReKeyResponse>(request).await.unwrap().unique_identifier
}

#[tokio::test]
async fn a_marked_version_is_destroyed_when_its_gateways_are_done() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let next = rotate(&operator, &chain.l3).await;
    operator.call(add(&chain.l3, shred_mark())).await.unwrap();
    let (first, second) = (rig.gateway("acme-gateway"), rig.gateway("both-gateway"));
    first.call(add(&chain.l3, report("under way"))).await.unwrap();
    let too_soon = first.refused(modify(&chain.l3, report("done: 3 sealed anew"))).await;
    assert_eq!(too_soon, ResultReason::ServerLimitExceeded);
    first.call(modify(&chain.l3, report("under way"))).await.unwrap();
    tokio::time::sleep(PAUSE).await;
    first.call(modify(&chain.l3, report("done: 3 sealed anew"))).await.unwrap();
    second.call(add(&chain.l3, report("under way: 1"))).await.unwrap();
    let refused = operator.destroy(&chain.l3).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::WrongKeyLifecycleState);
    assert!(refused.message.ends_with(": both-gateway"), "{}", refused.message);
    let shown = operator.attributes(&chain.l3).await.unwrap();
    assert!(shown.contains(&named_report("Shred Report acme-gateway", "done: 3 sealed anew")));
    tokio::time::sleep(PAUSE).await;
    second.call(modify(&chain.l3, report("done"))).await.unwrap();
    operator.destroy(&chain.l3).await.unwrap();
    assert_eq!(operator.state(&chain.l3).await, State::Destroyed);
    assert!(first.wrap(&next, &object(), b"k").await.is_ok());
}

#[tokio::test]
async fn a_gateway_writes_its_report_and_nothing_else() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    rotate(&operator, &chain.l3).await;
    let unmarked = gateway.call(add(&chain.l3, report("done"))).await.unwrap_err();
    assert_eq!(unmarked.reason, ResultReason::WrongKeyLifecycleState);
    operator.call(add(&chain.l3, shred_mark())).await.unwrap();
    for other in [
        named_report("Shred Report both-gateway", "done"),
        named_report("Tenant", "globex"),
        shred_mark(),
        Attribute::ObjectGroup("other".into()),
        report("done\u{1b}[2J"),
    ] {
        let refused = gateway.refused(add(&chain.l3, other)).await;
        assert_eq!(refused, ResultReason::PermissionDenied);
    }
    let foreign = rig.gateway("globex-gateway").call(add(&chain.l3, report("done"))).await.unwrap_err();
    assert_eq!(foreign.reason, ResultReason::ObjectNotFound);
    assert_eq!(gateway.refused(modify(&chain.l3, report("x"))).await, ResultReason::AttributeNotFound);
}

#[tokio::test]
async fn what_seals_is_not_marked_and_a_mark_can_be_taken_away() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    for key in [&chain.l1, &chain.l2, &chain.l3] {
        let refused = operator.refused(add(key, shred_mark())).await;
        assert_eq!(refused, ResultReason::WrongKeyLifecycleState);
    }
    rotate(&operator, &chain.l3).await;
    operator.call(add(&chain.l3, shred_mark())).await.unwrap();
    operator.destroy(&chain.l3).await.unwrap_err();
    operator.call(unmark(&chain.l3)).await.unwrap();
    operator.destroy(&chain.l3).await.unwrap();
}

#[tokio::test]
async fn what_was_reported_under_an_earlier_mark_counts_no_more() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    rotate(&operator, &chain.l3).await;
    operator.call(add(&chain.l3, shred_mark())).await.unwrap();
    for name in ["acme-gateway", "both-gateway"] {
        rig.gateway(name).call(add(&chain.l3, report("done"))).await.unwrap();
    }
    operator.call(unmark(&chain.l3)).await.unwrap();
    operator.call(add(&chain.l3, shred_mark())).await.unwrap();
    let refused = operator.destroy(&chain.l3).await.unwrap_err();
    assert!(refused.message.contains("acme-gateway, both-gateway"), "{}", refused.message);
    assert!(
        !operator
            .attributes(&chain.l3)
            .await
            .unwrap()
            .contains(&named_report("Shred Report acme-gateway", "done"))
    );
}

/// The name of a Gateway's life on a store.
fn life(store: &str) -> String {
    format!("{store}.life")
}

#[tokio::test]
async fn each_store_of_a_gateway_reports_for_itself() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let lease = || ObtainLeaseRequest { unique_identifier: named(&chain.l3) };
    let [first, second] = ["5701", "5702"].map(|store| rig.gateway("acme-gateway").living(&life(store)));
    first.call(lease()).await.unwrap();
    second.call(lease()).await.unwrap();
    rotate(&operator, &chain.l3).await;
    operator.call(add(&chain.l3, shred_mark())).await.unwrap();
    rig.gateway("both-gateway").call(add(&chain.l3, report("done"))).await.unwrap();
    first.call(add(&chain.l3, report("done"))).await.unwrap();
    let refused = operator.destroy(&chain.l3).await.unwrap_err();
    assert!(refused.message.ends_with(": acme-gateway @5702"), "{}", refused.message);
    // The Core remembers the stores in the objects of the Gateways, not in its memory.
    let gateway = gateway_object("acme-gateway");
    let of_second = AttributeReference::Custom { vendor: VENDOR.into(), name: "Store 5702".into() };
    let stores = operator.attributes(&gateway).await.unwrap();
    let is_store = |attribute: &&Attribute| attribute.reference() == of_second;
    assert_eq!(stores.iter().filter(is_store).count(), 1);
    second.call(add(&chain.l3, report("done"))).await.unwrap();
    operator.destroy(&chain.l3).await.unwrap();
    // A store that is gone for good is crossed out by an operator.
    let gone = DeleteAttributeRequest {
        unique_identifier: named(&gateway),
        current_attribute: Attributes::default(),
        attribute_references: vec![of_second.clone()],
        attribute_index: None,
    };
    operator.call(gone).await.unwrap();
    assert_eq!(operator.attributes(&gateway).await.unwrap().iter().filter(is_store).count(), 0);
}

#[tokio::test]
async fn a_gateway_has_so_many_stores() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let lease = || ObtainLeaseRequest { unique_identifier: named(&chain.l3) };
    let mut refused = 0;
    for number in 0..40 {
        let gateway = rig.gateway("acme-gateway").living(&life(&number.to_string()));
        match gateway.call(lease()).await {
            Ok(_) => assert_eq!(refused, 0),
            Err(failure) => {
                assert_eq!(failure.reason, ResultReason::ServerLimitExceeded);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 8);
}
