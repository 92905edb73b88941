//! The audit log: what the Core records, and the receipt of a Revoke.

use bytestring::ByteString;
use key_service::audit_log::{AuditSettings, Entry, LogReader, ServerKind, ServerLog, VerifierKey, receipt};
use key_service::chain::{RECEIPT, VENDOR};
use key_service::port::{Clock, Event, Outcome, SystemClock};
use kmip_protocol::attribute::{Attribute, AttributeReference, Attributes, CustomValue};
use kmip_protocol::enumeration::{ResultReason, RevocationReasonCode};
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

fn verifier(rig: &Rig) -> VerifierKey {
    let key = std::fs::read_to_string(rig.folder.path().join("state/audit.key.pub")).unwrap();
    key.parse().unwrap()
}

/// All entries, once the Core has stopped.
async fn entries(rig: &mut Rig) -> Vec<Entry> {
    rig.stop().await;
    let reader = LogReader::open(&rig.folder.path().join("state/audit"), &verifier(rig)).unwrap();
    assert!(reader.verify(None).is_sound());
    reader.entries(0..u64::MAX).map(|entry| Entry::decode(&entry.unwrap()).unwrap()).collect()
}

async fn receipt_of(party: &Party, key: &ByteString) -> Option<String> {
    let reference = AttributeReference::Custom {
        vendor: ByteString::from_static(VENDOR),
        name: ByteString::from_static(RECEIPT),
    };
    let request =
        GetAttributesRequest { unique_identifier: named(key), attribute_references: vec![reference] };
    let response: GetAttributesResponse = party.ask(request).await.unwrap();
    response.attributes.iter().find_map(|attribute| match attribute {
        Attribute::Custom(custom) => match &custom.value {
            CustomValue::Text(text) => Some(text.to_string()),
            _ => None,
        },
        _ => None,
    })
}

fn told(entries: &[Entry]) -> Vec<(&str, &str, &str)> {
    entries.iter().map(|entry| (&*entry.principal, &*entry.operation, &*entry.outcome)).collect()
}

#[tokio::test]
async fn a_day_of_a_core_is_in_its_log() {
    let mut rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    let blob = gateway.wrap(&chain.l3, &object(), b"data").await.unwrap();
    gateway.unwrap(&chain.l3, &object(), &blob).await.unwrap();
    let stranger = rig.party("nobody", "mallory");
    assert_eq!(stranger.refused(locate([])).await, ResultReason::PermissionDenied);
    assert_eq!(gateway.refused(create([link(&chain.l2)])).await, ResultReason::PermissionDenied);
    operator.destroy(&chain.l3).await.unwrap_err();
    operator.revoke(&chain.l1, RevocationReasonCode::KeyCompromise).await.unwrap();
    let entries = entries(&mut rig).await;
    assert_eq!(
        told(&entries),
        [
            ("krypton-core", "Start", "Success"),
            ("olga", "Register", "Success"),
            ("olga", "Activate", "Success"),
            ("olga", "Create", "Success"),
            ("olga", "Activate", "Success"),
            ("krypton-core", "Tenant Opened", "Success"),
            ("olga", "Create", "Success"),
            ("olga", "Activate", "Success"),
            ("acme-gateway", "Encrypt", "Success"),
            ("acme-gateway", "Decrypt", "Success"),
            ("mallory", "Locate", "Failure"),
            ("acme-gateway", "Create", "Failure"),
            ("olga", "Destroy", "Failure"),
            ("olga", "Revoke", "Intent"),
            ("olga", "Revoke", "Success"),
            ("krypton-core", "Stop", "Success"),
        ]
    );
    for entry in entries.iter().filter(|entry| entry.operation.ends_with("crypt")) {
        assert_eq!(entry.details["tenant"], "acme");
        assert_eq!(entry.unique_identifier.as_deref(), Some(&*chain.l3));
    }
    let names: std::collections::HashSet<_> =
        entries.iter().filter_map(|entry| entry.server_correlation_value.as_ref()).collect();
    // An intent and its outcome are of the same request.
    assert_eq!(names.len(), entries.iter().filter(|entry| entry.principal != "krypton-core").count() - 1);
}

#[tokio::test]
async fn a_revoke_has_a_certificate_that_says_how_each_gateway_was_settled() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    assert_eq!(receipt_of(&operator, &chain.l1).await, None);
    let gateway = rig.gateway("acme-gateway");
    let lease: ObtainLeaseResponse =
        gateway.ask(ObtainLeaseRequest { unique_identifier: named(&chain.l3) }).await.unwrap();
    assert_eq!(lease.lease_time.0, 5);
    operator.revoke(&chain.l1, RevocationReasonCode::KeyCompromise).await.unwrap();
    let text = receipt_of(&operator, &chain.l1).await.unwrap();
    let verified = receipt::verify(text.as_bytes(), &verifier(&rig)).unwrap();
    let Entry { operation, outcome, principal, unique_identifier, details, .. } = verified.entry;
    assert_eq!((&*operation, &*outcome, &*principal), ("Revoke", "Success", "olga"));
    assert_eq!(unique_identifier.as_deref(), Some(&*chain.l1));
    let detail = |name: &str| details.get(name).map(String::as_str);
    assert_eq!(detail("level"), Some("L1"));
    assert_eq!(detail("tenant"), Some("acme"));
    assert_eq!(detail("closed_keys"), Some(&*chain.l3));
    assert_eq!(detail("closed_key_count"), Some("1"));
    // The Gateway of this test takes a lease but listens to nobody.
    assert_eq!(detail("gateways"), Some("acme-gateway/e3b0c44298fc=expired"));
    assert!(detail("effective_at").is_some() && detail("effective_after_milliseconds").is_some());

    // A Gateway is not told of others.
    operator.revoke(&chain.l3, RevocationReasonCode::CessationOfOperation).await.unwrap();
    assert!(receipt_of(&operator, &chain.l3).await.is_some());
    assert_eq!(receipt_of(&gateway, &chain.l3).await, None);

    // 1.x has a name for the attribute that it can spell.
    let legacy = AttributeReference::from_name(&ByteString::from_static("y-Receipt"));
    let request =
        GetAttributesRequest { unique_identifier: named(&chain.l1), attribute_references: vec![legacy] };
    let answer = operator.raw(kmip_protocol::version::V1_4, &[request.into()]).await;
    assert!(String::from_utf8_lossy(&answer).contains("c2sp.org/tlog-proof@v1"));
}

#[tokio::test]
async fn nobody_sets_a_receipt() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let forged = Attribute::custom(VENDOR, RECEIPT, CustomValue::Text("trust me".into()));
    let new_attribute = Attributes::new([forged]);
    let request = AddAttributeRequest { unique_identifier: named(&chain.l3), new_attribute };
    assert_eq!(operator.refused(request).await, ResultReason::AttributeReadOnly);
}

#[tokio::test]
async fn a_tombstone_is_intended_once_and_its_outcome_told() {
    let mut rig = Rig::start().await;
    let chain = rig.operator().provision("acme").await;
    let grave = ByteString::from(format!("{}/object", chain.l3));
    for _ in 0..2 {
        rig.gateway("acme-gateway").destroy(&grave).await.unwrap();
    }
    let mut entries = entries(&mut rig).await;
    entries.retain(|entry| &*entry.operation == "Destroy");
    assert!(entries.iter().all(|entry| entry.unique_identifier.as_deref() == Some(&*grave)));
    let outcomes: Vec<&str> = entries.iter().map(|entry| &*entry.outcome).collect();
    assert_eq!(outcomes, ["Intent", "Success", "Intent", "Success"]);
}

/// What a crash between a change and its outcome leaves behind, put there by hand, since the moment is short.
#[tokio::test]
async fn what_a_crash_left_open_is_concluded_when_leases_have_ended() {
    let mut rig = Rig::start_with("requests = { lease_time_seconds = 1, longest_lease_seconds = 1 }").await;
    let chain = rig.operator().provision("acme").await;
    let grave = |object| ByteString::from(format!("{}/{object}", chain.l3));
    rig.gateway("acme-gateway").destroy(&grave("buried")).await.unwrap();
    rig.operator().revoke(&chain.l1, RevocationReasonCode::KeyCompromise).await.unwrap();
    rig.stop().await;
    let state = rig.folder.path().join("state");
    let log = ServerLog::open(&AuditSettings::default(), &state, ServerKind::Core).unwrap();
    let now = || SystemClock::default().now();
    let intents = [
        ("Revoke", chain.l1.clone(), "Success"),
        ("Revoke", chain.l2.clone(), "Failure"),
        ("Destroy", grave("buried"), "Success"),
        ("Destroy", grave("other"), "Failure"),
        ("Destroy", chain.l3.clone(), "Failure"),
    ];
    for (operation, object, _) in &intents {
        let intent = Event {
            unique_identifier: Some(object.clone()),
            server_correlation_value: Some("of the crash".into()),
            ..Event::new(now(), core_server::chain::REGION, "olga", *operation, Outcome::Intent)
        };
        log.port().record(intent).await.unwrap();
    }
    drop(log);
    let started = now();
    rig.restart().await;
    let left_open = async |rig: &Rig| {
        let page = rig.admin_page("/metrics").await;
        let value =
            |line: &str| line.strip_prefix("krypton_core_audit_left_open_intents ")?.parse::<f64>().ok();
        page.lines().find_map(value).unwrap()
    };
    assert_eq!(left_open(&rig).await, 5.0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while left_open(&rig).await > 0.0 {
        assert!(std::time::Instant::now() < deadline, "they are not concluded");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(receipt_of(&rig.operator(), &chain.l1).await.is_some());
    let entries = entries(&mut rig).await;
    let found: Vec<&Entry> =
        entries.iter().filter(|entry| entry.details.contains_key("found_at_start")).collect();
    let told =
        found.iter().map(|entry| (&*entry.operation, entry.unique_identifier.as_deref(), &*entry.outcome));
    let expected = intents.iter().map(|(operation, object, outcome)| (*operation, Some(&**object), *outcome));
    assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    // Leases of before the crash had to end first.
    let effective_at: i64 = found[0].details["effective_at"].parse().unwrap();
    assert!(effective_at > started.0);
}
