//! The rules of comparison, one by one: what each lets pass, and what it does not.

use std::path::Path;

use conformance::case::{Case, Request, Set, now};
use conformance::compare::{Difference, Objects, Sent, compare};
use conformance::placeholder::{Bindings, fixed_dates};

/// A batch item asked, the answer that a case prints to it, and the answer given.
type Step = (String, String, String);

/// What the runner says of the last step, the ones before it having happened.
fn result(label: &str, steps: &[Step]) -> Result<(), Difference> {
    let digits = label.as_bytes();
    let version = (digits[digits.len() - 2] - b'0', digits[digits.len() - 1] - b'0');
    let message = |kind: &str, inside: &str| {
        format!(
            "<{kind}Message><{kind}Header><ProtocolVersion><ProtocolVersionMajor type=\"Integer\" value=\"{}\"/>\
             <ProtocolVersionMinor type=\"Integer\" value=\"{}\"/></ProtocolVersion>\
             <BatchCount type=\"Integer\" value=\"1\"/></{kind}Header>{inside}</{kind}Message>",
            version.0, version.1
        )
    };
    let parse = |answer: fn(&Step) -> &String| {
        let pairs = steps.iter().map(|step| message("Request", &step.0) + &message("Response", answer(step)));
        let text = format!("<KMIP>{}</KMIP>", pairs.collect::<String>());
        Case::parse(Path::new(&format!("{label}.xml")), &text, Set::Own).expect("the exchange is well-formed")
    };
    let (printed, answered) = (parse(|step| &step.1), parse(|step| &step.2));
    let requests = printed.steps.iter().map(|step| match &step.request {
        Request::Message(message) => message,
        Request::Bytes(_) => unreachable!("all are messages"),
    });
    let dates = fixed_dates(requests.clone());
    let mut objects = Objects::default();
    let mut bindings = Bindings::default();
    let mut result = Ok(());
    for ((request, printed), answered) in requests.zip(&printed.steps).zip(&answered.steps) {
        let substituted = bindings.substitute(request, now()).expect("all symbols have values");
        let sent = Sent {
            profile: answered_profile(label),
            request: Some(&substituted.message),
            fed_back: &substituted.fed_back,
            fixed_dates: &dates,
            began: now(),
            now: now(),
        };
        objects.learn(&sent, &answered.response);
        result = compare(&printed.response, &answered.response, &sent, &objects, &mut bindings);
    }
    result
}

fn answered_profile(label: &str) -> &str {
    &label[..label.find("-M-").map_or(label.len(), |end| end + 2)]
}

fn ask(operation: &str, payload: &str) -> String {
    format!(
        "<BatchItem><Operation type=\"Enumeration\" value=\"{operation}\"/><RequestPayload>{payload}</RequestPayload></BatchItem>"
    )
}

fn answer(operation: &str, payload: &str) -> String {
    format!(
        "<BatchItem><Operation type=\"Enumeration\" value=\"{operation}\"/><ResultStatus type=\"Enumeration\" value=\"Success\"/>\
         <ResponsePayload>{payload}</ResponsePayload></BatchItem>"
    )
}

const OBJECT: &str = "<UniqueIdentifier type=\"TextString\" value=\"o\"/>";

/// A step that makes the object.
fn made_by(operation: &str) -> Step {
    let object_type = "<ObjectType type=\"Enumeration\" value=\"SymmetricKey\"/>";
    (ask(operation, object_type), answer(operation, OBJECT), answer(operation, OBJECT))
}

/// Whether `answered` passes for `printed` as the answer to `operation`. The label ends in the version's digits.
fn passes_for(
    label: &str,
    before: Option<&str>,
    operation: &str,
    asked: &str,
    printed: &str,
    answered: &str,
) -> bool {
    let step = (ask(operation, asked), answer(operation, printed), answer(operation, answered));
    let steps: Vec<_> = before.map(made_by).into_iter().chain([step]).collect();
    result(label, &steps).is_ok()
}

fn passes(operation: &str, printed: &str, answered: &str) -> bool {
    passes_for("X-M-1-21", None, operation, "", printed, answered)
}

fn bytes(tag: &str, value: &str) -> String {
    format!("<{tag} type=\"ByteString\" value=\"{value}\"/>")
}

fn text(tag: &str, value: &str) -> String {
    format!("<{tag} type=\"TextString\" value=\"{value}\"/>")
}

fn named(tag: &str, value: &str) -> String {
    format!("<{tag} type=\"Enumeration\" value=\"{value}\"/>")
}

fn inside(tag: &str, inside: &str) -> String {
    format!("<{tag}>{inside}</{tag}>")
}

fn date(tag: &str, value: &str) -> String {
    format!("<{tag} type=\"DateTime\" value=\"{value}\"/>")
}

#[test]
fn key_material_is_free_if_the_server_made_the_key() {
    let key = |material: &str| {
        OBJECT.to_owned()
            + &inside(
                "SymmetricKey",
                &inside("KeyBlock", &inside("KeyValue", &bytes("KeyMaterial", material))),
            )
    };
    let get = |before: &str, answered: &str| {
        passes_for("X-M-1-21", Some(before), "Get", OBJECT, &key("0102"), &key(answered))
    };
    assert!(get("Create", "0304"));
    assert!(!get("Create", "030405"), "of another length");
    assert!(!get("Register", "0304"));
    assert!(get("Register", "0102"));
}

#[test]
fn digests_are_free_if_the_server_made_the_key() {
    let digest = |hash: &str, value: &str| {
        inside("Digest", &(named("HashingAlgorithm", hash) + &bytes("DigestValue", value)))
    };
    let attributes = |digests: &str| OBJECT.to_owned() + &inside("Attributes", digests);
    let get = |before: &str, answered: &str| {
        let printed = attributes(&digest("SHA_256", "0102"));
        passes_for("X-M-1-21", Some(before), "GetAttributes", OBJECT, &printed, &attributes(answered))
    };
    assert!(get("Create", &digest("SHA_256", "0304")));
    assert!(get("Create", &(digest("SHA_512", "05060708") + &digest("SHA_256", "0304"))), "more digests");
    assert!(!get("Create", &digest("SHA_512", "0304")), "SHA-256 is always there");
    assert!(!get("Register", &digest("SHA_256", "0304")));
}

#[test]
fn cryptographic_output_is_free_under_a_key_that_the_server_made() {
    let data = |value: &str| OBJECT.to_owned() + &bytes("Data", value);
    let encrypt = |before: &str, answered: &str| {
        passes_for("X-M-1-21", Some(before), "Encrypt", OBJECT, &data("0102"), &data(answered))
    };
    assert!(encrypt("Create", "0304"));
    assert!(!encrypt("Create", "03"));
    assert!(!encrypt("Register", "0304"));
}

#[test]
fn decrypting_what_was_encrypted_gives_the_plain_text() {
    let data = |value: &str| OBJECT.to_owned() + &bytes("Data", value);
    let step = |operation: &str, asked: &str, printed: &str, answered: &str| {
        (ask(operation, &data(asked)), answer(operation, &data(printed)), answer(operation, &data(answered)))
    };
    let decrypts_to = |plain: &str| {
        let encrypt = step("Encrypt", "aaaa", "bbbb", "1234");
        result("X-M-1-21", &[made_by("Create"), encrypt, step("Decrypt", "bbbb", "aaaa", plain)]).is_ok()
    };
    assert!(decrypts_to("aaaa"));
    assert!(!decrypts_to("cccc"));
    let unknown = result("X-M-1-21", &[made_by("Create"), step("Decrypt", "bbbb", "aaaa", "cccc")]);
    assert_eq!(unknown, Ok(()), "nothing is known of a cipher text that the server has not made");
}

#[test]
fn output_with_an_initialization_vector_of_the_servers_is_free() {
    let output = |data: &str, vector: &str| {
        OBJECT.to_owned() + &bytes("Data", data) + &bytes("IVCounterNonce", vector)
    };
    let encrypt = |answered: &str| {
        passes_for("X-M-1-21", Some("Register"), "Encrypt", OBJECT, &output("0102", "0506"), answered)
    };
    assert!(encrypt(&output("0304", "0708")));
    assert!(!encrypt(&output("0304", "07")));
    assert!(!encrypt(&(OBJECT.to_owned() + &bytes("Data", "0304"))));
    assert!(passes("RNGRetrieve", &bytes("Data", "0102"), &bytes("Data", "0304")));
    assert!(!passes("RNGRetrieve", &bytes("Data", "0102"), &bytes("Data", "030405")));
    assert!(!passes("Hash", &bytes("Data", "0102"), &bytes("Data", "0304")));
}

#[test]
fn signatures_are_free_if_they_are_salted() {
    let signature = |value: &str| OBJECT.to_owned() + &bytes("SignatureData", value);
    let sign = |padding: &str| {
        let asked = OBJECT.to_owned() + &inside("CryptographicParameters", &named("PaddingMethod", padding));
        passes_for("X-M-1-21", Some("Register"), "Sign", &asked, &signature("0102"), &signature("0304"))
    };
    assert!(sign("PSS"));
    assert!(!sign("PKCS1V1_5"));
}

#[test]
fn dates_are_free_unless_a_request_gives_them() {
    let then = "2000-01-01T00:00:00Z";
    let attributes = |value: &str| OBJECT.to_owned() + &inside("Attributes", &date("InitialDate", value));
    let passes = |asked: &str, answered: &str| {
        passes_for("X-M-1-21", None, "GetAttributes", asked, &attributes(then), &attributes(answered))
    };
    assert!(!passes("", "1999-01-01T00:00:00Z"), "long before the case began");
    assert!(!passes("", then), "so is the printed date itself");
    assert!(passes(&date("InitialDate", then), then));
    assert!(!passes(&date("InitialDate", then), "2000-01-01T00:00:01Z"));
    assert!(passes(&date("InitialDate", then), "2000-01-01T10:00:00+10:00"), "the same instant");
}

#[test]
fn attributes_are_a_set_that_may_hold_more() {
    let state = named("State", "Active");
    let kind = named("ObjectType", "SymmetricKey");
    let attributes = |inner: &[&String]| {
        OBJECT.to_owned() + &inside("Attributes", &inner.iter().map(|item| item.as_str()).collect::<String>())
    };
    let get =
        |answered: &[&String]| passes("GetAttributes", &attributes(&[&state, &kind]), &attributes(answered));
    let group = text("ObjectGroup", "g");
    assert!(get(&[&kind, &state]), "in any order");
    assert!(get(&[&state, &group, &kind]), "more");
    assert!(!get(&[&state]), "not fewer");
    let other = named("State", "PreActive");
    assert!(!get(&[&state, &other, &kind]), "not two states");
    let name = |name: &str| inside("Name", &(text("NameValue", name) + &named("NameType", "URI")));
    let (one, two) = (name("one"), name("two"));
    assert!(passes("GetAttributes", &attributes(&[&one]), &attributes(&[&two, &one])), "several names");
    assert!(!passes("GetAttributes", &attributes(&[&one]), &attributes(&[&two])));
    let locate = text("UniqueIdentifier", "a") + &text("UniqueIdentifier", "b");
    let reversed = text("UniqueIdentifier", "b") + &text("UniqueIdentifier", "a");
    assert!(!passes("Locate", &locate, &reversed), "but what Locate finds is a list");
}

#[test]
fn query_may_tell_of_more() {
    let operations = |names: &[&str]| names.iter().map(|name| named("Operation", name)).collect::<String>();
    assert!(passes("Query", &operations(&["Get", "Create"]), &operations(&["Create", "Locate", "Get"])));
    assert!(!passes("Query", &operations(&["Get", "Create"]), &operations(&["Get"])));
    let encodings = |answered: &str| {
        passes_for("MSGENC-XML-M-1-21", None, "Query", "", &operations(&["Get", "Create"]), answered)
    };
    assert!(encodings(&operations(&["Locate"])));
    assert!(!encodings(""), "something must be there");
    let server =
        |vendor: &str, info: &str| text("VendorIdentification", vendor) + &inside("ServerInformation", info);
    assert!(passes("Query", &server("a", ""), &server("b", &text("ServerName", "x"))));
    assert!(
        !passes("Query", &server("a", ""), &text("VendorIdentification", "a")),
        "Server Information must be there"
    );
    let namespace = text("ApplicationNamespace", "ssl");
    assert!(passes("Query", &operations(&["Get"]), &(operations(&["Get"]) + &namespace)));
}

#[test]
fn locate_may_count() {
    let items = "<LocatedItems type=\"Integer\" value=\"1\"/>";
    assert!(passes("Locate", OBJECT, &(items.to_owned() + OBJECT)));
    assert!(!passes("Get", OBJECT, &(items.to_owned() + OBJECT)));
    assert!(!passes("Locate", &(items.to_owned() + OBJECT), OBJECT), "what is printed must be there");
}

#[test]
fn the_random_number_generator_is_the_servers() {
    let generator = |name: &str| {
        OBJECT.to_owned()
            + &inside("Attributes", &inside("RandomNumberGenerator", &named("RNGAlgorithm", name)))
    };
    assert!(passes("GetAttributes", &generator("ANSIX9_31"), &generator("Unspecified")));
    assert!(!passes("GetAttributes", &generator("ANSIX9_31"), &(OBJECT.to_owned() + "<Attributes/>")));
    let empty = OBJECT.to_owned() + &inside("Attributes", "<RandomNumberGenerator/>");
    assert!(!passes("GetAttributes", &generator("ANSIX9_31"), &empty), "its algorithm is told");
}

#[test]
fn one_dot_x_knows_indexes_and_templates() {
    let attribute = |index: &str, value: &str| {
        OBJECT.to_owned()
            + &inside("Attribute", &(text("AttributeName", "x-a") + index + &text("AttributeValue", value)))
    };
    let index = |number: u8| format!("<AttributeIndex type=\"Integer\" value=\"{number}\"/>");
    let add = |label: &str, answered: &str| {
        passes_for(label, None, "AddAttribute", "", &attribute("", "v"), answered)
    };
    assert!(add("X-M-1-14", &attribute(&index(0), "v")));
    assert!(!add("X-M-1-14", &attribute(&index(1), "v")));
    assert!(!add("X-M-1-10", &attribute(&index(0), "v")), "from KMIP 1.1 on");
    assert!(!add("X-M-1-14", &attribute("", "w")));
    let template = OBJECT.to_owned() + "<TemplateAttribute/>";
    assert!(passes_for("X-M-1-14", None, "Create", "", OBJECT, &template));
}

#[test]
fn messages_and_correlation_values_may_come_and_go_but_reasons_may_not() {
    let item =
        |inside: &str| format!("<BatchItem>{}{inside}</BatchItem>", named("ResultStatus", "OperationFailed"));
    let result = |printed: &str, answered: &str| {
        result("X-M-1-21", &[(ask("Get", ""), item(printed), item(answered))])
    };
    let reason = named("ResultReason", "ItemNotFound");
    let message = text("ResultMessage", "m");
    assert_eq!(result(&(reason.clone() + &message), &reason), Ok(()));
    assert_eq!(result(&reason, &(reason.clone() + &message)), Ok(()));
    let other = named("ResultReason", "PermissionDenied") + &message;
    let difference = result(&reason, &other).expect_err("another reason is another answer");
    assert_eq!(difference.path, "ResponseMessage/BatchItem/ResultReason");
    assert_eq!(difference.actual, "PermissionDenied (PermissionDenied: m)");
    assert!(result(&reason, "").is_err());
}

#[test]
fn symbols_mean_the_same_throughout() {
    let located = |one: &str, two: &str| text("UniqueIdentifier", one) + &text("UniqueIdentifier", two);
    assert!(passes("Locate", &located("$UNIQUE_IDENTIFIER_0", "$UNIQUE_IDENTIFIER_0"), &located("a", "a")));
    assert!(!passes("Locate", &located("$UNIQUE_IDENTIFIER_0", "$UNIQUE_IDENTIFIER_0"), &located("a", "b")));
    assert!(passes("Locate", &located("$UNIQUE_IDENTIFIER_0", "$UNIQUE_IDENTIFIER_1"), &located("a", "b")));
    assert!(!passes(
        "Locate",
        &text("UniqueIdentifier", "$UNIQUE_IDENTIFIER_0"),
        &text("UniqueIdentifier", "")
    ));
    let typed = bytes("UniqueIdentifier", "00");
    assert!(!passes("Locate", &text("UniqueIdentifier", "$UNIQUE_IDENTIFIER_0"), &typed), "of its type");
    let state = |value: &str| OBJECT.to_owned() + &inside("Attributes", &named("State", value));
    assert!(!passes("GetAttributes", &state("$STATE"), &state("Active")), "not where nothing may vary");
}
