//! Opening logs that crashes have left, and logs that somebody has changed.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::recovery::{Recovered, recover};
use super::super::{AuditLog, LogError, LogFault, LogReader, ServerKind, SignedCheckpoint, verify};
use super::{ORIGIN, Place, group, settings, verifier};

fn look(place: &Place) -> Result<Recovered, LogError> {
    recover(&place.directory(), &verifier(), u64::MAX)
}

/// Changes a file in place, since writing it anew makes the file system wait for the disk.
fn overwrite(path: &Path, content: &[u8]) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(content, 0).unwrap();
    file.set_len(content.len() as u64).unwrap();
}

fn size(place: &Place) -> u64 {
    look(place).unwrap().tree.size()
}

/// A log of three groups with `published` of them published, and the length of the journal after two.
fn three_groups(published: usize) -> (Place, usize) {
    let place = Place::new();
    let mut writer = place.writer();
    let mut length = 0;
    for (number, group) in [group(0..2), group(2..3), group(3..5)].into_iter().enumerate() {
        if number == 2 {
            length = fs::read(place.directory().join("journal")).unwrap().len();
        }
        writer.append(&group).unwrap();
        if number < published {
            writer.publish().unwrap();
        }
    }
    (place, length)
}

#[test]
fn a_torn_group_is_cut_off() {
    let (place, intact) = three_groups(2);
    assert_eq!(size(&place), 5);
    let journal = place.directory().join("journal");
    let whole = fs::read(&journal).unwrap();
    for length in intact..whole.len() {
        overwrite(&journal, &whole[..length]);
        assert_eq!(size(&place), 3, "cut at {length}");
    }
    for at in intact..whole.len() {
        let mut torn = whole.clone();
        torn[at] ^= 0x10;
        overwrite(&journal, &torn);
        assert_eq!(size(&place), 3, "changed at {at}");
        torn[at..].fill(0);
        overwrite(&journal, &torn);
        assert_eq!(size(&place), 3, "empty from {at}");
        torn[intact..=at].fill(0);
        torn[at + 1..].copy_from_slice(&whole[at + 1..]);
        if torn != whole {
            overwrite(&journal, &torn);
            assert_eq!(size(&place), 3, "empty up to {at}");
        }
    }
    // The log goes on from there.
    let mut writer = place.writer();
    assert_eq!(writer.append(&group(3..5)).unwrap(), 3);
    writer.publish().unwrap();
    assert!(verify(&place.directory(), &verifier(), None).unwrap().is_sound());
}

#[test]
fn what_was_published_is_never_cut_off() {
    let (place, intact) = three_groups(3);
    let journal = place.directory().join("journal");
    let whole = fs::read(&journal).unwrap();
    for length in intact..whole.len() {
        overwrite(&journal, &whole[..length]);
        let error = look(&place).err().unwrap().to_string();
        assert!(error.contains("covers 5 entries, but only 3 are there"), "{error}");
    }
}

#[test]
fn only_the_last_group_may_be_torn() {
    let (place, intact) = three_groups(0);
    let journal = place.directory().join("journal");
    let whole = fs::read(&journal).unwrap();
    for at in 0..intact {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        overwrite(&journal, &changed);
        assert!(look(&place).is_err(), "changed at {at}");
    }
}

#[test]
fn every_byte_of_a_published_log_counts() {
    let (place, _) = three_groups(3);
    drop(place.writer());
    let files = place.files();
    assert!(files.len() >= 8, "{files:?}");
    for path in files {
        let content = fs::read(&path).unwrap();
        for at in 0..content.len() {
            let mut changed = content.clone();
            changed[at] ^= 1 << (at % 8);
            overwrite(&path, &changed);
            assert!(look(&place).is_err(), "{} at {at}", path.display());
        }
        overwrite(&path, &content);
    }
    assert_eq!(size(&place), 5);
}

#[test]
fn what_the_journal_still_has_is_written_again() {
    let (place, _) = three_groups(3);
    let contents = |place: &Place| -> Vec<_> {
        place
            .files()
            .iter()
            .filter(|path| !path.ends_with("journal"))
            .map(|path| fs::read(path).unwrap())
            .collect()
    };
    for path in place.files().iter().filter(|path| !path.ends_with("journal")) {
        let other = place.copy();
        let path = other.directory().join(path.strip_prefix(place.directory()).unwrap());
        fs::write(&path, b"").unwrap();
        drop(other.writer());
        assert_eq!(contents(&other), contents(&place), "{}", path.display());
        fs::remove_file(&path).unwrap();
        drop(other.writer());
        assert!(verify(&other.directory(), &verifier(), None).unwrap().is_sound(), "{}", path.display());
    }
    fs::remove_file(place.directory().join("journal")).unwrap();
    assert!(look(&place).err().unwrap().to_string().contains("missing"));
}

/// A log whose journal has begun anew several times.
fn long_log() -> Place {
    let place = Place::new();
    let mut writer = place.writer();
    for start in (0..2000).step_by(100) {
        writer.append(&group(start..start + 100)).unwrap();
    }
    writer.publish().unwrap();
    place
}

#[test]
fn tiles_that_did_not_become_certain_are_written_anew() {
    let place = Place::new();
    let mut writer = place.writer();
    writer.append(&group(0..500)).unwrap();
    writer.publish().unwrap();
    // The disk has lost it before it was certain, as it would tell with an error.
    fs::remove_file(place.directory().join("tile/entries/000")).unwrap();
    let (mut next, mut refusals) = (500, Vec::new());
    while next < 2000 {
        match writer.append(&group(next..next + 100)) {
            Ok(first) => {
                assert_eq!(first, next);
                next += 100;
            }
            Err(error) => refusals.push(error.to_string()),
        }
    }
    assert!(matches!(&refusals[..], [refusal] if refusal.contains("tile/entries/000")), "{refusals:?}");
    writer.publish().unwrap();
    assert!(verify(&place.directory(), &verifier(), None).unwrap().is_sound());
    assert!(look(&place).unwrap().base >= 768);
}

#[test]
fn old_files_that_are_changed_or_missing_keep_the_log_shut() {
    let place = long_log();
    let base = look(&place).unwrap().base;
    assert!(base >= 768, "{base}");
    for index in 0..base / 256 {
        for kind in ["0", "entries"] {
            let path = place.directory().join(format!("tile/{kind}/00{index}"));
            let content = fs::read(&path).unwrap();
            for at in (0..content.len()).step_by(4999) {
                let mut changed = content.clone();
                changed[at] ^= 1;
                overwrite(&path, &changed);
                assert!(look(&place).is_err(), "{} at {at}", path.display());
                assert!(!verify(&place.directory(), &verifier(), None).unwrap().is_sound());
            }
            fs::remove_file(&path).unwrap();
            let error = look(&place).err().unwrap().to_string();
            assert!(error.contains("missing") && error.contains(path.to_str().unwrap()), "{error}");
            fs::write(&path, &content).unwrap();
        }
    }
    assert_eq!(size(&place), 2000);
}

#[test]
fn a_quick_check_still_sees_what_is_missing() {
    let place = long_log();
    fs::remove_file(place.directory().join("tile/entries/000")).unwrap();
    assert!(recover(&place.directory(), &verifier(), 0).is_err());
}

#[test]
fn a_report_names_the_entry() {
    let place = long_log();
    let path = place.directory().join("tile/entries/001");
    let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    let at = text.find("request \\\"300\\\"").unwrap();
    let mut content = fs::read(&path).unwrap();
    let at = content.windows(3).enumerate().skip(at / 2).find(|(_, window)| *window == b"300").unwrap().0;
    content[at] = b'9';
    overwrite(&path, &content);
    let report = verify(&place.directory(), &verifier(), None).unwrap();
    assert_eq!(report.faults, [LogFault::Entry { index: 300 }]);
    let reader = LogReader::open(&place.directory(), &verifier()).unwrap();
    assert!(reader.receipt(300).is_err() && reader.receipt(301).is_ok());
}

#[test]
fn a_rewritten_log_is_not_the_earlier_one() {
    let place = Place::new();
    let mut writer = place.writer();
    writer.append(&group(0..300)).unwrap();
    writer.publish().unwrap();
    let open = |place: &Place| LogReader::open(&place.directory(), &verifier()).unwrap();
    let earlier = open(&place).checkpoint().clone();
    writer.append(&group(300..700)).unwrap();
    writer.publish().unwrap();
    let reader = open(&place);
    assert!(reader.verify(Some(&earlier)).is_sound());
    let proof = reader.prove_consistency(300).unwrap();
    let (size, root) = (reader.checkpoint().size(), reader.checkpoint().root());
    assert!(super::super::verify_consistency(300, earlier.root(), size, root, &proof));

    // The same key signs another history.
    let other = Place::new();
    let mut writer = other.writer();
    writer.append(&group(1..701)).unwrap();
    writer.publish().unwrap();
    assert!(open(&other).verify(None).is_sound());
    assert_eq!(open(&other).verify(Some(&earlier)).faults, [LogFault::Earlier { size: 300 }]);
    // And one that was cut.
    let cut = Place::new();
    let mut writer = cut.writer();
    writer.append(&group(0..200)).unwrap();
    writer.publish().unwrap();
    assert_eq!(open(&cut).verify(Some(&earlier)).faults, [LogFault::Earlier { size: 300 }]);
    let note = format!("{}x", earlier.as_str());
    assert!(SignedCheckpoint::open(&note, &verifier()).is_err());
}

#[test]
fn the_wrong_key_opens_nothing() {
    let (place, _) = three_groups(3);
    let open = |key: &Path, origin| {
        AuditLog::open(&place.directory(), origin, key, ServerKind::Core, &settings())
            .err()
            .unwrap()
            .to_string()
    };
    let other = place.key_file().with_file_name("other.key");
    let fresh = Place::new();
    drop(AuditLog::open(&fresh.directory(), ORIGIN, &other, ServerKind::Core, &settings()).unwrap());
    assert!(open(&other, ORIGIN).contains("not signed by this log's key"));
    assert!(
        open(&place.key_file(), "kms.example.org/other").contains("it is the key of kms.example.org/golden")
    );
    let missing = place.key_file().with_file_name("missing.key");
    assert!(open(&missing, ORIGIN).contains("the signing key of the log is missing"));
    assert!(!missing.exists());
}
