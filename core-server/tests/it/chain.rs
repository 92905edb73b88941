//! L1, L2 and L3 as KMIP objects: how operators make them, and what they look like.

use key_service::chain::tenant_attribute;
use kmip_protocol::attribute::{Attribute, AttributeType, KeyValueLocation};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::*;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

#[tokio::test]
async fn a_chain_is_registered_and_created() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;

    let l1 = operator.attributes(&chain.l1).await.unwrap();
    assert!(l1.contains(&tenant_attribute("acme")) && l1.contains(&Attribute::KeyValuePresent(false)));
    assert!(l1.contains(&Attribute::State(State::Active)));

    let l2 = operator.attributes(&chain.l2).await.unwrap();
    let wraps = CryptographicUsageMask::WRAP_KEY | CryptographicUsageMask::UNWRAP_KEY;
    for expected in [
        link(&chain.l1),
        tenant_attribute("acme"),
        Attribute::CryptographicUsageMask(wraps),
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
        Attribute::CryptographicLength(256),
        Attribute::AlwaysSensitive(true),
        Attribute::NeverExtractable(true),
    ] {
        assert!(l2.contains(&expected), "{expected:?} in {l2:?}");
    }

    let l3 = operator.attributes(&chain.l3).await.unwrap();
    let encrypts = CryptographicUsageMask::ENCRYPT | CryptographicUsageMask::DECRYPT;
    for expected in [
        link(&chain.l2),
        tenant_attribute("acme"),
        Attribute::ObjectGroup("default".into()),
        Attribute::CryptographicUsageMask(encrypts),
    ] {
        assert!(l3.contains(&expected), "{expected:?} in {l3:?}");
    }
    for attribute in l2.iter().chain(&l3) {
        let kind = attribute.attribute_type();
        assert!(
            !matches!(kind, Some(AttributeType::Digest | AttributeType::KeyValuePresent)),
            "{attribute:?}"
        );
    }
}

#[tokio::test]
async fn keys_made_with_an_activation_date_are_active_at_once() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let l1 = l1_attributes("acme", "software:acme").into_iter().chain([active_since_long()]);
    let l1 = operator.ask::<RegisterResponse>(register(l1, None)).await.unwrap().unique_identifier;
    let l2 = create([link(&l1), active_since_long()]);
    let l2 = operator.ask::<CreateResponse>(l2).await.unwrap().unique_identifier;
    let l3 = create([link(&l2), active_since_long(), Attribute::ObjectGroup("tapes".into())]);
    let l3 = operator.ask::<CreateResponse>(l3).await.unwrap().unique_identifier;
    let gateway = rig.gateway("acme-gateway");
    let blob = gateway.wrap(&l3, &object(), b"key").await.unwrap();
    assert_eq!(gateway.unwrap(&l3, &object(), &blob).await.unwrap(), b"key");

    let later = create([link(&l2), Attribute::ActivationDate(DateTime(i64::MAX / 2))]);
    assert_eq!(operator.refused(later).await, ResultReason::InvalidField);
}

#[tokio::test]
async fn only_what_belongs_into_a_chain_is_taken() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let group = || Attribute::ObjectGroup("tapes".into());
    let l1 = || l1_attributes("globex", "software:globex");
    let plain = KeyValueLocation {
        value: "software:x".into(),
        location_type: KeyValueLocationType::UninterpretedTextString,
    };
    use ResultReason as R;
    let registers = [
        (register(l1(), Some(&[7; 32])), R::PermissionDenied),
        (register([l1().remove(0)], None), R::MissingData),
        (register([l1().remove(1)], None), R::MissingData),
        (register([l1().remove(0), Attribute::KeyValueLocation(plain)], None), R::InvalidField),
        (register(l1_attributes("globex", "pkcs11:token=none"), None), R::PermissionDenied),
        (register(l1_attributes("globex", "software:../x"), None), R::PermissionDenied),
        (register(l1_attributes("a/b", "software:x"), None), R::InvalidField),
        (register(l1().into_iter().chain([group()]), None), R::InvalidField),
        (register(l1().into_iter().chain([link(&chain.l2)]), None), R::InvalidField),
    ];
    for (request, reason) in registers {
        assert_eq!(operator.refused(request).await, reason);
    }
    let creates = [
        (create([]), R::MissingData),
        (create([link(&"nothing".into())]), R::ObjectNotFound),
        (create([link(&chain.l1), link(&chain.l2)]), R::InvalidField),
        (create([link(&chain.l3)]), R::InvalidField),
        (create([link(&chain.l1), group()]), R::InvalidField),
        (create([link(&chain.l2), group(), Attribute::ObjectGroup("disks".into())]), R::InvalidField),
        (create([link(&chain.l2), Attribute::ObjectGroup("a/b".into())]), R::InvalidField),
        (create([link(&chain.l2), tenant_attribute("globex")]), R::InvalidField),
        (create([link(&chain.l2), Attribute::CryptographicLength(128)]), R::InvalidField),
        (
            create([link(&chain.l2), Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aria)]),
            R::InvalidField,
        ),
        (
            CreateRequest { object_type: ObjectType::SecretData, ..create([link(&chain.l1)]) },
            R::InvalidObjectType,
        ),
    ];
    for (request, reason) in creates {
        assert_eq!(operator.refused(request).await, reason);
    }
    assert_eq!(operator.locate([]).await.unwrap().len(), 3, "nothing else was made");
}

#[tokio::test]
async fn keys_are_made_under_active_keys_only() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let l1 = operator.register_l1("acme").await.unwrap();
    assert_eq!(operator.create_l2(&l1).await.unwrap_err().reason, ResultReason::PermissionDenied);
    operator.activate(&l1).await.unwrap();
    let l2 = operator.create_l2(&l1).await.unwrap();
    assert_eq!(operator.create_l3(&l2, "default").await.unwrap_err().reason, ResultReason::PermissionDenied);
    operator.activate(&l2).await.unwrap();
    operator.create_l3(&l2, "default").await.unwrap();
}

#[tokio::test]
async fn one_l3_of_a_service_is_active() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let second = operator.create_l3(&chain.l2, "default").await.unwrap();
    let refused = operator.activate(&second).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::WrongKeyLifecycleState, "{}", refused.message);
    assert_eq!(operator.state(&second).await, State::PreActive);
    let at_once = create([link(&chain.l2), active_since_long()]);
    assert_eq!(operator.refused(at_once).await, ResultReason::WrongKeyLifecycleState);

    let other_service = operator.create_l3(&chain.l2, "tapes").await.unwrap();
    operator.activate(&other_service).await.unwrap();
    operator.revoke(&chain.l3, RevocationReasonCode::Superseded).await.unwrap();
    operator.activate(&second).await.unwrap();

    // A Deactivation Date that has come leaves the service to the next one, too.
    let past = Attribute::DeactivationDate(DateTime(1_000_000_000));
    let request = SetAttributeRequest {
        unique_identifier: named(&second),
        new_attribute: kmip_protocol::attribute::Attributes::new([past]),
    };
    operator.call(request).await.unwrap();
    assert_eq!(operator.state(&second).await, State::Deactivated);
    let third = operator.create_l3(&chain.l2, "default").await.unwrap();
    operator.activate(&third).await.unwrap();
    let active =
        operator.locate([Attribute::ObjectGroup("default".into()), Attribute::State(State::Active)]).await;
    assert_eq!(active.unwrap(), [third]);
}

#[tokio::test]
async fn of_many_activations_at_once_one_wins() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let mut keys = Vec::new();
    for _ in 0..8 {
        keys.push(operator.create_l3(&chain.l2, "tapes").await.unwrap());
    }
    let mut activations = tokio::task::JoinSet::new();
    for key in keys {
        let operator = rig.operator();
        activations.spawn(async move { operator.activate(&key).await });
    }
    let outcomes = activations.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
}
