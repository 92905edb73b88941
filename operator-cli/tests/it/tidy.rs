//! The tidy test: what holds for every file of the tree and needs no compiler to see.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// Which crates of the workspace a crate may depend on. `kmip-net` and `key-service` do not know each other, and a server is
/// nobody's library.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("kmip-ttlv", &[]),
    ("kmip-protocol", &["kmip-ttlv"]),
    ("kmip-net", &["kmip-ttlv", "kmip-protocol"]),
    ("key-service", &["kmip-ttlv", "kmip-protocol"]),
    ("governance", &["key-service"]),
    ("core-server", &["kmip-ttlv", "kmip-protocol", "kmip-net", "key-service", "governance"]),
    ("gateway-server", &["kmip-ttlv", "kmip-protocol", "kmip-net", "key-service"]),
    ("operator-cli", &["kmip-ttlv", "kmip-protocol", "kmip-net", "key-service", "governance"]),
    ("conformance", &["kmip-ttlv", "kmip-protocol", "kmip-net", "key-service"]),
    ("fuzz", &["kmip-ttlv", "kmip-protocol", "kmip-net", "key-service"]),
    ("test-servers", &[]),
];

/// Crates whose tests may use the servers as libraries.
const TESTS_KNOW_SERVERS: &[&str] = &["gateway-server", "operator-cli", "conformance"];

/// The crate that starts databases: for the tests of any crate.
const TEST_SERVERS: &str = "test-servers";

const SERVERS: &[&str] = &["core-server", "gateway-server"];

/// Lines of a source file at most.
const MAXIMUM_LINES: usize = 750;

/// Files that are one table: they may be longer.
const TABLES: &[&str] = &["kmip-protocol/src/enumeration.rs", "kmip-protocol/src/tag.rs"];

/// The one file with `unsafe` code, and a test whose allocator looks for secrets in what is given back.
const UNSAFE_FILES: &[&str] = &["key-service/src/memory/pages.rs", "kmip-ttlv/tests/it/secret_buffer.rs"];

/// Files that are read: those that a person writes.
const EXTENSIONS: &[&str] = &["rs", "toml", "md", "sh", "py", "yml", "yaml", "sql"];

/// What a build, a run or git makes.
const MADE: &[&str] = &["target", "run", ".venv", ".git", "reports", "node_modules", "__pycache__"];

#[test]
fn dependencies_go_one_way() {
    let mut wrong = Vec::new();
    for (name, manifest) in manifests() {
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("{name} has no row in MAY_DEPEND_ON"));
            continue;
        };
        let members = |section: &str| workspace_dependencies(&manifest, section);
        let of_code = members("dependencies").into_iter().chain(members("build-dependencies"));
        wrong
            .extend(of_code.filter(|on| !allowed.contains(&on.as_str())).map(|on| format!("{name} -> {on}")));
        let may_in_tests = |on: &str| {
            on == TEST_SERVERS
                || allowed.contains(&on)
                || SERVERS.contains(&on) && TESTS_KNOW_SERVERS.contains(&name.as_str())
        };
        let of_tests = members("dev-dependencies").into_iter().filter(|on| !may_in_tests(on));
        wrong.extend(of_tests.map(|on| format!("{name} -> {on} (in tests)")));
    }
    assert_none("dependencies against the direction of DESIGN section 3", &wrong);
}

#[test]
fn every_source_file_says_what_it_owns() {
    let sources = files(&["rs"]);
    let headless = sources.iter().filter(|(_, text)| !text.starts_with("//! "));
    assert_none("files without a //! header", &headless.map(|(path, _)| path.clone()).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    // Put together, so that this file does not find itself.
    let markers: Vec<String> =
        [("TO", "DO"), ("FIX", "ME"), ("XX", "X:"), ("to", "do!("), ("unimple", "mented!("), ("db", "g!(")]
            .map(|(head, tail)| format!("{head}{tail}"))
            .into();
    let mut found = Vec::new();
    for (place, line) in lines(&files(EXTENSIONS)) {
        if let Some(marker) = markers.iter().find(|marker| line.contains(marker.as_str())) {
            found.push(format!("{place}: {marker}"));
        }
    }
    assert_none("leftover markers", &found);
}

#[test]
fn files_are_short_enough_to_read() {
    let sources = files(&["rs", "py", "sh"]);
    let long = sources
        .iter()
        .filter(|(path, text)| text.lines().count() > MAXIMUM_LINES && !TABLES.contains(&path.as_str()));
    let long: Vec<_> = long.map(|(path, text)| format!("{path}: {} lines", text.lines().count())).collect();
    assert_none("files that are too long", &long);
}

#[test]
fn unsafe_code_is_where_it_is_known() {
    let is_unsafe = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        let forms =
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern", "allow(unsafe_code)"];
        forms.iter().any(|form| code.contains(form)) && !code.contains('"')
    };
    let sources: Vec<_> =
        files(&["rs"]).into_iter().filter(|(path, _)| !UNSAFE_FILES.contains(&path.as_str())).collect();
    let found = lines(&sources).into_iter().filter(|(_, line)| is_unsafe(line));
    // The module of the first file is let out of the crate's prohibition where it is declared.
    let allowed = |place: &str| {
        place.starts_with("key-service/src/memory.rs") || place.starts_with("key-service/src/memory/mod.rs")
    };
    assert_none(
        "unsafe code",
        &found.map(|(place, _)| place).filter(|place| !allowed(place)).collect::<Vec<_>>(),
    );
}

#[test]
fn no_path_of_a_machine_stands_in_the_tree() {
    let roots = ["work", "root", "home", "Users", "mnt"].map(|root| format!("/{root}/"));
    let is_path = |line: &str| {
        roots.iter().any(|root| {
            line.match_indices(root.as_str()).any(|(at, _)| {
                !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-/}>".contains(before))
            })
        })
    };
    let texts = files(EXTENSIONS);
    let found = lines(&texts).into_iter().filter(|(_, line)| is_path(line));
    assert_none(
        "paths of a machine",
        &found.map(|(place, line)| format!("{place}: {line}")).collect::<Vec<_>>(),
    );
}

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// The manifests of the members, by name.
fn manifests() -> BTreeMap<String, Table> {
    let read = |path: PathBuf| fs::read_to_string(&path).unwrap().parse::<Table>().unwrap();
    let members = read(workspace().join("Cargo.toml"))["workspace"]["members"].clone();
    let name = |member: &toml::Value| member.as_str().unwrap().to_owned();
    let members = members.as_array().unwrap().iter().map(name);
    members.map(|member| (member.clone(), read(workspace().join(member).join("Cargo.toml")))).collect()
}

/// The members of the workspace among the dependencies of a section, those of single targets included.
fn workspace_dependencies(manifest: &Table, section: &str) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let tables = targets.filter_map(|(_, target)| target.as_table()).chain([manifest]);
    let names = tables.filter_map(|table| table.get(section)?.as_table()).flat_map(|table| table.keys());
    names.filter(|name| MAY_DEPEND_ON.iter().any(|(member, _)| member == name)).cloned().collect()
}

/// The files of these extensions, and the Makefile and scripts without one, by their paths within the workspace.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&workspace(), extensions, &mut found);
    assert!(found.len() > 10, "the tree is not where this test expects it");
    found
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // In a second worktree, `.git` is a file.
        if path.is_symlink() || MADE.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, extensions, found);
        } else if has_extension(&path, extensions)
            && let Ok(text) = fs::read_to_string(&path)
        {
            found.push((path.strip_prefix(workspace()).unwrap().to_string_lossy().into_owned(), text));
        }
    }
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    match path.extension() {
        Some(extension) => extensions.iter().any(|wanted| extension == *wanted),
        None => extensions.contains(&"sh"),
    }
}

/// Lines with their places.
fn lines(files: &[(String, String)]) -> Vec<(String, &str)> {
    files
        .iter()
        .flat_map(|(path, text)| {
            text.lines().enumerate().map(move |(index, line)| (format!("{path}:{}", index + 1), line))
        })
        .collect()
}
