//! A Gateway sees and uses the L3s of its own tenants. Those of others are as if they did not exist.

use bytes::Bytes;
use bytestring::ByteString;
use key_service::chain::tenant_attribute;
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;
use kmip_protocol::tag;
use kmip_protocol::version::V2_1;

use crate::client::*;
use crate::rig::Rig;

/// The answer without its time stamp and without the identifier that the request named.
fn comparable(answer: &Bytes, identifier: &ByteString) -> Vec<u8> {
    let mut bytes = answer.to_vec();
    let stamp = [&tag::TIME_STAMP.value().to_be_bytes()[1..], &[0x09, 0, 0, 0, 8]].concat();
    let at = bytes.windows(stamp.len()).position(|window| window == stamp).unwrap();
    bytes[at + 8..at + 16].fill(0);
    assert!(!bytes.windows(identifier.len()).any(|window| window == identifier.as_bytes()));
    bytes
}

#[tokio::test]
async fn another_tenants_key_is_as_unknown_as_no_key() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let globex = operator.provision("globex").await;
    let owner = rig.gateway("acme-gateway");
    let blob = owner.wrap(&acme.l3, &object(), b"the key").await.unwrap();
    let stranger = rig.gateway("globex-gateway");
    stranger.wrap(&globex.l3, &object(), b"own").await.unwrap();

    let unknown: ByteString = "00000000-0000-4000-8000-000000000000".into();
    let requests = |key: &ByteString| -> Vec<Request> {
        vec![
            wrap(key, &object(), b"x").into(),
            unwrap(key, &object(), &blob).into(),
            ObtainLeaseRequest { unique_identifier: named(key) }.into(),
            GetAttributesRequest { unique_identifier: named(key), attribute_references: Vec::new() }.into(),
            GetAttributeListRequest { unique_identifier: named(key) }.into(),
            locate([Attribute::UniqueIdentifier(key.clone())]).into(),
            get(key).into(),
            DestroyRequest { unique_identifier: named(key) }.into(),
        ]
    };
    let expected: Vec<Vec<u8>> = {
        let mut answers = Vec::new();
        for request in requests(&unknown) {
            answers.push(comparable(&stranger.raw(V2_1, &[request]).await, &unknown));
        }
        answers
    };
    // Warm (acme's L3 is unsealed just now) as well as cold, and of every level.
    for key in [&acme.l3, &acme.l2, &acme.l1, &globex.l2, &globex.l1] {
        for (request, expected) in requests(key).into_iter().zip(&expected) {
            let operation = request.operation();
            let answer = stranger.raw(V2_1, &[request]).await;
            assert_eq!(comparable(&answer, key), *expected, "{operation}");
        }
    }
}

#[tokio::test]
async fn a_foreign_request_unseals_nothing() {
    let mut rig = Rig::start().await;
    let acme = rig.operator().provision("acme").await;
    rig.restart().await;
    let refused = rig.gateway("globex-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::ObjectNotFound);
    assert_eq!(rig.core().opened_keys(), 0);
}

#[tokio::test]
async fn locate_shows_the_l3s_of_own_tenants_only() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let (acme, globex) = (operator.provision("acme").await, operator.provision("globex").await);
    let (acme_gateway, both) = (rig.gateway("acme-gateway"), rig.gateway("both-gateway"));
    assert_eq!(operator.locate([]).await.unwrap().len(), 6);
    assert_eq!(operator.locate([tenant_attribute("acme")]).await.unwrap().len(), 3);
    assert_eq!(acme_gateway.locate([]).await.unwrap(), std::slice::from_ref(&acme.l3));
    assert_eq!(both.locate([]).await.unwrap(), [globex.l3.clone(), acme.l3.clone()]);
    assert_eq!(both.locate([tenant_attribute("acme")]).await.unwrap(), std::slice::from_ref(&acme.l3));
    assert!(acme_gateway.locate([tenant_attribute("globex")]).await.unwrap().is_empty());
    assert!(acme_gateway.locate([tenant_attribute("nobody")]).await.unwrap().is_empty());

    let wanted = [
        tenant_attribute("acme"),
        Attribute::ObjectGroup("default".into()),
        Attribute::State(State::Active),
        Attribute::ObjectType(ObjectType::SymmetricKey),
    ];
    assert_eq!(acme_gateway.locate(wanted).await.unwrap(), std::slice::from_ref(&acme.l3));
    let counted = LocateRequest { maximum_items: Some(1), ..locate([]) };
    let counted = acme_gateway.ask::<LocateResponse>(counted).await.unwrap();
    assert_eq!((counted.unique_identifiers.len(), counted.located_items), (1, Some(1)));
}

#[tokio::test]
async fn pages_of_the_view_are_filled_up() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let globex = operator.provision("globex").await;
    // More objects of others, before and after, than one page of a search has.
    for round in 0..3 {
        for index in 0..100 {
            operator.create_l3(&globex.l2, &format!("service-{round}-{index}")).await.unwrap();
        }
        operator.create_l3(&acme.l2, &format!("own-{round}")).await.unwrap();
    }
    assert_eq!(rig.gateway("acme-gateway").locate([]).await.unwrap().len(), 4);
    assert_eq!(operator.locate([]).await.unwrap().len(), 6 + 303);
}
