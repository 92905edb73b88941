//! Activate, Revoke and Destroy: what they mean for what a key wrapped, and how soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::SetAttributeRequest;

use crate::client::*;
use crate::rig::Rig;

#[tokio::test]
async fn a_deactivated_l3_unwraps_only_and_a_compromised_one_nothing() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    let blob = gateway.wrap(&chain.l3, &object(), b"the key").await.unwrap();

    operator.revoke(&chain.l3, RevocationReasonCode::Superseded).await.unwrap();
    let refused = gateway.wrap(&chain.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::WrongKeyLifecycleState);
    assert_eq!(gateway.unwrap(&chain.l3, &object(), &blob).await.unwrap(), b"the key");

    operator.revoke(&chain.l3, RevocationReasonCode::KeyCompromise).await.unwrap();
    for refused in [
        gateway.wrap(&chain.l3, &object(), b"x").await.unwrap_err(),
        gateway.unwrap(&chain.l3, &object(), &blob).await.unwrap_err(),
    ] {
        assert_eq!(refused.reason, ResultReason::WrongKeyLifecycleState);
    }
    operator.destroy(&chain.l3).await.unwrap();
    let refused = gateway.unwrap(&chain.l3, &object(), &blob).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::ObjectDestroyed);
}

#[tokio::test]
async fn an_l3_that_was_never_activated_does_nothing() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let tapes = operator.create_l3(&chain.l2, "tapes").await.unwrap();
    let gateway = rig.gateway("acme-gateway");
    let refused = gateway.wrap(&tapes, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::WrongKeyLifecycleState);
}

#[tokio::test]
async fn revoking_a_key_above_closes_the_tenant_and_no_other() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let gateway = rig.gateway("both-gateway");
    let globex = operator.provision("globex").await;
    gateway.wrap(&globex.l3, &object(), b"x").await.unwrap();
    let acme = operator.provision("acme").await;
    let blob = gateway.wrap(&acme.l3, &object(), b"the key").await.unwrap();
    assert_eq!(rig.core().opened_keys(), 4);

    operator.revoke(&acme.l2, RevocationReasonCode::CessationOfOperation).await.unwrap();
    assert_eq!(rig.core().opened_keys(), 2, "the tenant's keys are wiped by the time of the answer");
    for refused in [
        gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err(),
        gateway.unwrap(&acme.l3, &object(), &blob).await.unwrap_err(),
        operator.create_l3(&acme.l2, "tapes").await.unwrap_err(),
    ] {
        assert_eq!(refused.reason, ResultReason::PermissionDenied);
    }
    gateway.wrap(&globex.l3, &object(), b"x").await.unwrap();
    operator.revoke(&globex.l1, RevocationReasonCode::KeyCompromise).await.unwrap();
    assert_eq!(rig.core().opened_keys(), 0);
    let refused = gateway.wrap(&globex.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied);
}

#[tokio::test]
async fn a_deactivation_date_above_closes_a_tenant_that_is_open() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    gateway.wrap(&chain.l3, &object(), b"x").await.unwrap();
    let set = |date| SetAttributeRequest {
        unique_identifier: named(&chain.l1),
        new_attribute: Attributes::new([Attribute::DeactivationDate(DateTime(date))]),
    };
    // A date to come closes nothing; the key is opened again, and remembers the date.
    operator.call(set(i64::MAX / 2)).await.unwrap();
    gateway.wrap(&chain.l3, &object(), b"x").await.unwrap();
    operator.call(set(1_000_000_000)).await.unwrap();
    let refused = gateway.wrap(&chain.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied);
}

/// Gateways wrap as fast as they can while the tenant is revoked; none succeeds after the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wrap_succeeds_after_an_answered_revoke() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    for round in 0..20 {
        let tenant = "acme";
        let l1 = operator.ask::<kmip_protocol::operation::RegisterResponse>(register(
            l1_attributes(tenant, &format!("software:acme{round}")),
            None,
        ));
        let l1 = l1.await.unwrap().unique_identifier;
        operator.activate(&l1).await.unwrap();
        let l2 = operator.create_l2(&l1).await.unwrap();
        operator.activate(&l2).await.unwrap();
        let l3 = operator.create_l3(&l2, &format!("service-{round}")).await.unwrap();
        operator.activate(&l3).await.unwrap();

        let answered = Arc::new(AtomicBool::new(false));
        let mut gateways = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let (gateway, l3, answered) = (rig.gateway("acme-gateway"), l3.clone(), Arc::clone(&answered));
            gateways.spawn(async move {
                let (mut wrapped, mut late) = (0, 0);
                loop {
                    let asked_after = answered.load(Ordering::SeqCst);
                    match gateway.wrap(&l3, &object(), b"x").await {
                        Ok(_) if asked_after => late += 1,
                        Ok(_) => wrapped += 1,
                        Err(_) if asked_after => return (wrapped, late),
                        Err(_) => (),
                    }
                }
            });
        }
        // Keys are opened and wiped in turns before the revocation, so that it meets keys which are being opened.
        for comment in 0..3 {
            let comment = Attribute::Comment(format!("{comment}").into());
            let request = SetAttributeRequest {
                unique_identifier: named(&l2),
                new_attribute: Attributes::new([comment]),
            };
            operator.call(request).await.unwrap();
        }
        operator.revoke(&l1, RevocationReasonCode::CessationOfOperation).await.unwrap();
        answered.store(true, Ordering::SeqCst);
        for (_, late) in gateways.join_all().await {
            assert_eq!(late, 0);
        }
        assert_eq!(rig.core().opened_keys(), 0);
    }
}
