//! What the suite cannot try: files, crashes, damage, full disks.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redb::ReadableTable as _;

use super::*;
use crate::record::{INDEX_VERSION, index_key};
use crate::store::archive::{self, ArchiveError};
use crate::store::suite::{Subject, insert, name, record, replace, store_tests, walked, with};

const LIMITS: EmbeddedLimits = EmbeddedLimits {
    page_cache_bytes: 8 << 20,
    record_cache_bytes: 8 << 20,
    waiting_commits: 1024,
    batch_commits: 256,
    journal_bytes: 1 << 20,
    minimum_free_bytes: 0,
};

fn subject(limits: EmbeddedLimits) -> Subject {
    let keep = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(&keep.path().join("store"), limits).unwrap());
    Subject { store, _keep: Some(Box::new(keep)) }
}

store_tests!(cached, subject(LIMITS));
store_tests!(uncached, subject(EmbeddedLimits { record_cache_bytes: 0, batch_commits: 2, ..LIMITS }));

fn open(directory: &Path) -> Result<EmbeddedStore, OpenError> {
    EmbeddedStore::open(directory, LIMITS)
}

fn refusal(directory: &Path) -> OpenError {
    open(directory).err().unwrap()
}

async fn identifiers(store: &EmbeddedStore) -> BTreeSet<String> {
    let page = store.select("t", None, None, usize::MAX).await.unwrap();
    page.iter().map(|record| record.unique_identifier.to_string()).collect()
}

/// A store of a few records, closed.
async fn some_store(directory: &Path) {
    let store = open(directory).unwrap();
    for (number, identifier) in ["a", "b", "c"].into_iter().enumerate() {
        let record = with(record("t", identifier, number as u64), [name(identifier)]);
        store.commit(vec![insert(&record)]).await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn what_was_committed_is_there_when_opened_again() {
    let keep = tempfile::tempdir().unwrap();
    some_store(keep.path()).await;
    for _ in 0..2 {
        let store = open(keep.path()).unwrap();
        assert_eq!(identifiers(&store).await.len(), 3);
        let key = index_key(&name("b")).unwrap();
        assert_eq!(store.select("t", Some(&key), None, 9).await.unwrap().len(), 1);
        // Dropped this time, not closed.
    }
}

#[tokio::test]
async fn a_closed_store_is_unavailable_and_lets_another_in() {
    let keep = tempfile::tempdir().unwrap();
    let store = open(keep.path()).unwrap();
    store.commit(vec![insert(&record("t", "a", 1))]).await.unwrap();
    store.close().await;
    store.close().await;
    let late = store.commit(vec![insert(&record("t", "b", 1))]).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.fetch("t", "b").await, Err(StoreError::Unavailable(_))));
    assert_eq!(identifiers(&open(keep.path()).unwrap()).await.len(), 1);
}

#[tokio::test]
async fn commits_under_way_are_answered_before_it_closes() {
    let keep = tempfile::tempdir().unwrap();
    let store = Arc::new(open(keep.path()).unwrap());
    let commit = |number: u64| {
        let store = Arc::clone(&store);
        async move { store.commit(vec![insert(&record("t", &format!("k{number}"), number))]).await }
    };
    let tasks: Vec<_> = (0..100).map(|number| tokio::spawn(commit(number))).collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut acknowledged = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => acknowledged += 1,
            Err(error) => assert!(matches!(error, StoreError::Unavailable(_))),
        }
    }
    assert_eq!(identifiers(&open(keep.path()).unwrap()).await.len(), acknowledged);
}

#[tokio::test]
async fn one_process_at_a_time() {
    let keep = tempfile::tempdir().unwrap();
    let store = open(keep.path()).unwrap();
    let refusal = refusal(keep.path());
    assert!(matches!(refusal, OpenError::InUse(_)), "{refusal}");
    assert!(refusal.to_string().contains("another process"));
    drop(store);
    open(keep.path()).unwrap();
}

#[tokio::test]
async fn files_are_their_owners_alone() {
    let keep = tempfile::tempdir().unwrap();
    let directory = keep.path().join("deep/store");
    some_store(&directory).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 4);
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

fn edit(directory: &Path, edit: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(directory.join("records.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    edit(&transaction);
    transaction.commit().unwrap();
}

#[tokio::test]
async fn an_unknown_format_is_refused() {
    let keep = tempfile::tempdir().unwrap();
    some_store(keep.path()).await;
    edit(keep.path(), |transaction| {
        transaction.open_table(layout::META).unwrap().insert(layout::META_FORMAT, 99).unwrap();
    });
    let refusal = refusal(keep.path());
    assert!(matches!(refusal, OpenError::UnknownFormat { found: 99, known: 3, .. }), "{refusal}");
    fs::write(keep.path().join("records.redb"), "something else").unwrap();
    open(keep.path()).err().unwrap();
}

/// A store of the first version, of a later one that indexed something else, and one whose indexing was interrupted.
#[tokio::test]
async fn a_store_that_was_indexed_otherwise_is_indexed_anew() {
    for outdated in [None, Some(INDEX_VERSION + 1), Some(0)] {
        let keep = tempfile::tempdir().unwrap();
        some_store(keep.path()).await;
        edit(keep.path(), |transaction| {
            let mut meta = transaction.open_table(layout::META).unwrap();
            match outdated {
                Some(version) => _ = meta.insert(layout::META_INDEX, version).unwrap(),
                None => {
                    meta.remove(layout::META_INDEX).unwrap();
                    meta.insert(layout::META_FORMAT, layout::FORMAT_WITHOUT_INDEX_VERSION).unwrap();
                }
            }
            let mut index = transaction.open_table(layout::INDEX).unwrap();
            index.retain(|_, ()| false).unwrap();
            index.insert(&b"something else"[..], ()).unwrap();
        });
        for _ in 0..2 {
            let store = open(keep.path()).unwrap();
            assert_eq!(identifiers(&store).await.len(), 3);
            let key = index_key(&name("b")).unwrap();
            assert_eq!(store.select("t", Some(&key), None, 9).await.unwrap().len(), 1);
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_store_that_lost_records_is_refused() {
    let keep = tempfile::tempdir().unwrap();
    some_store(keep.path()).await;
    let database = keep.path().join("records.redb");
    let older = fs::read(&database).unwrap();
    for (number, identifier) in ["d", "e"].into_iter().enumerate() {
        let store = open(keep.path()).unwrap();
        store.commit(vec![insert(&record("t", identifier, 4 + number as u64))]).await.unwrap();
        store.close().await;
    }
    // Replaced by a copy older than the journal, and gone altogether.
    fs::write(&database, &older).unwrap();
    assert!(matches!(refusal(keep.path()), OpenError::Lost(_)));
    fs::remove_file(&database).unwrap();
    assert!(matches!(refusal(keep.path()), OpenError::Lost(_)));
    fs::write(keep.path().join("anchor"), "torn").unwrap();
    assert!(matches!(refusal(keep.path()), OpenError::Lost(_)));
    // The operator decides to go on with the older copy.
    fs::write(&database, &older).unwrap();
    fs::remove_file(keep.path().join("anchor")).unwrap();
    assert_eq!(identifiers(&open(keep.path()).unwrap()).await.len(), 3);
}

#[tokio::test]
async fn a_store_repaired_into_an_emptier_one_is_refused() {
    let keep = tempfile::tempdir().unwrap();
    some_store(keep.path()).await;
    edit(keep.path(), |transaction| {
        transaction.open_table(layout::RECORDS).unwrap().pop_first().unwrap();
    });
    assert!(matches!(refusal(keep.path()), OpenError::Damaged { .. }));
    edit(keep.path(), |transaction| {
        transaction.delete_table(layout::META).unwrap();
    });
    assert!(matches!(refusal(keep.path()), OpenError::Damaged { .. }));
}

#[tokio::test]
async fn a_flipped_byte_damages_one_record() {
    let keep = tempfile::tempdir().unwrap();
    some_store(keep.path()).await;
    let path = keep.path().join("records.redb");
    let mut bytes = fs::read(&path).unwrap();
    let encoded = with(record("t", "b", 1), [name("b")]).encode();
    let at = bytes.windows(encoded.len()).rposition(|window| *window == *encoded).unwrap();
    bytes[at + encoded.len() - 9] ^= 1;
    fs::write(&path, bytes).unwrap();

    let store = open(keep.path()).unwrap();
    assert!(matches!(store.fetch("t", "b").await, Err(StoreError::Damaged(_))));
    let changed = Record { version: 2, ..record("t", "b", 1) };
    assert!(matches!(store.commit(vec![replace(&changed)]).await, Err(StoreError::Damaged(_))));
    assert_eq!(identifiers(&store).await.into_iter().collect::<Vec<_>>(), ["a", "c"]);
    // An export holds the others, and says that it is not all.
    let mut file = Vec::new();
    let missing = archive::export(&store, &mut file, |_| ()).await;
    assert!(matches!(missing, Err(ArchiveError::Incomplete(1))), "{missing:?}");
    assert_eq!(archive::verify(&mut &file[..]).unwrap(), 2);
    assert!(store.fetch("t", "a").await.unwrap().is_some());
    store.commit(vec![insert(&record("t", "d", 9))]).await.unwrap();
}

/// Whether a file is checked whole when it is opened.
fn is_checked(file: &Path) -> bool {
    let checked = Arc::new(AtomicBool::new(false));
    let mut builder = redb::Builder::new();
    builder.set_repair_callback({
        let checked = Arc::clone(&checked);
        move |_| checked.store(true, Ordering::Relaxed)
    });
    drop(builder.open(file).unwrap());
    checked.load(Ordering::Relaxed)
}

/// Copies a store as a crash at this moment would leave it.
fn crashed(store: &Path, copy: &Path) {
    fs::create_dir(copy).unwrap();
    for file in ["records.redb", "journal", "anchor"] {
        fs::copy(store.join(file), copy.join(file)).unwrap();
    }
}

/// The database is as old as its last round of the journal, and that has what came since.
#[tokio::test]
async fn the_journal_has_what_the_database_has_not_written_down() {
    let keep = tempfile::tempdir().unwrap();
    let path = |name: &str| keep.path().join(name);
    let store = open(&path("store")).unwrap();
    let mut changing = record("t", "changing", 1);
    store.commit(vec![insert(&changing)]).await.unwrap();
    for number in 0..20 {
        changing.version += 1;
        let identifier = format!("k{number}");
        let named = with(record("t", &identifier, number), [name(&identifier)]);
        store.commit(vec![insert(&named), replace(&changing)]).await.unwrap();
    }
    crashed(&path("store"), &path("crashed"));
    fs::create_dir(path("forgotten")).unwrap();
    fs::copy(path("crashed/records.redb"), path("forgotten/records.redb")).unwrap();
    assert!(!is_checked(&path("forgotten/records.redb")));
    assert!(identifiers(&open(&path("forgotten")).unwrap()).await.len() <= 1, "the test proves nothing");

    // Opened again and again without a chance to settle, and with commits in between.
    for round in 0..3 {
        let opened = open(&path("crashed")).unwrap();
        assert_eq!(identifiers(&opened).await.len(), 21 + round);
        assert_eq!(opened.fetch("t", "changing").await.unwrap().unwrap().version, 21);
        let key = index_key(&name("k7")).unwrap();
        assert_eq!(opened.select("t", Some(&key), None, 9).await.unwrap().len(), 1);
        opened.commit(vec![insert(&record("t", &format!("late{round}"), 99))]).await.unwrap();
        let next = path(&format!("crashed{round}"));
        crashed(&path("crashed"), &next);
        opened.close().await;
        fs::remove_dir_all(path("crashed")).unwrap();
        fs::rename(next, path("crashed")).unwrap();
    }
    // The journal is not what the anchor says any more.
    fs::write(path("crashed/journal"), "").unwrap();
    assert!(matches!(refusal(&path("crashed")), OpenError::Lost(_)));
}

#[tokio::test]
async fn a_store_that_was_left_alone_has_written_everything_down() {
    let keep = tempfile::tempdir().unwrap();
    let store = open(&keep.path().join("store")).unwrap();
    let copy = keep.path().join("copy");
    for number in 0..3 {
        store.commit(vec![insert(&record("t", &format!("k{number}"), number))]).await.unwrap();
        let begun = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            fs::create_dir(&copy).unwrap();
            fs::copy(keep.path().join("store/records.redb"), copy.join("records.redb")).unwrap();
            assert!(!is_checked(&copy.join("records.redb")));
            let written = identifiers(&open(&copy).unwrap()).await.len() as u64;
            fs::remove_dir_all(&copy).unwrap();
            if written == number + 1 {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "it never settles");
        }
    }
}

/// Each transaction is settled, journaled or both kinds in turn; all of them are there afterwards.
#[tokio::test]
async fn a_journal_of_any_length_will_do() {
    for journal_bytes in [0, 4096, 3 * 4096, 64 << 10] {
        let keep = tempfile::tempdir().unwrap();
        let path = |name: &str| keep.path().join(name);
        let store = EmbeddedStore::open(&path("store"), EmbeddedLimits { journal_bytes, ..LIMITS }).unwrap();
        for number in 0..10 {
            let changes = (0..1 + 8 * (number % 3))
                .map(|part| insert(&record("t", &format!("{number}.{part}"), number)));
            store.commit(changes.collect()).await.unwrap();
            let crash = path(&format!("crashed{number}"));
            crashed(&path("store"), &crash);
            assert!(!is_checked(&crash.join("records.redb")));
            let expected: u64 = (0..=number).map(|number| 1 + 8 * (number % 3)).sum();
            assert_eq!(identifiers(&open(&crash).unwrap()).await.len() as u64, expected);
        }
    }
}

/// A store of the version before the journal.
#[tokio::test]
async fn a_store_without_a_journal_is_taken_over() {
    let keep = tempfile::tempdir().unwrap();
    some_store(keep.path()).await;
    fs::remove_file(keep.path().join("journal")).unwrap();
    edit(keep.path(), |transaction| {
        let mut meta = transaction.open_table(layout::META).unwrap();
        meta.remove(layout::META_ROUND).unwrap();
        meta.insert(layout::META_FORMAT, layout::FORMAT_WITHOUT_JOURNAL).unwrap();
    });
    for number in 0..3 {
        let store = open(keep.path()).unwrap();
        assert_eq!(identifiers(&store).await.len(), 3 + number);
        store.commit(vec![insert(&record("t", &format!("k{number}"), 9))]).await.unwrap();
    }
}

#[tokio::test]
async fn a_walk_needs_no_index() {
    let keep = tempfile::tempdir().unwrap();
    some_store(keep.path()).await;
    edit(keep.path(), |transaction| {
        assert!(transaction.delete_table(layout::INDEX).unwrap());
        transaction.open_table(layout::INDEX).unwrap();
    });
    let store = open(keep.path()).unwrap();
    assert_eq!(identifiers(&store).await.len(), 0, "the test proves nothing");
    assert_eq!(walked(&store, "t", 2).await.into_iter().filter(Result::is_ok).count(), 3);
    let mut file = Vec::new();
    archive::export(&store, &mut file, |_| ()).await.unwrap();
    assert_eq!(archive::verify(&mut &file[..]).unwrap(), 3);
}

#[tokio::test]
async fn a_record_is_found_at_its_own_place_only() {
    let keep = tempfile::tempdir().unwrap();
    some_store(keep.path()).await;
    // What leads to one record leads to it from somewhere else.
    edit(keep.path(), |transaction| {
        let mut index = transaction.open_table(layout::INDEX).unwrap();
        let places = index.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec());
        let of_b: Vec<_> = places.filter(|place| place.ends_with(b"b")).collect();
        assert!(of_b.len() > 2, "the test proves nothing");
        for mut place in of_b {
            index.remove(&*place).unwrap();
            let sequence = place.len() - 2;
            place[sequence] ^= 0x40;
            index.insert(&*place, ()).unwrap();
        }
    });
    let store = open(keep.path()).unwrap();
    assert_eq!(identifiers(&store).await, ["a", "c"].map(String::from).into());
    assert!(store.fetch("t", "b").await.unwrap().is_some());
}

#[tokio::test]
async fn a_nearly_full_disk_takes_changes_only() {
    let keep = tempfile::tempdir().unwrap();
    some_store(keep.path()).await;
    let minimum_free_bytes = file::free_bytes(keep.path()) * 2;
    let store = EmbeddedStore::open(keep.path(), EmbeddedLimits { minimum_free_bytes, ..LIMITS }).unwrap();
    assert_eq!(store.commit(vec![insert(&record("t", "d", 4))]).await, Err(StoreError::Full));
    let changed = Record { version: 2, ..record("t", "a", 1) };
    store.commit(vec![replace(&changed)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_a_store_of_one_moment() {
    let keep = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&keep.path().join("store")).unwrap());
    let pair = |number: u64| {
        ["a", "b"].map(|half| {
            insert(&with(record("t", &format!("{number}{half}"), number), [name(&format!("{number}{half}"))]))
        })
    };
    for number in 0..20 {
        store.commit(pair(number).to_vec()).await.unwrap();
    }
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 20..60 {
                store.commit(pair(number).to_vec()).await.unwrap();
            }
        })
    };
    let target = keep.path().join("backup");
    store.backup(&target).await.unwrap();
    assert!(store.backup(&target).await.is_err());
    writer.await.unwrap();
    assert_eq!(identifiers(&store).await.len(), 120);

    let copy = open(&target).unwrap();
    let found = identifiers(&copy).await;
    assert!(found.len() >= 40 && found.len() % 2 == 0);
    for identifier in &found {
        let key = index_key(&name(identifier)).unwrap();
        assert_eq!(copy.select("t", Some(&key), None, 9).await.unwrap().len(), 1);
        assert!(copy.fetch("t", identifier).await.unwrap().is_some());
    }
    copy.commit(vec![insert(&record("t", "new", 1))]).await.unwrap();
}

/// Where a child process of this test program works.
const CHILD_DIRECTORY: &str = "KRYPTON_TEST_CHILD_DIRECTORY";
const CHILD_ROUND: &str = "KRYPTON_TEST_CHILD_ROUND";
const CHILD_TASKS: u64 = 8;

/// Kills that one store goes through.
const ROUNDS_OF_A_STORE: u64 = 20;

fn child(test: &str, directory: &Path, round: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("store::embedded::tests::{test}"), "--ignored", "--nocapture"]);
    command.env(CHILD_DIRECTORY, directory).env(CHILD_ROUND, round.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// The child: each task commits pairs, and raises its counter with each; acknowledged ones are told on stdout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a child process of the tests below"]
async fn child_commits_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let round = std::env::var(CHILD_ROUND).unwrap();
    let store = Arc::new(open(Path::new(&directory)).unwrap());
    let task = |task: u64| {
        let (store, round) = (Arc::clone(&store), round.clone());
        async move {
            let mut counter = record("t", &format!("counter.{round}.{task}"), 0);
            store.commit(vec![insert(&counter)]).await.unwrap();
            for number in 0.. {
                counter.version += 1;
                let identifiers = ["a", "b"].map(|half| format!("pair.{round}.{task}.{number}.{half}"));
                let mut changes: Vec<_> =
                    identifiers.iter().map(|id| insert(&with(record("t", id, number), [name(id)]))).collect();
                changes.push(replace(&counter));
                match store.commit(changes).await {
                    Ok(()) => say(&format!("ack {round} {task} {number}")),
                    Err(error) => return say(&format!("end {error:?}")),
                }
            }
        }
    };
    let tasks: Vec<_> = (0..CHILD_TASKS).map(|number| tokio::spawn(task(number))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    // After a failure: is what was there before still served?
    let counter = store.fetch("t", &format!("counter.{round}.0")).await;
    say(&format!("served {}", matches!(counter, Ok(Some(_)))));
    store.close().await;
}

/// Every pair that was acknowledged is there, and none is there by half.
async fn check_pairs(store: &EmbeddedStore, acknowledged: &[(u64, u64, u64)]) {
    let found = identifiers(store).await;
    for (round, task, number) in acknowledged {
        for half in ["a", "b"] {
            let identifier = format!("pair.{round}.{task}.{number}.{half}");
            assert!(found.contains(&identifier), "{identifier} was acknowledged and is lost");
            assert!(store.fetch("t", &identifier).await.unwrap().is_some());
        }
        let counter = store.fetch("t", &format!("counter.{round}.{task}")).await.unwrap().unwrap();
        assert!(counter.version >= number + 2);
    }
    for identifier in found.iter().filter(|identifier| identifier.starts_with("pair")) {
        let (pair, _) = identifier.rsplit_once('.').unwrap();
        assert!(
            found.contains(&format!("{pair}.a")) && found.contains(&format!("{pair}.b")),
            "half of {pair}"
        );
        let key = index_key(&name(identifier)).unwrap();
        assert_eq!(store.select("t", Some(&key), None, 9).await.unwrap().len(), 1);
    }
}

fn acknowledgement(line: &str) -> Option<(u64, u64, u64)> {
    let mut numbers = line.strip_prefix("ack ")?.split(' ').map(|number| number.parse().unwrap());
    Some((numbers.next()?, numbers.next()?, numbers.next()?))
}

/// `KRYPTON_KILL_ROUNDS`: how often (default 5).
#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let rounds =
        std::env::var("KRYPTON_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let mut keep = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        if round % ROUNDS_OF_A_STORE == 0 {
            (keep, acknowledged) = (tempfile::tempdir().unwrap(), Vec::new());
        }
        let mut child = child("child_commits_until_it_is_killed", keep.path(), round).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok).filter_map(|line| acknowledgement(&line));
        // At another moment each time; seven other commits are under way then.
        acknowledged.extend(lines.by_ref().take(1 + (round as usize * 37) % 97));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(lines);
        assert!(acknowledged.iter().any(|(acknowledged_round, ..)| *acknowledged_round == round));
        check_pairs(&open(keep.path()).unwrap(), &acknowledged).await;
    }
}

/// The disk refuses in the middle of a transaction, as it does when it is full.
#[tokio::test]
async fn a_disk_that_fills_up_loses_nothing() {
    let keep = tempfile::tempdir().unwrap();
    let limited = child("child_commits_until_it_is_killed", keep.path(), 0);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 3000; exec \"$0\" \"$@\""]);
    command.arg(limited.get_program()).args(limited.get_args());
    command.envs(limited.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = command.stderr(Stdio::null()).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let acknowledged: Vec<_> = output.lines().filter_map(acknowledgement).collect();
    assert!(!acknowledged.is_empty());
    assert!(output.lines().any(|line| line == "end Full"), "{output}");
    assert!(output.lines().any(|line| line == "served true"), "{output}");
    let store = open(keep.path()).unwrap();
    check_pairs(&store, &acknowledged).await;
    store.commit(vec![insert(&record("t", "after", 1))]).await.unwrap();
}
