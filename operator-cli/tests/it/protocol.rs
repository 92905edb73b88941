//! docs/PROTOCOL.md is generated: its support matrix is the operations table, told to people.
//!
//! `make protocol` writes it; this test compares.

use std::fmt::Write;
use std::fs;

use core_server::profile::{PROFILE, Role, Row};
use key_service::operations::HANDLED;
use kmip_protocol::operation::{OPERATIONS, Operation};
use kmip_protocol::version::{SUPPORTED, Version};

use crate::tidy::workspace;

#[test]
fn support_matrix_is_the_operations_table() {
    let path = workspace().join("docs/PROTOCOL.md");
    let wanted = page();
    if std::env::var_os("KRYPTON_WRITE").is_some() {
        fs::write(&path, wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/PROTOCOL.md is not what the operations table says: run `make protocol`");
}

fn page() -> String {
    let mut page = String::from(
        "# Protocol\n\n\
         <!-- Generated from the operations tables by `make protocol`; a test compares. -->\n\n\
         Krypton speaks KMIP ",
    );
    let mut versions: Vec<Version> = SUPPORTED.to_vec();
    versions.reverse();
    page += &versions.iter().map(Version::to_string).collect::<Vec<_>>().join(", ");
    page += ": TTLV over mutual TLS at Gateway and Core,\n\
             and TTLV, XML or JSON in `POST /kmip` over HTTPS at the Gateway. A request is answered in its own\n\
             version, message by message. What a version does not know is never sent to it; what it does not know yet is\n\
             understood all the same.\n\n\
             ## Operations\n\n\
             ● the version has the operation. *Gateway* and *Core* tell who does it today; an operation that neither does is\n\
             understood and refused with Operation Not Supported. The Core does what its role table says, below.\n\n";
    matrix(&mut page, &versions);
    page += "\n## The Core's restricted profile\n\n\
             Who may ask the Core for what. Get of key material: nobody.\n\n\
             | operation | operators | Gateways | what it does here |\n| --- | :-: | :-: | --- |\n";
    for row in PROFILE {
        core_row(&mut page, row);
    }
    page
}

fn matrix(page: &mut String, versions: &[Version]) {
    page.push_str("| operation |");
    for version in versions {
        write!(page, " {version} |").unwrap();
    }
    page.push_str(" Gateway | Core |\n| --- |");
    page.push_str(&" :-: |".repeat(versions.len() + 2));
    page.push('\n');
    for operation in OPERATIONS {
        write!(page, "| {} |", title(*operation)).unwrap();
        for version in versions {
            page.push_str(mark(operation.since().knows(*version)));
        }
        page.push_str(mark(HANDLED.contains(operation)));
        page.push_str(mark(PROFILE.iter().any(|row| row.operation == *operation)));
        page.push('\n');
    }
}

fn core_row(page: &mut String, row: &Row) {
    let may = |role| mark(row.roles.contains(&role));
    let (operators, gateways) = (may(Role::Operator), may(Role::Gateway));
    writeln!(page, "| {} |{operators}{gateways} {} |", title(row.operation), row.meaning).unwrap();
}

fn mark(is: bool) -> &'static str {
    if is { " ● |" } else { "  |" }
}

/// `GetAttributeList` as the specification writes it: Get Attribute List.
fn title(operation: Operation) -> String {
    let name: Vec<char> = operation.to_string().replace("PKCS_11", "PKCS#11").chars().collect();
    let mut title = String::new();
    for (index, character) in name.iter().enumerate() {
        let follows_word = index > 0 && name[index - 1].is_lowercase();
        let begins_word = index > 0 && name.get(index + 1).is_some_and(|next| next.is_lowercase());
        if character.is_uppercase() && (follows_word || begins_word) {
            title.push(' ');
        }
        title.push(*character);
    }
    title
        .replace("Re Key", "Re-key")
        .replace("Re Certify", "Re-certify")
        .replace("Re Provision", "Re-Provision")
}
