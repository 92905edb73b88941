//! Files, notes and receipts byte by byte: `fixtures/audit/` was made by an independent program from the definitions in
//! RFC 6962 and C2SP's pages; `note.*` is the example of Go's sumdb/note package, whose format this is.

use std::fs;

use super::super::merkle::{
    self, Hash, Nodes, Tree, leaf_hash, root_of, verify_consistency, verify_inclusion,
};
use super::super::note::NoteError;
use super::super::{LogReader, SigningKey, VerifierKey, receipt};
use super::{Place, entries, fixture, group, verifier};
use crate::crypto::sha256;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// All leaves in memory, the slow way.
pub(super) struct Leaves(pub(super) Vec<Hash>);

impl Nodes for Leaves {
    type Error = std::convert::Infallible;

    fn node(&self, height: u8, index: u64) -> Result<Hash, Self::Error> {
        let (start, end) = (index << height, (index + 1) << height);
        Ok(root_of(&self.0[start as usize..end as usize]))
    }
}

#[test]
fn trees_and_proofs_of_certificate_transparency() {
    let text = fixture("merkle.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<Vec<&str>> = lines.map(|line| line.split(' ').collect()).collect();
    let of = |kind: &'static str| lines.iter().filter(move |line| line[0] == kind);
    let leaves: Vec<Hash> = of("leaf").map(|line| leaf_hash(&unhex(line[1]))).collect();
    let root = |size: &str| -> Hash {
        let line = of("root").find(|line| line[1] == size).unwrap();
        unhex(line[2]).try_into().unwrap()
    };
    for line in of("root") {
        let mut tree = Tree::default();
        leaves.iter().take(line[1].parse().unwrap()).for_each(|leaf| tree.push(*leaf, &mut Vec::new()));
        assert_eq!(hex(&tree.root()), line[2]);
    }
    let nodes = Leaves(leaves);
    let proof = |line: &[&str]| -> Vec<Hash> {
        let hashes = line[3..].iter().filter(|hash| !hash.is_empty());
        hashes.map(|hash| unhex(hash).try_into().unwrap()).collect()
    };
    for line in of("inclusion") {
        let (index, size) = (line[1].parse().unwrap(), line[2].parse().unwrap());
        assert_eq!(merkle::inclusion_proof(&nodes, index, size).unwrap(), proof(line), "{line:?}");
        assert!(verify_inclusion(&nodes.0[index as usize], index, size, &proof(line), &root(line[2])));
    }
    for line in of("consistency") {
        let (earlier, size) = (line[1].parse().unwrap(), line[2].parse().unwrap());
        assert_eq!(merkle::consistency_proof(&nodes, earlier, size).unwrap(), proof(line), "{line:?}");
        assert!(verify_consistency(earlier, &root(line[1]), size, &root(line[2]), &proof(line)));
    }
}

#[test]
fn the_note_of_go() {
    let keys = fixture("note.keys");
    let (public, private) = keys.trim().split_once('\n').unwrap();
    let note = fixture("note.txt");
    let verifier: VerifierKey = public.parse().unwrap();
    let (text, _) = note.split_once("\n\n").unwrap();
    assert_eq!(verifier.open(&note).unwrap(), format!("{text}\n"));
    assert_eq!(verifier.to_string(), public);
    let signer = SigningKey::parse(private).unwrap();
    assert_eq!(signer.sign(&format!("{text}\n")).unwrap(), note);
    assert_eq!(*signer.encode().unwrap(), *format!("{private}\n").as_bytes());
    assert_eq!(signer.verifier(), &verifier);
}

#[test]
fn notes_and_keys_that_are_refused() {
    let note = fixture("note.txt");
    let keys = fixture("note.keys");
    let (public, private) = keys.trim().split_once('\n').unwrap();
    let key: VerifierKey = public.parse().unwrap();
    assert_eq!(key.open(&note.replace("answer", "Answer")), Err(NoteError::BadSignature));
    assert_eq!(verifier().open(&note), Err(NoteError::NotSigned));
    // A foreign signature is neither here nor there.
    let foreign = "\u{2014} example.org/witness AAAAAAAA\n";
    assert!(key.open(&format!("{note}{foreign}")).is_ok());
    let (text, _) = note.split_once("\n\n").unwrap();
    assert_eq!(key.open(&format!("{text}\n\n{foreign}")), Err(NoteError::NotSigned));
    for malformed in ["", "\n", "text\n", "text\n\n", "text\n\nsignature\n", "text\n\n\u{2014} a b\n"] {
        assert_eq!(key.open(malformed), Err(NoteError::Malformed), "{malformed:?}");
    }
    assert_eq!(key.open(&note.replace("you think", "you\tthink")), Err(NoteError::Malformed));
    assert_eq!(key.open(&note.replace("\n\u{2014}", "\n \u{2014}")), Err(NoteError::Malformed));
    assert_eq!(public.replace("c74f", "c74e").parse::<VerifierKey>(), Err(NoteError::BadKey));
    assert_eq!(public.replace("+A", "+B").parse::<VerifierKey>(), Err(NoteError::BadKey));
    assert_eq!("a b+00000000+AA==".parse::<VerifierKey>(), Err(NoteError::BadKey));
    assert!(SigningKey::parse(&private.replace("c74f", "c74e")).is_err());
    assert!(SigningKey::parse(public).is_err());
    assert!(SigningKey::generate("a b", &crate::crypto::SystemEntropy::new()).is_err());
}

#[test]
fn tiles_bundles_and_checkpoints() {
    let text = fixture("tiles.txt");
    for log in text.split("size ").skip(1) {
        let (size, files) = log.split_once('\n').unwrap();
        let size: u64 = size.parse().unwrap();
        let place = Place::new();
        let mut writer = place.writer();
        for start in (0..size).step_by(1000) {
            writer.append(&group(start..size.min(start + 1000))).unwrap();
        }
        writer.publish().unwrap();
        for (expected, path) in files.lines().map(|line| line.split_once(' ').unwrap()) {
            let content =
                fs::read(place.directory().join(path)).unwrap_or_else(|_| panic!("{size}: no {path}"));
            assert_eq!(hex(&sha256(&content)), expected, "{size}: {path}");
        }
        assert!(!place.directory().join("tile/0/000.p").exists() || size < 256, "incomplete tiles go");
        let reader = LogReader::open(&place.directory(), &verifier()).unwrap();
        assert!(reader.verify(None).is_sound());
    }
}

#[test]
fn a_receipt() {
    let expected = fixture("receipt.tlog-proof");
    let place = Place::new();
    let mut writer = place.writer();
    writer.append(&group(0..600)).unwrap();
    writer.publish().unwrap();
    let reader = LogReader::open(&place.directory(), &verifier()).unwrap();
    assert_eq!(reader.receipt(513).unwrap().as_str(), expected);
    let verified = receipt::verify(expected.as_bytes(), &verifier()).unwrap();
    assert_eq!((verified.index, verified.checkpoint.size), (513, 600));
    assert_eq!(verified.entry.operation, "Destroy");
    assert_eq!(verified.json.as_bytes(), entries(513..514)[0]);
}
