//! Several anchors: any of them opens a tenant, losing one loses nothing, and what refuses closes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytestring::ByteString;
use key_service::chain::{computed, vendor_attribute};
use kmip_protocol::attribute::{Attribute, AttributeReference, AttributeType, Attributes, CustomValue};
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

const OUT: &str = r#"krypton_core_anchors{standing="denied"}"#;
const LOST: &str = r#"krypton_core_anchors{standing="unreachable"}"#;
const CLOSED: &str = r#"krypton_core_closed_tenants_total{reason="denied"}"#;
const OVERDUE: &str = r#"krypton_core_closed_tenants_total{reason="unreachable"}"#;
const PROVED: &str = r#"krypton_core_root_probes_total{outcome="proved"}"#;

/// A Core that proves often and waits for short leases only, an operator, and a tenant with two anchors: `acme` and `acme-2`.
async fn two_anchors() -> (Rig, Party, Chain, ByteString) {
    let rig = rig().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let second = operator.add_l1("acme", "software:acme-2").await;
    operator.add_anchor(&acme.l2, &second).await.unwrap();
    (rig, operator, acme, second)
}

/// A Core that proves nothing by itself for as long as a test takes.
async fn rig_without_proofs() -> Rig {
    let mut rig = Rig::stopped();
    rig.roots = "probe_interval_seconds = 3600\nsovereignty_timeout_seconds = 7200";
    rig.restart().await;
    rig
}

/// The Core alone.
async fn rig() -> Rig {
    let mut rig = Rig::stopped();
    rig.front = "requests = { lease_time_seconds = 1, longest_lease_seconds = 1 }".to_owned();
    rig.roots = "probe_interval_seconds = 0.05\nsovereignty_timeout_seconds = 1\nmaximum_anchors = 3";
    rig.restart().await;
    rig
}

impl Rig {
    fn root(&self, name: &str) -> PathBuf {
        self.config().software_directory().join(format!("{name}.l1"))
    }

    /// The owner takes a root away: from now on it refuses.
    fn take_root(&self, name: &str) -> Vec<u8> {
        let key = std::fs::read(self.root(name)).unwrap();
        std::fs::remove_file(self.root(name)).unwrap();
        key
    }

    /// A root is there and cannot be reached.
    fn lose_root(&self, name: &str) {
        self.take_root(name);
        std::fs::create_dir(self.root(name)).unwrap();
    }
}

#[tokio::test]
async fn any_anchor_opens_the_tenant() {
    let mut rig = rig().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let second = operator.add_l1("acme", "software:acme-2").await;
    let blob = rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"the key").await.unwrap();
    operator.add_anchor(&acme.l2, &second).await.unwrap();
    for lost in ["acme", "acme-2"] {
        rig.restart().await;
        let kept = rig.take_root(lost);
        let opened = rig.gateway("acme-gateway").unwrap(&acme.l3, &object(), &blob).await;
        assert_eq!(opened.unwrap(), b"the key", "without {lost}");
        std::fs::write(rig.root(lost), kept).unwrap();
    }
    rig.restart().await;
    rig.take_root("acme");
    rig.take_root("acme-2");
    let refused = rig.gateway("acme-gateway").unwrap(&acme.l3, &object(), &blob).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied, "{}", refused.message);
}

#[tokio::test]
async fn an_anchor_that_refuses_closes_the_tenant_once() {
    let (rig, _, acme, _) = two_anchors().await;
    let gateway = rig.gateway("acme-gateway");
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    rig.await_metric(PROVED, 4).await;

    // Each anchor is proved, also the one that is not in use.
    let kept = rig.take_root("acme-2");
    rig.await_metric(CLOSED, 1).await;
    assert_eq!((rig.metric(OUT).await, rig.core().opened_keys()), (1, 0));
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    let proved = rig.metric(PROVED).await;
    rig.await_metric(PROVED, proved + 3).await;
    assert_eq!((rig.metric(CLOSED).await, rig.core().opened_keys()), (1, 2), "it is closed once only");

    // Back, and away again: that is news.
    std::fs::write(rig.root("acme-2"), kept).unwrap();
    rig.await_metric(r#"krypton_core_anchors{standing="proved"}"#, 2).await;
    rig.take_root("acme-2");
    rig.await_metric(CLOSED, 2).await;

    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    rig.take_root("acme");
    rig.await_metric(CLOSED, 3).await;
    let refused = gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied, "{}", refused.message);
}

#[tokio::test]
async fn a_tenant_is_overdue_when_all_its_anchors_are_lost() {
    let (rig, _, acme, _) = two_anchors().await;
    let gateway = rig.gateway("acme-gateway");
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    rig.await_metric(PROVED, 4).await;
    rig.lose_root("acme-2");
    rig.await_metric(LOST, 1).await;
    // Longer than the sovereignty time-out: the other one is enough.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!((rig.metric(OVERDUE).await, rig.core().opened_keys()), (0, 2));
    rig.lose_root("acme");
    rig.await_metric(OVERDUE, 1).await;
    let refused = gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);
}

#[tokio::test]
async fn an_open_tenant_whose_root_is_lost_can_be_saved() {
    let mut rig = rig().await;
    rig.roots = "probe_interval_seconds = 0.05\nsovereignty_timeout_seconds = 20";
    rig.restart().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    rig.lose_root("acme");
    rig.await_metric(LOST, 1).await;
    let second = operator.add_l1("acme", "software:acme-2").await;
    operator.add_anchor(&acme.l2, &second).await.unwrap();
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    operator.delete_anchor(&acme.l2, &acme.l1).await.unwrap();
    rig.restart().await;
    rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_l2_is_wrapped_anew_while_it_is_used() {
    let mut rig = rig().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let done = Arc::new(AtomicBool::new(false));
    let mut gateways = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (gateway, l3, done) = (rig.gateway("acme-gateway"), acme.l3.clone(), Arc::clone(&done));
        gateways.spawn(async move {
            let mut served = 0;
            while !done.load(Ordering::SeqCst) {
                let blob = gateway.wrap(&l3, &object(), b"the key").await.unwrap();
                assert_eq!(gateway.unwrap(&l3, &object(), &blob).await.unwrap(), b"the key");
                gateway.call(ObtainLeaseRequest { unique_identifier: named(&l3) }).await.unwrap();
                served += 1;
            }
            served
        });
    }
    let mut current = acme.l1.clone();
    for round in 0..10 {
        let next = operator.add_l1("acme", &format!("software:acme-{round}")).await;
        operator.add_anchor(&acme.l2, &next).await.unwrap();
        operator.delete_anchor(&acme.l2, &current).await.unwrap();
        // Nothing is sealed under it any more: nobody has to give anything up for good.
        operator.revoke(&current, RevocationReasonCode::Superseded).await.unwrap();
        current = next;
    }
    done.store(true, Ordering::SeqCst);
    let served: u32 = gateways.join_all().await.into_iter().sum();
    assert!(served > 0);
    // The old roots are of no use any more, the new one alone opens the tenant.
    rig.restart().await;
    for old in ["acme", "acme-0", "acme-8"] {
        rig.take_root(old);
    }
    rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap();
    rig.stop().await;
    rig.restart().await;
    rig.take_root("acme-9");
    rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap_err();
}

#[tokio::test]
async fn only_fit_anchors_are_taken_and_the_last_one_stays() {
    let rig = rig().await;
    let operator = rig.operator();
    let (acme, globex) = (operator.provision("acme").await, operator.provision("globex").await);
    let inactive = register(l1_attributes("acme", "software:acme-2"), None);
    let inactive = operator.ask::<RegisterResponse>(inactive).await.unwrap().unique_identifier;
    use ResultReason as R;
    for (l1, reason) in [
        (&globex.l1, R::InvalidField),
        (&acme.l2, R::InvalidField),
        (&acme.l3, R::InvalidField),
        (&acme.l1, R::InvalidField),
        (&inactive, R::WrongKeyLifecycleState),
        (&"nothing".into(), R::ObjectNotFound),
    ] {
        let refused = operator.add_anchor(&acme.l2, l1).await.unwrap_err();
        assert_eq!(refused.reason, reason, "{l1}: {}", refused.message);
    }
    // Neither L1s nor L3s have anchors.
    for key in [&acme.l3, &acme.l1] {
        let refused = operator.add_anchor(key, &acme.l1).await.unwrap_err();
        assert_eq!(refused.reason, R::AttributeReadOnly, "{}", refused.message);
    }
    let refused = operator.delete_anchor(&acme.l2, &acme.l1).await.unwrap_err();
    assert_eq!(refused.reason, R::PermissionDenied, "{}", refused.message);

    operator.activate(&inactive).await.unwrap();
    operator.add_anchor(&acme.l2, &inactive).await.unwrap();
    let third = operator.add_l1("acme", "software:acme-3").await;
    operator.add_anchor(&acme.l2, &third).await.unwrap();
    let fourth = operator.add_l1("acme", "software:acme-4").await;
    let refused = operator.add_anchor(&acme.l2, &fourth).await.unwrap_err();
    assert_eq!(refused.reason, R::ServerLimitExceeded, "{}", refused.message);

    let all = DeleteAttributeRequest {
        unique_identifier: named(&acme.l2),
        current_attribute: Attributes::default(),
        attribute_references: vec![AttributeReference::Known(AttributeType::Link)],
        attribute_index: None,
    };
    assert_eq!(operator.refused(all).await, R::PermissionDenied);
    let exchanged = ModifyAttributeRequest {
        unique_identifier: named(&acme.l2),
        current_attribute: Attributes::new([link(&acme.l1)]),
        new_attribute: Attributes::new([link(&fourth)]),
    };
    assert_eq!(operator.refused(exchanged).await, R::InvalidField);

    // What is left has to open the L2 now, not only to be linked.
    rig.take_root("acme-2");
    rig.take_root("acme-3");
    let refused = operator.delete_anchor(&acme.l2, &acme.l1).await.unwrap_err();
    assert_eq!(refused.reason, R::PermissionDenied, "{}", refused.message);
    operator.delete_anchor(&acme.l2, &third).await.unwrap();
    operator.delete_anchor(&acme.l2, &inactive).await.unwrap();
    let links = operator.attributes(&acme.l2).await.unwrap();
    let links: Vec<_> = links.iter().filter(|attribute| matches!(attribute, Attribute::Link(_))).collect();
    assert_eq!(links, [&link(&acme.l1)]);
    rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap();
}

#[tokio::test]
async fn revoking_one_anchor_leaves_the_others_and_revoking_the_l2_leaves_none() {
    let (rig, operator, acme, second) = two_anchors().await;
    let gateway = rig.gateway("acme-gateway");
    let lease = || ObtainLeaseRequest { unique_identifier: named(&acme.l3) };
    gateway.call(lease()).await.unwrap();
    operator.revoke(&acme.l1, RevocationReasonCode::KeyCompromise).await.unwrap();
    assert_eq!(rig.core().opened_keys(), 0);
    gateway.call(lease()).await.unwrap();
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    // A revoked L1 is no anchor: deleting the other one would close the tenant.
    let refused = operator.delete_anchor(&acme.l2, &second).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied, "{}", refused.message);
    operator.delete_anchor(&acme.l2, &acme.l1).await.unwrap();
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();

    operator.revoke(&acme.l2, RevocationReasonCode::CessationOfOperation).await.unwrap();
    for refused in [
        gateway.call(lease()).await.map(drop),
        gateway.wrap(&acme.l3, &object(), b"x").await.map(drop),
        operator.add_anchor(&acme.l2, &acme.l1).await,
        operator.delete_anchor(&acme.l2, &second).await,
    ] {
        let refused = refused.unwrap_err();
        let closed = [ResultReason::PermissionDenied, ResultReason::WrongKeyLifecycleState];
        assert!(closed.contains(&refused.reason), "{refused:?}");
    }
}

#[tokio::test]
async fn revoking_all_anchors_closes_the_tenant_for_good() {
    let (rig, operator, acme, second) = two_anchors().await;
    let gateway = rig.gateway("acme-gateway");
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    for l1 in [&acme.l1, &second] {
        operator.revoke(l1, RevocationReasonCode::KeyCompromise).await.unwrap();
    }
    assert_eq!(rig.core().opened_keys(), 0);
    let refused = gateway.call(ObtainLeaseRequest { unique_identifier: named(&acme.l3) }).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied, "{}", refused.message);
}

#[tokio::test]
async fn operators_see_what_is_open_and_by_which_anchor() {
    let (rig, operator, acme, second) = two_anchors().await;
    let flag = |name, value| vendor_attribute(name, CustomValue::Boolean(value));
    let text = |name, value: &str| vendor_attribute(name, CustomValue::Text(value.into()));
    let standing = |value| vec![text(computed::STANDING, value)];
    assert_eq!(operator.computed(&acme.l3).await[0], flag(computed::OPEN, false));
    rig.take_root("acme-2");

    let gateway = rig.gateway("acme-gateway");
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    gateway.call(ObtainLeaseRequest { unique_identifier: named(&acme.l3) }).await.unwrap();
    // It is counted as out before its tenant is closed: what is opened meanwhile is wiped.
    rig.await_metric(CLOSED, 1).await;
    gateway.call(ObtainLeaseRequest { unique_identifier: named(&acme.l3) }).await.unwrap();
    let l3 = operator.computed(&acme.l3).await;
    assert_eq!(
        (&l3[0], l3.last().unwrap()),
        // The life is told by a digest: whoever knows its name can confirm for it. This one has none.
        (&flag(computed::OPEN, true), &text(computed::LEASE_HOLDER, "acme-gateway/e3b0c44298fc"))
    );
    let l2 = operator.computed(&acme.l2).await;
    for expected in [
        flag(computed::OPEN, true),
        flag(computed::PROOF_OVERDUE, false),
        text(computed::OPENED_BY, &acme.l1),
    ] {
        assert!(l2.contains(&expected), "{expected:?} in {l2:?}");
    }
    let l1 = operator.computed(&acme.l1).await;
    assert_eq!((&l1[..1], l1.len()), (&standing("proved")[..], 2), "and when");
    assert_eq!(operator.computed(&second).await[..1], standing("denied"));
    // They are the operators' to ask for, by name.
    assert!(gateway.computed(&acme.l3).await.is_empty());
    let all = operator.attributes(&acme.l3).await.unwrap();
    assert!(!all.contains(&flag(computed::OPEN, true)));
}

#[tokio::test]
async fn a_drill_tells_which_anchor_still_opens() {
    let rig = rig().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let second = operator.add_l1("acme", "software:acme-2").await;
    let refused = operator.drill(&second).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::WrongKeyLifecycleState, "nothing is sealed under it");
    operator.add_anchor(&acme.l2, &second).await.unwrap();
    // A drill does not need the tenant to be open, and opens nothing.
    for l1 in [&acme.l1, &second] {
        operator.drill(l1).await.unwrap();
    }
    assert_eq!(rig.core().opened_keys(), 0);

    rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap();
    let kept = rig.take_root("acme-2");
    let refused = operator.drill(&second).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied, "{}", refused.message);
    operator.drill(&acme.l1).await.unwrap();
    // Another key in its place is not the same root.
    std::fs::write(rig.root("acme-2"), [7; 32]).unwrap();
    operator.drill(&second).await.unwrap_err();
    std::fs::write(rig.root("acme-2"), kept).unwrap();
    operator.drill(&second).await.unwrap();
    rig.lose_root("acme-2");
    let refused = operator.drill(&second).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);
    operator.revoke(&second, RevocationReasonCode::Superseded).await.unwrap();
    assert_eq!(operator.drill(&second).await.unwrap_err().reason, ResultReason::WrongKeyLifecycleState);
    // Gateways do not drill.
    let refused = rig.gateway("acme-gateway").drill(&acme.l1).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied);
}

#[tokio::test]
async fn a_refusal_that_is_met_while_another_anchor_opens_closes_the_tenant() {
    let rig = rig_without_proofs().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let second = operator.add_l1("acme", "software:acme-2").await;
    operator.add_anchor(&acme.l2, &second).await.unwrap();
    let gateway = rig.gateway("acme-gateway");
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    gateway.call(ObtainLeaseRequest { unique_identifier: named(&acme.l3) }).await.unwrap();

    // A change of the L2 wipes it, and nobody's lease: the next wrap opens it anew.
    let described = |text| SetAttributeRequest {
        unique_identifier: named(&acme.l2),
        new_attribute: Attributes::new([Attribute::Description(text)]),
    };
    let lease_holders = async || {
        let computed = operator.computed(&acme.l3).await;
        let held = |attribute: &&Attribute| matches!(attribute, Attribute::Custom(custom) if *custom.name == *computed::LEASE_HOLDER);
        computed.iter().filter(held).count()
    };
    operator.call(described("wiped".into())).await.unwrap();
    assert_eq!((rig.core().opened_keys(), lease_holders().await), (0, 1));
    rig.take_root("acme");
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    assert_eq!((rig.metric(CLOSED).await, rig.metric(OUT).await), (1, 1), "no proof has been made");
    assert_eq!((rig.metric(PROVED).await, rig.core().opened_keys()), (0, 2));

    // That is no news any more, whoever asks.
    operator.call(described("wiped again".into())).await.unwrap();
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    operator.drill(&acme.l1).await.unwrap_err();
    assert_eq!((rig.metric(CLOSED).await, rig.core().opened_keys()), (1, 2));
    // Both refuse: closed by each, and for as long as they do.
    rig.take_root("acme-2");
    operator.call(described("wiped once more".into())).await.unwrap();
    let refused = gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied, "{}", refused.message);
    assert_eq!((rig.metric(CLOSED).await, rig.core().opened_keys()), (2, 0));
}

#[tokio::test]
async fn a_root_that_does_not_seal_any_more_is_asked_whether_it_opens() {
    let rig = rig_without_proofs().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap();
    rig.take_root("acme");
    operator.create_l2(&acme.l1).await.unwrap_err();
    assert_eq!((rig.metric(CLOSED).await, rig.core().opened_keys()), (1, 0));
}
