//! Kills a process that writes a log, again and again: what it was told is remembered must be.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::super::{AuditLog, LogReader, ServerKind};
use super::{ORIGIN, Place, event, settings, verifier};

const DIRECTORY: &str = "KRYPTON_TEST_AUDIT_DIRECTORY";
const KEY: &str = "KRYPTON_TEST_AUDIT_KEY";
/// How often the process is killed; `make soak` wants more.
const ROUNDS: &str = "KRYPTON_KILL_ROUNDS";

/// Runs in the process that is killed: tells index and number of every event that is remembered.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other half of kills_lose_nothing"]
async fn write_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let key = PathBuf::from(std::env::var_os(KEY).unwrap());
    let log = AuditLog::open(&directory, ORIGIN, &key, ServerKind::Core, &settings()).unwrap();
    let log = Arc::new(log);
    let writers: Vec<_> = (0..8u64)
        .map(|writer| {
            let log = log.clone();
            tokio::spawn(async move {
                for number in (writer..).step_by(8) {
                    let index = log.append(&event(number)).await.unwrap();
                    // One write, so that lines stay whole.
                    std::io::stdout().write_all(format!("\nack {index} {number}\n").as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[test]
fn kills_lose_nothing() {
    let rounds: u64 = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(8);
    let place = Place::new();
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        // Scattered, but the same in every run.
        let enough = (round * 7919 + 13) % 900;
        acknowledged.extend(acknowledged_before_kill(&place, enough as usize));
        let published = LogReader::open(&place.directory(), &verifier()).unwrap().checkpoint().clone();
        drop(place.open());
        let reader = LogReader::open(&place.directory(), &verifier()).unwrap();
        let report = reader.verify(Some(&published));
        assert!(report.is_sound(), "round {round}: {report:?}");
        for (index, number) in &acknowledged {
            let entry = reader.entry(*index).unwrap();
            assert_eq!(entry, super::entries(*number..number + 1)[0], "round {round}");
        }
    }
}

/// Lets a process write, and kills it once it has told of so many events.
fn acknowledged_before_kill(place: &Place, enough: usize) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "audit_log::tests::crash::write_until_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, place.directory())
        .env(KEY, place.key_file())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    let mut take = |line: &str| {
        if let Some((index, number)) = line.strip_prefix("ack ").and_then(|line| line.split_once(' ')) {
            acknowledged.push((index.parse().unwrap(), number.parse().unwrap()));
        }
        acknowledged.len()
    };
    for line in lines.by_ref() {
        if take(&line.unwrap()) > enough {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had told before it died counts as well; a last line may be cut.
    let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
    rest.pop();
    rest.iter().for_each(|line| {
        take(line);
    });
    acknowledged
}
