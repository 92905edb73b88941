//! The runner held against itself: the rules of comparison one by one, and all case files with an ideal server behind them.

mod ideal;
mod mutation;
mod rules;
mod vectors;

use std::path::PathBuf;

use conformance::case::{Case, Set};

/// The project's own cases, and the OASIS cases where they are there.
fn all_cases() -> Vec<Case> {
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cases =
        Case::read_folder(&project.join("fixtures/cases"), Set::Own).expect("our own cases are readable");
    assert!(!cases.is_empty(), "there are cases of our own");
    let given = std::env::var_os("KMIP_VECTORS").map(PathBuf::from);
    let vectors = given.unwrap_or_else(|| project.join("../shared/kmip/vectors"));
    if !vectors.is_dir() {
        eprintln!("There are no OASIS cases in {}: using our own alone.", vectors.display());
        return cases;
    }
    for version in ["2.1", "1.4", "1.2", "1.0"] {
        for (folder, set) in [("mandatory", Set::Mandatory), ("optional", Set::Optional)] {
            let folder = vectors.join(version).join(folder);
            cases.extend(Case::read_folder(&folder, set).expect("the published cases are readable"));
        }
    }
    cases
}
