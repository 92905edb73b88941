//! All case files parse, and their messages survive each encoding.

use bytes::Bytes;
use conformance::case::Request;
use conformance::item::{Item, LIMITS};
use kmip_protocol::dictionary::Names;
use kmip_ttlv::{json, xml};

use crate::{all_cases, ideal};

#[test]
fn messages_survive_ttlv_xml_and_json() {
    let mut messages = 0;
    let mut survives = |label: &str, message: &Item| {
        messages += 1;
        let encoded = Bytes::from(message.encode().expect("no symbols are left"));
        assert_eq!(&Item::decode(&encoded).expect("what is encoded can be decoded"), message, "{label}");
        let text = xml::from_ttlv(&encoded, &Names, LIMITS).expect("every message has an XML form");
        let back = xml::to_ttlv(text.as_ref(), &Names, LIMITS).expect("the XML form can be read");
        assert_eq!(back.as_ref(), &encoded[..], "{label} over XML");
        let text = json::from_ttlv(&encoded, &Names, LIMITS).expect("every message has a JSON form");
        let back = json::to_ttlv(text.as_ref(), &Names, LIMITS).expect("the JSON form can be read");
        assert_eq!(back.as_ref(), &encoded[..], "{label} over JSON");
    };
    ideal::walk(&all_cases(), |case, _, judgement| {
        survives(&case.label, &judgement.answer);
        if let Some(request) = judgement.request() {
            survives(&case.label, request);
        }
    });
    assert!(messages > 0);
}

#[test]
fn labels_are_unique_and_versions_agree() {
    let mut labels = std::collections::HashSet::new();
    for case in all_cases() {
        assert!(labels.insert(case.label.clone()), "{} is there twice", case.label);
        assert!(
            case.steps.iter().any(|step| matches!(step.request, Request::Message(_) | Request::Bytes(_)))
        );
    }
}
