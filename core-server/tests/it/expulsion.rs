//! Revoke of a Gateway: it is let in no more, and the answer comes when its leases are gone.

use std::time::{Duration, Instant};

use key_service::chain::{GATEWAY_GROUP, gateway_object};
use kmip_protocol::attribute::{Attribute, Attributes, Name};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

const COMPROMISE: RevocationReasonCode = RevocationReasonCode::KeyCompromise;

#[tokio::test]
async fn operators_see_each_gateway_and_nobody_else_does() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let mut found = operator.locate([Attribute::ObjectGroup(GATEWAY_GROUP.into())]).await.unwrap();
    found.sort();
    let names = ["acme-gateway", "both-gateway", "globex-gateway", "mail-gateway"];
    assert_eq!(found, names.map(gateway_object));
    let name = Attribute::Name(Name {
        value: gateway_object("acme-gateway"),
        name_type: NameType::UninterpretedTextString,
    });
    assert_eq!(operator.locate([name]).await.unwrap(), [gateway_object("acme-gateway")]);
    assert_eq!(operator.state(&gateway_object("acme-gateway")).await, State::Active);
    assert_eq!(operator.locate([]).await.unwrap().len(), 3);
    let gateway = rig.gateway("acme-gateway");
    let unknown = gateway.attributes(&gateway_object("acme-gateway")).await.unwrap_err();
    assert_eq!(unknown.reason, ResultReason::ObjectNotFound);
    assert_eq!(gateway.locate([]).await.unwrap(), [acme.l3]);
}

#[tokio::test]
async fn a_revoked_gateway_is_let_in_no_more_and_its_leases_are_waited_for() {
    let mut rig = Rig::start_with("requests = { lease_time_seconds = 1, longest_lease_seconds = 1 }").await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let (thief, owner) = (rig.gateway("both-gateway"), rig.gateway("acme-gateway"));
    let blob = thief.wrap(&acme.l3, &object(), b"the key").await.unwrap();
    // Past the time in which there may be leases from before the start.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    thief.call(ObtainLeaseRequest { unique_identifier: named(&acme.l3) }).await.unwrap();
    owner.call(ObtainLeaseRequest { unique_identifier: named(&acme.l3) }).await.unwrap();
    let revoked = Instant::now();
    operator.revoke(&gateway_object("both-gateway"), COMPROMISE).await.unwrap();
    // It has no connection over which it could give up its lease.
    let waited = revoked.elapsed();
    assert!(waited > Duration::from_millis(900), "{waited:?}");
    let refuses = async |rig: &Rig, thief: &Party| {
        let requests: Vec<Request> = vec![
            unwrap(&acme.l3, &object(), &blob).into(),
            ObtainLeaseRequest { unique_identifier: named(&acme.l3) }.into(),
            PingRequest {}.into(),
            locate([]).into(),
        ];
        for answer in thief.batch(&requests).await {
            let refused = answer.unwrap_err();
            assert_eq!(refused.reason, ResultReason::PermissionDenied);
            assert_eq!(refused.message, "this Gateway was revoked");
        }
        assert_eq!(rig.operator().state(&gateway_object("both-gateway")).await, State::Compromised);
    };
    // On the old connection, and on a new one after that.
    refuses(&rig, &thief).await;
    refuses(&rig, &thief).await;
    refuses(&rig, &rig.gateway("both-gateway")).await;
    assert_eq!(owner.unwrap(&acme.l3, &object(), &blob).await.unwrap(), b"the key");
    rig.restart().await;
    refuses(&rig, &rig.gateway("both-gateway")).await;
    // Neither does it come back by being destroyed.
    rig.operator().destroy(&gateway_object("both-gateway")).await.unwrap();
    rig.restart().await;
    let refused = rig.gateway("both-gateway").call(PingRequest {}).await.unwrap_err();
    assert_eq!(refused.message, "this Gateway was revoked");
    rig.gateway("acme-gateway").call(PingRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_gateway_that_ends_by_its_date_is_let_in_no_more() {
    let rig = Rig::start_with(
        "policy = { poll_interval_seconds = 0.05 }\nrequests = { lease_time_seconds = 1, longest_lease_seconds = 1 }",
    )
    .await;
    let operator = rig.operator();
    let ends = AddAttributeRequest {
        unique_identifier: named(&gateway_object("acme-gateway")),
        new_attribute: Attributes::new([Attribute::DeactivationDate(DateTime(1_000_000_000))]),
    };
    operator.call(ends).await.unwrap();
    let gateway = rig.gateway("acme-gateway");
    for _ in 0..100 {
        if gateway.call(PingRequest {}).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the Gateway is still let in");
}
