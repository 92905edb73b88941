//! A store that somebody has edited: the edited records are refused, with a reason in the log, and no others.

use std::sync::Arc;

use bytestring::ByteString;
use key_service::port::{Change, Store};
use key_service::record::Record;
use key_service::store::{self, Purpose, StoreSettings};
use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::enumeration::{ResultReason, State};
use kmip_protocol::mask::CryptographicUsageMask;

use crate::application::{Application, Failure};
use crate::operator::Operator;
use crate::shared_store::Database;
use crate::system::{System, rounds};

impl System {
    /// Works on the records of the Gateway, wherever they are, while it does not run.
    async fn edit(&mut self, edit: impl AsyncFnOnce(&dyn Store)) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop();
        }
        let text = std::fs::read_to_string(self.run().join("gateway.toml")).unwrap();
        let configuration: toml::Table = text.parse().unwrap();
        let url = configuration["store"].as_str().unwrap().parse().unwrap();
        let settings = StoreSettings::new(self.run().join("gateway"), Purpose::Gateway);
        let store = store::open(&url, &settings).await.unwrap();
        edit(&*store).await;
        drop(store);
        self.gateway = Some(self.start_server("gateway"));
    }
}

async fn fetch(store: &dyn Store, tenant: &str, key: &str) -> Record {
    Record::clone(&*store.fetch(tenant, key).await.unwrap().unwrap())
}

async fn replace(store: &dyn Store, mut record: Record) {
    record.version += 1;
    store.commit(vec![Change::Replace(Arc::new(record))]).await.unwrap();
}

async fn assert_refused(application: &Application, key: &str) {
    for refused in [application.get(key).await.map(drop), application.state(key).await.map(drop)] {
        let refused = refused.unwrap_err();
        assert!(
            matches!(&refused, Failure::Refused(ResultReason::GeneralFailure, why) if why.contains("damaged")),
            "{refused:?}"
        );
    }
}

/// Somebody who knows the form of records edits them, on a store of whatever kind.
pub async fn edited_records_are_refused(mut system: System) {
    refuses_edited(&mut system).await;
    refuses_foreign(&mut system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_records_are_refused_and_no_others() {
    edited_records_are_refused(System::start()).await;
}

async fn refuses_edited(system: &mut System) {
    let acme = system.application("acme");
    let mut keys = Vec::new();
    for name in ["state", "mask", "name", "kept"] {
        keys.push(acme.create(name).await.unwrap());
    }
    acme.revoke(&keys[0]).await.unwrap();
    let edited = keys.clone();
    system
        .edit(async |store| {
            let edits = [
                Attribute::State(State::Active),
                Attribute::CryptographicUsageMask(CryptographicUsageMask::WRAP_KEY),
            ];
            for (key, attribute) in edited.iter().zip(edits) {
                let mut record = fetch(store, "acme", key).await;
                record.set(attribute);
                replace(store, record).await;
            }
            let mut renamed = fetch(store, "acme", &edited[2]).await;
            renamed.remove(AttributeType::Name);
            replace(store, renamed).await;
        })
        .await;
    let acme = system.application("acme");
    for key in &keys[..3] {
        assert_refused(&acme, key).await;
    }
    assert!(acme.get(&keys[3]).await.is_ok());
    let log = system.log("gateway");
    for key in &keys[..3] {
        let reason = format!("record {key} of acme: its authenticator does not fit");
        assert!(log.contains(&reason), "{key} is not in the log: {log}");
    }
}

async fn refuses_foreign(system: &mut System) {
    let (acme, globex) = (system.application("acme"), system.application("globex"));
    let ours = acme.create("ours").await.unwrap();
    let theirs = globex.create("theirs").await.unwrap();
    let blob = acme.create("blob").await.unwrap();
    let (moved, swapped): (ByteString, ByteString) = (ours.clone(), blob.clone());
    system
        .edit(async |store| {
            // The whole record of acme, given to globex under its own identifier.
            let mut stolen = fetch(store, "acme", &moved).await;
            (stolen.tenant, stolen.version) = ("globex".into(), 1);
            store.commit(vec![Change::Insert(Arc::new(stolen))]).await.unwrap();
            // The blob of acme in a record of globex, and the other way round.
            let mut inside = fetch(store, "globex", &theirs).await;
            let mut outside = fetch(store, "acme", &swapped).await;
            std::mem::swap(&mut inside.sealed, &mut outside.sealed);
            replace(store, inside).await;
            replace(store, outside).await;
        })
        .await;
    let (acme, globex) = (system.application("acme"), system.application("globex"));
    assert_refused(&globex, &ours).await;
    assert_refused(&globex, &theirs).await;
    assert_refused(&acme, &blob).await;
    assert!(acme.get(&ours).await.is_ok());
}

/// A database whose bits can be reached.
pub trait Bits: Database {
    /// Which bytes there are of a record.
    fn record_bytes(&self, tenant: &str, key: &str) -> Vec<usize>;
    /// Turns a bit over.
    fn flip(&self, tenant: &str, key: &str, bit: usize);
}

/// Somebody changes a stored record bit by bit, under a Gateway that runs.
pub async fn flipped_bits_are_refused(database: &impl Bits) {
    let system = System::start_on(&database.url());
    let acme = system.application("acme");
    let (edited, kept) = (acme.create("edited").await.unwrap(), acme.create("kept").await.unwrap());
    let bytes = database.record_bytes("acme", &edited);
    assert!(bytes.len() > 200, "that is no record");
    // Each byte in the long form; the last one in any case.
    let step = bytes.len() / rounds(24, bytes.len());
    for (number, byte) in bytes.iter().rev().step_by(step.max(1)).enumerate() {
        let bit = 8 * byte + number % 8;
        database.flip("acme", &edited, bit);
        assert_refused(&acme, &edited).await;
        assert_eq!(acme.locate("kept").await.unwrap(), std::slice::from_ref(&kept));
        assert!(acme.get(&kept).await.is_ok());
        database.flip("acme", &edited, bit);
        acme.get(&edited).await.unwrap_or_else(|refused| panic!("{byte}: {refused:?}"));
    }
    let log = system.log("gateway");
    assert!(log.contains(&format!("{edited}: its checksum is wrong")), "no reason is in the log: {log}");
    assert!(!log.contains(&format!("{kept}: ")), "{log}");
}

/// What belongs to a service must not be sealed by another one because its keys are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_destroyed_service_is_closed_and_not_unknown() {
    let system = System::start();
    let operator = Operator::new(&system);
    let key = operator.add_service("acme", "gone").await;
    let acme = system.application("acme");
    let object = acme.create_in("in", Some("gone")).await.unwrap();
    operator.revoke(&key).await.unwrap();
    operator.destroy(&key).await.unwrap();
    let refused = acme.create_in("late", Some("gone")).await.unwrap_err();
    assert!(matches!(&refused, Failure::Refused(ResultReason::PermissionDenied, _)), "{refused:?}");
    let refused = acme.get(&object).await.unwrap_err();
    assert!(matches!(&refused, Failure::Refused(ResultReason::ObjectDestroyed, _)), "{refused:?}");
    assert!(acme.create_in("unknown", Some("never was")).await.is_ok(), "goes to the default service");
    acme.destroy(&object).await.map(drop).unwrap_or_else(|refused| panic!("{refused:?}"));
}
