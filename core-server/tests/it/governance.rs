//! The governance policy at a running Core: bundles, what they permit, and what they cannot forbid.

use bytestring::ByteString;
use core_server::governed::NAMESPACE;
use governance::{Bundle, Header};
use key_service::audit_log::SigningKey;
use key_service::chain::{
    POLICY_BUNDLE, POLICY_DATA_TYPE, POLICY_GROUP, POLICY_OBJECT, POLICY_SIGNER, POLICY_VERSION,
    own_attribute, own_value,
};
use key_service::port::SystemEntropy;
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::codec::{DateTime, Secret};
use kmip_protocol::enumeration::*;
use kmip_protocol::object::{ManagedObject, OpaqueObject};
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

/// Headquarters.
pub struct Headquarters(SigningKey);

impl Headquarters {
    pub fn new() -> Self {
        Self(SigningKey::generate("headquarters", &SystemEntropy::new()).unwrap())
    }

    /// A configuration that trusts it.
    pub fn trusted(&self, required: bool) -> String {
        format!("policy = {{ trusted_keys = [\"{}\"], required = {required} }}", self.0.verifier())
    }

    pub fn sign(&self, header: &Header, policies: &str) -> String {
        Bundle::sign(header, policies, &self.0).unwrap()
    }

    pub fn bundle(&self, version: u64, policies: &str) -> String {
        self.sign(&header(version), policies)
    }
}

fn header(version: u64) -> Header {
    Header { version, regions: vec!["*".to_owned()], not_before: None, not_after: None }
}

pub async fn apply(party: &Party, bundle: &str) -> Result<(), Failed> {
    let object = OpaqueObject {
        opaque_data_type: POLICY_DATA_TYPE,
        opaque_data_value: Secret::copy_from_slice(bundle.as_bytes()),
    };
    let request = RegisterRequest {
        object_type: ObjectType::OpaqueObject,
        attributes: Attributes::default(),
        object: ManagedObject::OpaqueObject(object),
        protection_storage_masks: None,
    };
    let response = party.ask::<RegisterResponse>(request).await?;
    assert_eq!(response.unique_identifier, POLICY_OBJECT);
    Ok(())
}

const OPERATORS: &str = "permit (principal is Krypton::Operator, action in [Krypton::Action::\"administer\", Krypton::Action::\"read\"], resource);\n";

/// `both-gateway` may use the service `default` of acme, and nothing else.
const NARROW: &str = "@id(\"narrow-secret-id\") permit (principal == Krypton::Gateway::\"both-gateway\", \
     action in [Krypton::Action::\"use\", Krypton::Action::\"read\"], \
     resource in Krypton::Service::\"acme/default\");\n";

const EVERYTHING: &str = "permit (principal, action, resource);\n";

/// Two tenants, and a second service `mail` of the first: the policies here tell all three apart.
async fn provision_two(operator: &Party) -> (Chain, Chain, ByteString) {
    let (acme, globex) = (operator.provision("acme").await, operator.provision("globex").await);
    let mail = operator.create_l3(&acme.l2, "mail").await.unwrap();
    operator.activate(&mail).await.unwrap();
    (acme, globex, mail)
}

#[tokio::test]
async fn a_stolen_certificate_opens_what_the_policy_says_and_nothing_else() {
    let headquarters = Headquarters::new();
    let rig = Rig::start_with(&headquarters.trusted(false)).await;
    let operator = rig.operator();
    let (acme, globex, mail) = provision_two(&operator).await;
    let gateway = rig.gateway("both-gateway");
    // The built-in policies are in force: what the configuration has is open.
    let mut blobs = Vec::new();
    for key in [&acme.l3, &globex.l3, &mail] {
        blobs.push((key, gateway.wrap(key, &object(), b"the key").await.unwrap()));
    }
    apply(&operator, &headquarters.bundle(1, &(OPERATORS.to_owned() + NARROW))).await.unwrap();
    assert_eq!(rig.metric("krypton_core_policy_version").await, 1);
    let (key, blob) = &blobs[0];
    assert_eq!(gateway.unwrap(key, &object(), blob).await.unwrap(), b"the key");
    gateway.call(ObtainLeaseRequest { unique_identifier: named(key) }).await.unwrap();
    for (key, blob) in &blobs[1..] {
        let refusals = [
            gateway.unwrap(key, &object(), blob).await.unwrap_err(),
            gateway.wrap(key, &object(), b"x").await.unwrap_err(),
            gateway.call(ObtainLeaseRequest { unique_identifier: named(key) }).await.unwrap_err(),
            gateway.attributes(key).await.unwrap_err(),
        ];
        for refused in refusals {
            assert_eq!(refused.reason, ResultReason::PermissionDenied);
            assert_eq!(refused.message, "the policy does not permit this");
        }
    }
    // What may not be read is not found either.
    assert_eq!(gateway.locate([]).await.unwrap(), std::slice::from_ref(&acme.l3));
    // Nobody else is permitted anything.
    let other = rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(other.reason, ResultReason::PermissionDenied);
    assert!(rig.metric(r#"krypton_core_policy_denials_total{action="unwrap"}"#).await >= 2);
}

#[tokio::test]
async fn what_the_policy_hides_does_not_end_a_search() {
    let headquarters = Headquarters::new();
    let page = "requests.maximum_located_items = 2";
    let rig = Rig::start_with(&format!("{}\n{page}", headquarters.trusted(false))).await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    // Several pages of these are found before the one that is shown.
    for number in 0..7 {
        operator.create_l3(&acme.l2, &format!("hidden-{number}")).await.unwrap();
    }
    apply(&operator, &headquarters.bundle(1, &(OPERATORS.to_owned() + NARROW))).await.unwrap();
    let gateway = rig.gateway("both-gateway");
    assert_eq!(gateway.locate([]).await.unwrap(), std::slice::from_ref(&acme.l3));
    let paged = |offset| LocateRequest {
        maximum_items: Some(1),
        offset_items: Some(offset),
        storage_status_mask: None,
        object_group_member: None,
        attributes: Attributes::default(),
    };
    let found = gateway.ask::<LocateResponse>(paged(0)).await.unwrap();
    assert_eq!((found.located_items, found.unique_identifiers), (None, vec![acme.l3.clone()]));
    assert!(gateway.ask::<LocateResponse>(paged(1)).await.unwrap().unique_identifiers.is_empty());
    assert_eq!(gateway.refused(paged(-1)).await, ResultReason::InvalidField);
    for number in 7..70 {
        operator.create_l3(&acme.l2, &format!("hidden-{number}")).await.unwrap();
    }
    assert_eq!(gateway.refused(paged(0)).await, ResultReason::ServerLimitExceeded);
}

#[tokio::test]
async fn the_configuration_is_the_outer_wall() {
    let headquarters = Headquarters::new();
    let rig = Rig::start_with(&headquarters.trusted(false)).await;
    let operator = rig.operator();
    let (acme, globex, mail) = provision_two(&operator).await;
    apply(&operator, &headquarters.bundle(1, EVERYTHING)).await.unwrap();
    let gateway = rig.gateway("mail-gateway");
    gateway.wrap(&mail, &object(), b"x").await.unwrap();
    rig.gateway("both-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap();
    for key in [&acme.l3, &globex.l3, &acme.l2] {
        assert_eq!(
            gateway.wrap(key, &object(), b"x").await.unwrap_err().reason,
            ResultReason::ObjectNotFound
        );
    }
    assert_eq!(gateway.locate([]).await.unwrap(), [mail]);
}

#[tokio::test]
async fn a_bad_bundle_changes_nothing_and_says_why() {
    let headquarters = Headquarters::new();
    let mut rig = Rig::start_with(&format!("region = \"eu-1\"\n{}", headquarters.trusted(false))).await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let everything = headquarters.bundle(7, EVERYTHING);
    apply(&operator, &everything).await.unwrap();
    let of = |change: fn(&mut Header)| {
        let mut header = header(8);
        change(&mut header);
        headquarters.sign(&header, OPERATORS)
    };
    let refused = [
        (Headquarters::new().bundle(8, OPERATORS), "not signed by a trusted key"),
        (
            headquarters.bundle(8, OPERATORS).replace("is Krypton::Operator", "is Krypton::Gateway"),
            "does not verify",
        ),
        ("permit (principal, action, resource);".to_owned(), "does not verify"),
        (headquarters.bundle(8, "permit (principal, action);\n"), "cannot be read"),
        (
            headquarters.bundle(8, "permit (principal, action == Krypton::Action::\"fly\", resource);\n"),
            "schema",
        ),
        (headquarters.bundle(7, OPERATORS), "version 7, and differs"),
        (headquarters.bundle(6, OPERATORS), "it has version 6; there has been version 7"),
        (of(|header| header.regions = vec!["us-1".to_owned()]), "it is for us-1, this is eu-1"),
        (of(|header| header.not_before = Some(i64::from(u32::MAX))), "it is not before 2106-02-07"),
        (of(|header| header.not_after = Some(1_000)), "its time ended 1970-01-01T00:16:40Z"),
    ];
    for (bundle, why) in &refused {
        let failed = apply(&operator, bundle).await.unwrap_err();
        assert_eq!(failed.reason, ResultReason::InvalidField, "{}", failed.message);
        assert!(failed.message.contains(why), "{why}: {}", failed.message);
    }
    assert_eq!(rig.metric("krypton_core_policy_bundles_refused_total").await, refused.len() as u64);
    let attributes = operator.attributes(&POLICY_OBJECT.into()).await.unwrap();
    assert_eq!(own_value(&attributes, POLICY_BUNDLE).unwrap(), &*everything);
    rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap();
    // Delivered again, it is no news.
    apply(&operator, &everything).await.unwrap();
    apply(&operator, &headquarters.bundle(8, OPERATORS)).await.unwrap();
    let denied = rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(denied.reason, ResultReason::PermissionDenied);
    rig.restart().await;
    assert_eq!(rig.metric("krypton_core_policy_version").await, 8);
    let denied = rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(denied.reason, ResultReason::PermissionDenied);
}

#[tokio::test]
async fn the_policy_is_an_object_apart_from_the_chain() {
    let headquarters = Headquarters::new();
    let rig = Rig::start_with(&headquarters.trusted(false)).await;
    let operator = rig.operator();
    operator.provision("acme").await;
    apply(&operator, &headquarters.bundle(3, EVERYTHING)).await.unwrap();
    let policy = POLICY_OBJECT.into();
    assert_eq!(operator.locate([]).await.unwrap().len(), 3);
    let found = operator.locate([Attribute::ObjectGroup(POLICY_GROUP.into())]).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&policy));
    let attributes = operator.attributes(&policy).await.unwrap();
    assert_eq!(own_value(&attributes, POLICY_VERSION).unwrap(), "3");
    assert_eq!(own_value(&attributes, POLICY_SIGNER).unwrap(), "headquarters");
    // Only a newer bundle takes its place.
    let denied = ResultReason::PermissionDenied;
    assert_eq!(operator.destroy(&policy).await.unwrap_err().reason, denied);
    assert_eq!(operator.activate(&policy).await.unwrap_err().reason, denied);
    let compromise = RevocationReasonCode::KeyCompromise;
    assert_eq!(operator.revoke(&policy, compromise).await.unwrap_err().reason, denied);
    let add = AddAttributeRequest {
        unique_identifier: named(&policy),
        new_attribute: Attributes::new([Attribute::ObjectGroup("x".into())]),
    };
    assert_eq!(operator.refused(add).await, denied);
    // Gateways neither see nor bring one.
    let gateway = rig.gateway("acme-gateway");
    assert_eq!(gateway.attributes(&policy).await.unwrap_err().reason, ResultReason::ObjectNotFound);
    let by_gateway = apply(&gateway, &headquarters.bundle(4, OPERATORS)).await.unwrap_err();
    assert_eq!(by_gateway.reason, denied);
}

#[tokio::test]
async fn where_a_policy_is_required_nothing_goes_without_one_but_the_kill_switch() {
    let headquarters = Headquarters::new();
    let mut rig = Rig::start().await;
    let acme = rig.operator().provision("acme").await;
    let globex = rig.operator().provision("globex").await;
    rig.front = headquarters.trusted(true);
    rig.restart().await;
    let (operator, gateway) = (rig.operator(), rig.gateway("both-gateway"));
    let denied = ResultReason::PermissionDenied;
    assert_eq!(gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err().reason, denied);
    assert_eq!(operator.create_l3(&acme.l2, "mail").await.unwrap_err().reason, denied);
    assert_eq!(operator.register_l1("initech").await.unwrap_err().reason, denied);
    // To retire a key is administration, to close one is not.
    let retired = operator.revoke(&acme.l3, RevocationReasonCode::CessationOfOperation).await;
    assert_eq!(retired.unwrap_err().reason, denied);
    operator.revoke(&globex.l3, RevocationReasonCode::KeyCompromise).await.unwrap();
    operator.revoke(&globex.l1, RevocationReasonCode::CessationOfOperation).await.unwrap();
    apply(&operator, &headquarters.bundle(1, EVERYTHING)).await.unwrap();
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    assert_eq!(operator.state(&globex.l1).await, State::Deactivated);
}

#[tokio::test]
async fn who_may_not_revoke_ends_no_key_by_its_attributes_and_who_may_only_read_drills_none() {
    let headquarters = Headquarters::new();
    let rig = Rig::start_with(&headquarters.trusted(false)).await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let permit = |actions: &str| {
        let actions: Vec<_> = actions.split(' ').map(|name| format!("Krypton::Action::\"{name}\"")).collect();
        format!("permit (principal is Krypton::Operator, action in [{}], resource);\n", actions.join(", "))
    };
    let set = |key: &ByteString, attribute: &Attribute| SetAttributeRequest {
        unique_identifier: named(key),
        new_attribute: Attributes::new([attribute.clone()]),
    };
    let denied = ResultReason::PermissionDenied;
    apply(&operator, &headquarters.bundle(1, &permit("read"))).await.unwrap();
    operator.attributes(&acme.l1).await.unwrap();
    assert_eq!(operator.drill(&acme.l1).await.unwrap_err().reason, denied);

    apply(&operator, &headquarters.bundle(2, &permit("read manage"))).await.unwrap();
    operator.drill(&acme.l1).await.unwrap();
    let later = DateTime(i64::from(u32::MAX));
    let bounds = [
        Attribute::DeactivationDate(later),
        Attribute::ProtectStopDate(later),
        Attribute::ProcessStartDate(later),
    ];
    for key in [&acme.l1, &acme.l2, &acme.l3] {
        for bound in &bounds {
            assert_eq!(operator.refused(set(key, bound)).await, denied, "{bound:?}");
        }
        let added = AddAttributeRequest {
            unique_identifier: named(key),
            new_attribute: Attributes::new([bounds[0].clone()]),
        };
        assert_eq!(operator.refused(added).await, denied);
        operator.call(set(key, &Attribute::Comment("kept".into()))).await.unwrap();
    }
    assert_eq!(operator.state(&acme.l3).await, State::Active);

    apply(&operator, &headquarters.bundle(3, &permit("read manage revoke"))).await.unwrap();
    operator.call(set(&acme.l3, &bounds[0])).await.unwrap();
    // It is not put off either.
    apply(&operator, &headquarters.bundle(4, &permit("read manage"))).await.unwrap();
    let never = Attribute::DeactivationDate(DateTime(i64::from(u32::MAX) * 2));
    assert_eq!(operator.refused(set(&acme.l3, &never)).await, denied);
}

#[tokio::test]
async fn counts_and_time_are_looked_at_each_time() {
    let headquarters = Headquarters::new();
    let rig = Rig::start_with(&headquarters.trusted(false)).await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let few = "permit (principal is Krypton::Gateway, action, resource) when { context.unwraps_last_minute < 3 };\n\
               forbid (principal, action == Krypton::Action::\"wrap\", resource) when { context.epoch > 1000000000 };\n";
    let gateway = rig.gateway("acme-gateway");
    let blob = gateway.wrap(&acme.l3, &object(), b"the key").await.unwrap();
    apply(&operator, &headquarters.bundle(1, few)).await.unwrap();
    for _ in 0..3 {
        gateway.unwrap(&acme.l3, &object(), &blob).await.unwrap();
    }
    let denied = ResultReason::PermissionDenied;
    assert_eq!(gateway.unwrap(&acme.l3, &object(), &blob).await.unwrap_err().reason, denied);
    assert_eq!(gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err().reason, denied);
}

#[tokio::test]
async fn a_policy_whose_key_is_trusted_no_more_permits_nothing() {
    let headquarters = Headquarters::new();
    let mut rig = Rig::start_with(&headquarters.trusted(false)).await;
    let acme = rig.operator().provision("acme").await;
    apply(&rig.operator(), &headquarters.bundle(1, EVERYTHING)).await.unwrap();
    rig.front = Headquarters::new().trusted(false);
    rig.restart().await;
    let denied = rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(denied.reason, ResultReason::PermissionDenied);
}

/// Writes attributes of an old record of the policy into the newer one, under another number.
fn bring_back(record: &mut Record, old: &Record, number: &str) {
    record.attributes = old.attributes.clone();
    let version = own_value(old.attributes.iter(), POLICY_VERSION).unwrap().clone();
    for instance in &mut record.attributes.instances {
        if instance.attribute == own_attribute(POLICY_VERSION, &version) {
            instance.attribute = own_attribute(POLICY_VERSION, number);
        }
    }
}

#[tokio::test]
async fn an_old_bundle_that_is_written_into_the_store_is_refused_and_the_last_good_one_stays() {
    let headquarters = Headquarters::new();
    let mut rig = Rig::start_with(&headquarters.trusted(false)).await;
    let acme = rig.operator().provision("acme").await;
    apply(&rig.operator(), &headquarters.bundle(1, EVERYTHING)).await.unwrap();
    rig.stop().await;
    let old = rig.edit_in(NAMESPACE, POLICY_OBJECT, |_| ()).await;
    rig.restart().await;
    let second = headquarters.bundle(2, OPERATORS);
    apply(&rig.operator(), &second).await.unwrap();
    rig.stop().await;
    rig.edit_in(NAMESPACE, POLICY_OBJECT, |record| bring_back(record, &old, "2")).await;
    assert!(rig.start_refused().await.contains("another policy 2 than was in force"));
    rig.edit_in(NAMESPACE, POLICY_OBJECT, |record| bring_back(record, &old, "99")).await;
    rig.restart().await;
    assert_eq!(rig.metric("krypton_core_policy_version").await, 2);
    assert!(rig.metric("krypton_core_policy_bundles_refused_total").await >= 1);
    // Operators are told what is in force, not what somebody has written.
    let told = rig.operator().attributes(&POLICY_OBJECT.into()).await.unwrap();
    let value = |name| own_value(&told, name).map(|value| value.to_string());
    assert_eq!((value(POLICY_VERSION), value(POLICY_BUNDLE)), (Some("2".to_owned()), Some(second.clone())));
    assert_eq!(value(POLICY_SIGNER).unwrap(), "headquarters");
    let denied = rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(denied.reason, ResultReason::PermissionDenied);
    // Headquarters' newest bundle, delivered again, puts the store right; an older one is refused as ever.
    let refused = apply(&rig.operator(), &headquarters.bundle(1, EVERYTHING)).await.unwrap_err();
    assert!(refused.message.contains("there has been version 2"), "{}", refused.message);
    apply(&rig.operator(), &second).await.unwrap();
    let attributes = rig.operator().attributes(&POLICY_OBJECT.into()).await.unwrap();
    assert_eq!(own_value(&attributes, POLICY_VERSION).unwrap(), "2");
    apply(&rig.operator(), &headquarters.bundle(3, EVERYTHING)).await.unwrap();
    rig.gateway("acme-gateway").wrap(&acme.l3, &object(), b"x").await.unwrap();
}

/// How many of some requests, sent so often, are granted. The others are refused for a budget.
async fn within_budget(gateway: &Party, requests: &[Request], rounds: usize, budget: &str) -> u64 {
    let mut granted = 0;
    for _ in 0..rounds {
        for answer in gateway.batch(requests).await {
            match answer {
                Ok(_) => granted += 1,
                Err(refused) => {
                    assert_eq!(refused.reason, ResultReason::ServerLimitExceeded);
                    assert!(refused.message.contains(budget), "{}", refused.message);
                }
            }
        }
    }
    granted
}

#[tokio::test]
async fn a_bulk_theft_is_cut_off_and_others_are_not() {
    let rig = Rig::start_with("budget = { unwraps_per_second = 1, unwrap_burst = 50 }").await;
    let operator = rig.operator();
    let (acme, globex) = (operator.provision("acme").await, operator.provision("globex").await);
    let (thief, owner) = (rig.gateway("both-gateway"), rig.gateway("acme-gateway"));
    let blob = owner.wrap(&acme.l3, &object(), b"the key").await.unwrap();
    let of_globex = thief.wrap(&globex.l3, &object(), b"other").await.unwrap();
    let unwraps: Vec<Request> = (0..100).map(|_| unwrap(&acme.l3, &object(), &blob).into()).collect();
    let stolen = within_budget(&thief, &unwraps, 3, "unwrap budget").await;
    // The burst, and what a slow machine adds by the second.
    assert!((50..80).contains(&stolen), "{stolen}");
    let over = rig.metric(r#"krypton_core_unwraps_over_budget_total{gateway="both-gateway"}"#).await;
    assert_eq!(over, 300 - stolen);
    // Neither its other tenant nor the other Gateway is touched; wraps have a budget of their own.
    assert_eq!(thief.unwrap(&globex.l3, &object(), &of_globex).await.unwrap(), b"other");
    assert_eq!(owner.unwrap(&acme.l3, &object(), &blob).await.unwrap(), b"the key");
    thief.wrap(&acme.l3, &object(), b"x").await.unwrap();
}

#[tokio::test]
async fn a_thief_wears_out_no_l3_and_others_go_on() {
    let rotation = "rotation = { maximum_wraps = 100, check_interval_seconds = 0.05 }";
    let budget = "budget = { wraps_per_second = 1, wrap_burst = 50 }";
    let rig = Rig::start_with(&format!("{budget}\n{rotation}")).await;
    let operator = rig.operator();
    let (acme, globex) = (operator.provision("acme").await, operator.provision("globex").await);
    let (thief, owner) = (rig.gateway("both-gateway"), rig.gateway("acme-gateway"));
    let wraps: Vec<Request> = (0..10).map(|_| wrap(&acme.l3, &object(), b"x").into()).collect();
    let wrapped = within_budget(&thief, &wraps, 30, "wrap budget").await;
    // The burst, and what a slow machine adds by the second.
    assert!((50..80).contains(&wrapped), "{wrapped}");
    let over = rig.metric(r#"krypton_core_wraps_over_budget_total{gateway="both-gateway"}"#).await;
    assert_eq!(over, 300 - wrapped);
    // What was refused wears nothing out, and touches neither its other tenant, nor its unwraps, nor the other Gateway.
    let blob = owner.wrap(&acme.l3, &object(), b"the key").await.unwrap();
    assert_eq!(thief.unwrap(&acme.l3, &object(), &blob).await.unwrap(), b"the key");
    thief.wrap(&globex.l3, &object(), b"x").await.unwrap();
    assert_eq!(operator.state(&acme.l3).await, State::Active);
}
