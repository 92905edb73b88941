//! Uses of L3s are counted, and L3s that are too old or worn are rotated by the Core itself.

use key_service::chain::{computed, vendor_attribute};
use kmip_protocol::attribute::{Attribute, CustomValue};
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

const WORN: &str = r#"krypton_core_rotations_total{reason="wraps",outcome="success"}"#;
const OLD: &str = r#"krypton_core_rotations_total{reason="age",outcome="success"}"#;
const FAILED: &str = r#"krypton_core_rotations_total{reason="age",outcome="failure"}"#;

async fn rig(rotation: &'static str) -> Rig {
    let mut rig = Rig::stopped();
    rig.front = rotation.to_owned();
    rig.restart().await;
    rig
}

fn uses(wraps: i64, unwraps: i64) -> [Attribute; 2] {
    let count = |name, count| vendor_attribute(name, CustomValue::LongInteger(count));
    [count(computed::WRAPS, wraps), count(computed::UNWRAPS, unwraps)]
}

#[tokio::test]
async fn uses_are_counted_and_outlast_a_restart() {
    let mut rig = rig("rotation = { check_interval_seconds = 0.05 }").await;
    let acme = rig.operator().provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    for _ in 0..3 {
        let blob = gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
        gateway.unwrap(&acme.l3, &object(), &blob).await.unwrap();
    }
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    gateway.unwrap(&acme.l3, &object(), &[1; 60]).await.unwrap_err();
    let told = |computed: Vec<Attribute>| computed[1..3].to_vec();
    assert_eq!(told(rig.operator().computed(&acme.l3).await), uses(4, 3));
    // Written down while it runs, and when it stops.
    for expected in 5..8 {
        rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(120)).await;
        assert_eq!(told(rig.operator().computed(&acme.l3).await), uses(expected, 3));
        rig.restart().await;
        assert_eq!(told(rig.operator().computed(&acme.l3).await), uses(expected, 3));
    }
    // An operator cannot set them back, and a new version begins anew.
    let reset = SetAttributeRequest {
        unique_identifier: named(&acme.l3),
        new_attribute: kmip_protocol::attribute::Attributes::new([uses(0, 0)[0].clone()]),
    };
    rig.operator().call(reset).await.unwrap_err();
    let next = rig.operator().ask::<ReKeyResponse>(re_key(&acme.l3)).await.unwrap().unique_identifier;
    assert_eq!(told(rig.operator().computed(&next).await), uses(0, 0));
}

#[tokio::test]
async fn an_l3_that_has_wrapped_enough_is_rotated() {
    let rig = rig("rotation = { maximum_wraps = 5, check_interval_seconds = 0.05 }").await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    let blob = gateway.wrap(&acme.l3, &object(), b"the key").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    assert_eq!(rig.metric(WORN).await, 0);
    for _ in 0..4 {
        gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    }
    rig.await_metric(WORN, 1).await;
    assert_eq!(operator.state(&acme.l3).await, State::Deactivated);
    assert_eq!(gateway.unwrap(&acme.l3, &object(), &blob).await.unwrap(), b"the key");
    let refused = gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::WrongKeyLifecycleState);
    let active = [Attribute::State(State::Active), Attribute::ObjectGroup("default".into())];
    let active = gateway.locate(active).await.unwrap();
    let attributes = operator.attributes(&active[0]).await.unwrap();
    assert!(attributes.contains(&Attribute::RotateGeneration(1)), "{attributes:?}");
    gateway.wrap(&active[0], &object(), b"x").await.unwrap();
    assert_eq!(rig.metric(WORN).await, 1);
}

#[tokio::test]
async fn an_l3_that_is_old_enough_is_rotated_and_one_of_a_closed_tenant_is_not() {
    // Some 2 seconds.
    let rig = rig("rotation = { maximum_age_days = 0.000023, check_interval_seconds = 0.05 }").await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let globex = operator.provision("globex").await;
    rig.gateway("globex-gateway").wrap(&globex.l3, &object(), b"x").await.unwrap();
    operator.revoke(&globex.l2, RevocationReasonCode::KeyCompromise).await.unwrap();
    rig.await_metric(OLD, 1).await;
    rig.await_metric(FAILED, 1).await;
    assert_eq!(operator.state(&acme.l3).await, State::Deactivated);
    assert_eq!(operator.state(&globex.l3).await, State::Active);
    assert_eq!(rig.core().opened_keys(), 1, "the L2 of acme");
}

#[tokio::test]
async fn of_many_rotations_at_once_one_wins() {
    let rig = Rig::start().await;
    let acme = rig.operator().provision("acme").await;
    let mut rotations = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (operator, l3) = (rig.operator(), acme.l3.clone());
        rotations.spawn(async move { operator.call(re_key(&l3)).await });
    }
    let outcomes = rotations.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(refused.reason, ResultReason::WrongKeyLifecycleState);
    }
}
