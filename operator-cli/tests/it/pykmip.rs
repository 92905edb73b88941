//! PyKMIP, a client that we did not write, against a whole stack: the scripts in `tests/pykmip/`, and the example of the README.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::stack::{Stack, python};
use crate::tidy::workspace;

/// Runs a command to its end and shows what it printed if it failed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

fn main_job(version: &str) {
    let options = ["--store", "memory", "--legacy-attribute-clients", "*"];
    let stack = Stack::start_in(TempDir::new().unwrap(), &options);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pykmip/main_job.py");
    let (port, pki) = (stack.port("gateway").to_string(), stack.pki(""));
    run(python().arg(script).args([&port, version]).arg(pki));
}

#[test]
fn the_main_job_at_1_0() {
    main_job("1.0");
}

#[test]
fn the_main_job_at_1_1() {
    main_job("1.1");
}

#[test]
fn the_main_job_at_1_2() {
    main_job("1.2");
}

#[test]
fn the_main_job_at_1_3() {
    main_job("1.3");
}

#[test]
fn the_main_job_at_1_4() {
    main_job("1.4");
}

#[test]
fn the_main_job_at_2_0() {
    main_job("2.0");
}

#[test]
fn the_example_of_the_readme_works_as_printed() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let (_, example) = readme.split_once("```python\n").expect("the README has an example");
    let (example, _) = example.split_once("```").unwrap();
    let stack = Stack::start();
    // Word for word, but for the port: this stack runs beside others.
    let example = example.replace("5696", &stack.port("gateway").to_string());
    let printed = run(python().arg("-c").arg(example).current_dir(stack.folder.path()));
    assert!(!printed.trim().is_empty());
}
