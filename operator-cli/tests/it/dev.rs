//! `krypton dev` and `krypton status` from outside.

use std::net::TcpListener;
use std::process::{Command, Output};

use rustix::process::{Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::stack::{Stack, dev, krypton};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn status(stack: &Stack) -> Value {
    let output = krypton(stack.folder.path()).args(["status", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn status_shows_servers_and_chains() {
    let stack = Stack::start();
    let status = status(&stack);
    for (index, server) in ["core", "gateway"].into_iter().enumerate() {
        assert_eq!(status["servers"][index]["server"], server);
        assert_eq!(status["servers"][index]["status"], "ready");
        assert_eq!(status["servers"][index]["version"], env!("CARGO_PKG_VERSION"));
    }
    for (index, tenant) in ["acme", "globex"].into_iter().enumerate() {
        let chain = &status["tenants"][index];
        assert_eq!(chain["tenant"], tenant);
        let levels: Vec<_> =
            chain["keys"].as_array().unwrap().iter().map(|key| key["level"].as_str().unwrap()).collect();
        assert_eq!(levels, ["L1", "L2", "L3"]);
        assert!(chain["keys"].as_array().unwrap().iter().all(|key| key["state"] == "Active"));
        assert_eq!(chain["keys"][0]["location"], format!("software:{tenant}"));
        assert_eq!(chain["keys"][1]["wrapping_key"], chain["keys"][0]["unique_identifier"]);
        assert_eq!(chain["keys"][2]["wrapping_key"], chain["keys"][1]["unique_identifier"]);
        assert_eq!(chain["keys"][2]["service"], "default");
    }
}

#[test]
fn status_is_a_table_for_people_and_asks_any_core() {
    let stack = Stack::start();
    let file = |file: &str| stack.pki(file).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("clients/operator.pem"), file("clients/operator.key"));
    let output = Command::new(env!("CARGO_BIN_EXE_krypton"))
        .args(["--core", stack.address("core"), "--ca", &ca, "--cert", &cert, "--key", &key, "status"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("software:acme"), "{}", text(&output));
}

#[test]
fn status_says_when_nothing_runs() {
    let folder = TempDir::new().unwrap();
    let output = krypton(folder.path()).arg("status").output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains("no stack runs in run"), "{}", text(&output));
}

#[test]
fn a_second_start_keeps_certificates_and_chains() {
    let stack = Stack::start_in(TempDir::new().unwrap(), &[]);
    let (before, authority) = (status(&stack), std::fs::read(stack.pki("ca.pem")).unwrap());
    let stack = Stack::start_in(stack.stop(), &[]);
    assert_eq!(status(&stack)["tenants"], before["tenants"]);
    assert_eq!(std::fs::read(stack.pki("ca.pem")).unwrap(), authority);
}

#[test]
fn one_folder_has_one_stack() {
    let stack = Stack::start();
    let output = dev(stack.folder.path(), &[]).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains("another `krypton dev` is running"), "{}", text(&output));
}

#[test]
fn a_taken_port_is_named() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = krypton(folder.path()).args(["dev", "--gateway-port", &port]).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains(&format!("port {port} is taken")), "{}", text(&output));
    assert!(text(&output).contains("--gateway-port"), "{}", text(&output));
}

#[test]
fn what_is_not_there_is_refused_clearly() {
    let folder = TempDir::new().unwrap();
    for (options, expected) in [
        (["--l1", "pkcs11:token=t"], "module-path"),
        (["--l1", "hope"], "there is no L1"),
        (["--store", "paper"], "there is no store"),
    ] {
        let output = dev(folder.path(), &options).output().unwrap();
        assert!(!output.status.success());
        assert!(text(&output).contains(expected), "{}", text(&output));
    }
}

#[test]
fn a_server_that_dies_ends_the_stack() {
    let mut stack = Stack::start();
    let children = stack.children();
    assert_eq!(children.len(), 2);
    kill_process(children[0], Signal::KILL).unwrap();
    assert!(!stack.wait().success());
    assert!(children.iter().all(|child| test_kill_process(*child).is_err()));
}

#[test]
fn no_server_outlives_the_stack() {
    let mut stack = Stack::start();
    let children = stack.children();
    kill_process(stack.pid(), Signal::KILL).unwrap();
    stack.wait();
    for child in children {
        while test_kill_process(child).is_ok() {
            std::thread::yield_now();
        }
    }
}
