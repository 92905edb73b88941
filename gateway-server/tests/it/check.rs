//! `krypton-gateway --check`: what is wrong is said before a Gateway is to start with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::system::{System, program};

/// Checks a configuration in the folder of `krypton dev`, started from a folder that has nothing to do with it.
fn check(system: &System, configuration: &str) -> Output {
    let variant = system.run().join("variant.toml");
    fs::write(&variant, configuration).unwrap();
    let mut command = Command::new(program("krypton-gateway"));
    command.current_dir("/").args(["--check", "--config"]).arg(&variant).output().unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// The line of a configuration that sets a key first.
fn line<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap()
}

#[test]
fn it_says_what_it_tried_and_what_is_wrong() {
    let system = System::provision();
    let folder = system.run();
    let before = files(&folder.join("gateway"));
    let text = fs::read_to_string(folder.join("gateway.toml")).unwrap();
    let sound = check(&system, &text);
    let told = String::from_utf8(sound.stdout).unwrap();
    assert!(sound.status.success(), "{told}");
    for tried in ["certificate for clients", "certificate for the Core", "store: embedded", "is sound"] {
        assert!(told.contains(tried), "{told}");
    }
    // Relative paths are those of the file.
    let within = format!("\"{}/", folder.display());
    assert!(text.contains(&within), "{text}");
    let relative = check(&system, &text.replace(&within, "\""));
    assert!(relative.status.success(), "{}", String::from_utf8_lossy(&relative.stderr));

    let (certificate, key) = (line(&text, "certificate"), line(&text, "key"));
    let none = "certificate = \"/nowhere/none.pem\"";
    let (earlier, later) = text.rsplit_once(certificate).unwrap();
    let foreign = format!("key = \"{}/pki/clients/acme.key\"", folder.display());
    let no_authority = format!("authority = \"{}/gateway.toml\"", folder.display());
    let stored = |url: &str| text.replace(line(&text, "store"), &format!("store = \"{url}\""));
    let wrong = [
        ("/nowhere/none.pem", text.replacen(certificate, none, 1)),
        ("/nowhere/none.pem", format!("{earlier}{none}{later}")),
        ("acme.key", text.replacen(key, &foreign, 1)),
        ("gateway.toml", text.replacen(line(&text, "authority"), &no_authority, 1)),
        ("host:port", text.replace(line(&text, "address"), "address = \"nowhere\"")),
        ("/nowhere/password", stored("postgres://u@127.0.0.1:1/d?password_file=/nowhere/password")),
        ("the redis store", stored("redis://127.0.0.1:1")),
        ("store", stored("mysql://127.0.0.1")),
    ];
    for (named, configuration) in wrong {
        let output = check(&system, &configuration);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(named), "{named}: {error}");
    }
    assert_eq!(files(&folder.join("gateway")), before, "nothing was made");
}
