//! The Gateway's audit log, and the receipt of a Destroy as an application gets it.

use bytestring::ByteString;
use key_service::audit_log::{AuditSettings, Entry, LogReader, ServerKind, ServerLog, VerifierKey, receipt};
use key_service::chain::{RECEIPT, VENDOR};
use key_service::port::{Clock, Event, Outcome, SystemClock};
use kmip_protocol::attribute::{Attribute, AttributeReference, CustomValue};
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{GetAttributesRequest, Response};

use crate::application::{Application, Failure, identifier};
use crate::system::System;

async fn receipt_of(application: &Application, key: &str) -> Result<Option<String>, Failure> {
    let (vendor, name) = (ByteString::from_static(VENDOR), ByteString::from_static(RECEIPT));
    let request = GetAttributesRequest {
        unique_identifier: identifier(key),
        attribute_references: vec![AttributeReference::Custom { vendor, name }],
    };
    let Response::GetAttributes(got) = application.ask(request).await? else { panic!("another operation") };
    Ok(got.attributes.iter().find_map(|attribute| match attribute {
        Attribute::Custom(custom) => match &custom.value {
            CustomValue::Text(text) => Some(text.to_string()),
            _ => None,
        },
        _ => None,
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroy_has_a_receipt_that_outlives_the_gateway() {
    let mut system = System::start();
    let acme = system.application("acme");
    let key = acme.create("short-lived").await.unwrap();
    acme.get(&key).await.unwrap();
    assert_eq!(receipt_of(&acme, &key).await.unwrap(), None);
    acme.destroy(&key).await.unwrap();
    let first = receipt_of(&acme, &key).await.unwrap().unwrap();
    let foreign = receipt_of(&system.application("globex"), &key).await.unwrap_err();
    assert!(matches!(foreign, Failure::Refused(ResultReason::ObjectNotFound, _)), "{foreign:?}");

    // Killed, not stopped: what was changed and answered is in the log.
    system.gateway.take().unwrap().kill();
    system.gateway = Some(system.start_server("gateway"));
    let acme = system.application("acme");
    let second = receipt_of(&acme, &key).await.unwrap().unwrap();
    let public = std::fs::read_to_string(system.run().join("gateway/audit.key.pub")).unwrap();
    let verifier: VerifierKey = public.trim().parse().unwrap();
    for text in [first, second] {
        let verified = receipt::verify(text.as_bytes(), &verifier).unwrap();
        let Entry { operation, outcome, tenant, unique_identifier, .. } = verified.entry;
        assert_eq!((&*operation, &*outcome, &*tenant), ("Destroy", "Success", "acme"));
        assert_eq!(unique_identifier.as_deref(), Some(&*key));
    }

    receipt_of(&system.application("globex"), &key).await.unwrap_err();
    system.gateway.take().unwrap().stop();
    let reader = LogReader::open(&system.run().join("gateway/audit"), &verifier).unwrap();
    assert!(reader.verify(None).is_sound());
    let entries: Vec<Entry> =
        reader.entries(0..u64::MAX).map(|entry| Entry::decode(&entry.unwrap()).unwrap()).collect();
    let of_key = entries.iter().filter(|entry| entry.unique_identifier.as_deref() == Some(&*key));
    let told: Vec<_> = of_key.map(|entry| (&*entry.tenant, &*entry.operation, &*entry.outcome)).collect();
    assert!(
        told.contains(&("acme", "Create", "Success")) && told.contains(&("acme", "GetAttributes", "Success"))
    );
    assert!(
        told.contains(&("acme", "Destroy", "Intent"))
            && told.contains(&("globex", "GetAttributes", "Failure"))
    );
    assert_eq!(entries.last().unwrap().operation, "Stop");
}

/// What is left behind by a crash between a change and its outcome, or before the change: put there by hand, since the moment is
/// short.
#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_a_crash_left_open_has_its_outcome_after_the_next_start() {
    let mut system = System::start();
    let acme = system.application("acme");
    let (gone, kept) = (acme.create("gone").await.unwrap(), acme.create("kept").await.unwrap());
    acme.destroy(&gone).await.unwrap();
    system.gateway.take().unwrap().kill();
    let state = system.run().join("gateway");
    let log = ServerLog::open(&AuditSettings::default(), &state, ServerKind::Gateway).unwrap();
    let now = SystemClock::default().now();
    for key in [&gone, &kept] {
        let intent = Event {
            unique_identifier: Some(key.clone()),
            server_correlation_value: Some("of the crash".into()),
            ..Event::new(now, "acme", "app", "Destroy", Outcome::Intent)
        };
        log.port().record(intent).await.unwrap();
    }
    drop(log);
    system.gateway = Some(system.start_server("gateway"));
    let acme = system.application("acme");
    acme.get(&kept).await.unwrap();
    let public = std::fs::read_to_string(state.join("audit.key.pub")).unwrap();
    let verifier: VerifierKey = public.trim().parse().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let found = loop {
        // Asking for a receipt publishes the log.
        let text = receipt_of(&acme, &gone).await.unwrap().unwrap();
        receipt::verify(text.as_bytes(), &verifier).unwrap();
        let reader = LogReader::open(&state.join("audit"), &verifier).unwrap();
        let entries = reader.entries(0..u64::MAX).map(|entry| Entry::decode(&entry.unwrap()).unwrap());
        let found: Vec<Entry> =
            entries.filter(|entry| entry.details.contains_key("found_at_start")).collect();
        if found.len() == 2 {
            break found;
        }
        assert!(std::time::Instant::now() < deadline, "only {found:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let told = found.iter().map(|entry| (entry.unique_identifier.as_deref(), &*entry.outcome));
    assert_eq!(told.collect::<Vec<_>>(), [(Some(&*gone), "Success"), (Some(&*kept), "Failure")]);
    assert!(found.iter().all(|entry| entry.server_correlation_value.as_deref() == Some("of the crash")));
}
