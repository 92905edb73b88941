//! Attributes of the chain: operators may describe its objects, not rebuild them.

use bytestring::ByteString;
use key_service::chain::tenant_attribute;
use kmip_protocol::attribute::*;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

fn add(key: &ByteString, attribute: Attribute) -> Request {
    AddAttributeRequest { unique_identifier: named(key), new_attribute: Attributes::new([attribute]) }.into()
}

fn modify(key: &ByteString, attribute: Attribute) -> Request {
    ModifyAttributeRequest {
        unique_identifier: named(key),
        current_attribute: Attributes::default(),
        new_attribute: Attributes::new([attribute]),
    }
    .into()
}

fn delete(key: &ByteString, reference: AttributeReference) -> Request {
    DeleteAttributeRequest {
        unique_identifier: named(key),
        current_attribute: Attributes::default(),
        attribute_references: vec![reference],
        attribute_index: None,
    }
    .into()
}

fn name(text: &str) -> Attribute {
    Attribute::Name(Name { value: text.into(), name_type: NameType::UninterpretedTextString })
}

#[tokio::test]
async fn what_makes_the_chain_stays_as_it_was_made() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let other = operator.provision("globex").await;
    let before = operator.attributes(&chain.l3).await.unwrap();
    let tenant = AttributeReference::Custom { vendor: "krypton".into(), name: "Tenant".into() };
    let known = AttributeReference::Known;
    let requests = [
        modify(&chain.l3, tenant_attribute("globex")),
        add(&chain.l3, tenant_attribute("globex")),
        delete(&chain.l3, tenant),
        modify(&chain.l3, link(&other.l2)),
        add(&chain.l3, link(&other.l2)),
        delete(&chain.l3, known(AttributeType::Link)),
        modify(&chain.l3, Attribute::ObjectGroup("tapes".into())),
        add(&chain.l3, Attribute::ObjectGroup("tapes".into())),
        delete(&chain.l3, known(AttributeType::ObjectGroup)),
        delete(&chain.l3, known(AttributeType::Name)),
        add(&chain.l2, name("krypton:active/globex/default")),
        add(&chain.l2, Attribute::ObjectGroup("default".into())),
        delete(&chain.l1, known(AttributeType::KeyValueLocation)),
        modify(&chain.l3, Attribute::ActivationDate(DateTime(0))),
    ];
    for request in requests {
        let operation = request.operation();
        let reason = operator.refused(request).await;
        assert!(
            matches!(reason, ResultReason::AttributeReadOnly | ResultReason::WrongKeyLifecycleState),
            "{operation}: {reason}"
        );
    }
    assert_eq!(operator.attributes(&chain.l3).await.unwrap(), before);
}

#[tokio::test]
async fn objects_of_the_chain_are_named_and_described() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    gateway.wrap(&chain.l3, &object(), b"x").await.unwrap();
    operator.call(add(&chain.l3, name("acme default"))).await.unwrap();
    operator.call(add(&chain.l3, Attribute::Comment("made for the test".into()))).await.unwrap();
    assert_eq!(operator.locate([name("acme default")]).await.unwrap(), std::slice::from_ref(&chain.l3));
    assert_eq!(gateway.locate([name("acme default")]).await.unwrap(), std::slice::from_ref(&chain.l3));
    gateway.wrap(&chain.l3, &object(), b"x").await.unwrap();
}
