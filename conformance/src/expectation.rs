//! Which cases a subject is known not to pass, each with a reason. A verdict that is not as expected fails the run, in both
//! directions: an unlisted case that fails, and a listed one that passes.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::run::{Outcome, Verdict};

/// The cases of which a server can pass only one, because each shows another behaviour that a server may have: RNG Seed takes
/// all bytes, some, or none, or is refused.
const EXCLUSIVE: &str = "CS-RNG-O-*";

/// What is expected of a subject.
#[derive(Clone, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// Cases that are not run.
    #[serde(default)]
    skip: Vec<Entry>,
    /// Cases that fail.
    #[serde(default)]
    fail: Vec<Entry>,
}

/// Some cases and the reason for what is expected of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Labels, in which `*` stands for any characters and `?` for one.
    cases: Vec<String>,
    #[serde(default)]
    reason: String,
}

/// Why an expectations file cannot be used.
#[derive(Debug, Error)]
pub enum ExpectationError {
    /// It cannot be read.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// It is no TOML of the right form.
    #[error("{0}: {1}")]
    Syntax(PathBuf, Box<toml::de::Error>),
    /// An entry says nothing of why.
    #[error("{0}: {1} has no reason")]
    NoReason(PathBuf, String),
}

/// A verdict held against what was expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It passed, as it should.
    Passed,
    /// It failed, and no reason for this is known; or it passed although it is listed.
    Failed(String),
    /// It failed, for a reason that is known.
    Known {
        /// The reason.
        reason: String,
        /// What failed.
        what: String,
    },
    /// It was not run, or it shows a behaviour that excludes the server's own.
    Skipped(String),
}

impl Expectations {
    /// Reads an expectations file.
    ///
    /// # Errors
    /// What is wrong with it; an entry without a reason is.
    pub fn read(path: &Path) -> Result<Self, ExpectationError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ExpectationError::Unreadable(path.to_owned(), error))?;
        let expectations: Self = toml::from_str(&text)
            .map_err(|error| ExpectationError::Syntax(path.to_owned(), Box::new(error)))?;
        let mut entries = expectations.skip.iter().chain(&expectations.fail);
        match entries.find(|entry| entry.reason.trim().is_empty()) {
            Some(entry) => Err(ExpectationError::NoReason(path.to_owned(), entry.cases.join(", "))),
            None => Ok(expectations),
        }
    }

    /// Why a case is not to be run.
    pub fn skip(&self, label: &str) -> Option<&str> {
        reason(&self.skip, label)
    }

    /// Holds the outcomes of one version against the expectations.
    pub fn judge(&self, outcomes: &[Outcome]) -> Vec<Standing> {
        let mut standings: Vec<_> = outcomes.iter().map(|outcome| self.standing(outcome)).collect();
        self.judge_exclusive(outcomes, &mut standings);
        standings
    }

    fn standing(&self, outcome: &Outcome) -> Standing {
        match (&outcome.verdict, reason(&self.fail, &outcome.label)) {
            (Verdict::Skipped(why), _) => Standing::Skipped(why.clone()),
            (Verdict::Passed, None) => Standing::Passed,
            (Verdict::Passed, Some(_)) => Standing::Failed("passes although listed as failing".to_owned()),
            (Verdict::Failed(what), None) => Standing::Failed(what.clone()),
            (Verdict::Failed(what), Some(reason)) => {
                Standing::Known { reason: reason.to_owned(), what: what.clone() }
            }
        }
    }

    /// Of the cases that exclude each other, the ones that fail beside exactly one that passes are as they should be. Cases that
    /// are listed do not take part.
    fn judge_exclusive(&self, outcomes: &[Outcome], standings: &mut [Standing]) {
        let members = || {
            let is_member = |outcome: &Outcome| {
                matches(EXCLUSIVE, &outcome.label)
                    && reason(&self.fail, &outcome.label).is_none()
                    && !matches!(outcome.verdict, Verdict::Skipped(_))
            };
            outcomes.iter().enumerate().filter(move |(_, outcome)| is_member(outcome))
        };
        let passed: Vec<_> = members().filter(|(_, outcome)| outcome.verdict == Verdict::Passed).collect();
        for (index, outcome) in members() {
            standings[index] = match (passed.as_slice(), &outcome.verdict) {
                ([only], Verdict::Failed(_)) => Standing::Skipped(format!("excluded by {}", only.1.label)),
                ([_], _) => Standing::Passed,
                ([], _) => continue,
                _ => Standing::Failed("passes beside another case that excludes it".to_owned()),
            };
        }
    }
}

fn reason<'a>(entries: &'a [Entry], label: &str) -> Option<&'a str> {
    let lists = |entry: &&Entry| entry.cases.iter().any(|pattern| matches(pattern, label));
    entries.iter().find(lists).map(|entry| entry.reason.as_str())
}

/// Whether a label fits a pattern in which `*` stands for any characters and `?` for one.
pub fn matches(pattern: &str, label: &str) -> bool {
    match (pattern.chars().next(), label.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = &pattern[1..];
            matches(rest, label)
                || label
                    .char_indices()
                    .any(|(at, character)| matches(rest, &label[at + character.len_utf8()..]))
        }
        (Some('?'), Some(any)) => matches(&pattern[1..], &label[any.len_utf8()..]),
        (Some(wanted), Some(found)) if wanted == found => {
            matches(&pattern[wanted.len_utf8()..], &label[found.len_utf8()..])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::case::Set;

    fn outcome(label: &str, verdict: Verdict) -> Outcome {
        let version = "2.1".to_owned();
        Outcome { label: label.to_owned(), version, set: Set::Mandatory, verdict, duration: Duration::ZERO }
    }

    fn failed() -> Verdict {
        Verdict::Failed("different".to_owned())
    }

    fn read(text: &str) -> Result<Expectations, ExpectationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("expectations.toml");
        std::fs::write(&path, text).unwrap();
        Expectations::read(&path)
    }

    #[test]
    fn every_entry_has_a_reason() {
        assert!(read("[[fail]]\ncases = [\"X-1\"]\nreason = \"because\"").is_ok());
        assert!(matches!(
            read("[[fail]]\ncases = [\"X-1\"]\nreason = \" \""),
            Err(ExpectationError::NoReason(..))
        ));
        assert!(matches!(read("[[skip]]\ncases = [\"X-1\"]"), Err(ExpectationError::NoReason(..))));
        assert!(matches!(read("[[miss]]\ncases = []"), Err(ExpectationError::Syntax(..))));
    }

    #[test]
    fn verdicts_must_be_as_expected_in_both_directions() {
        let expectations = read("[[fail]]\ncases = [\"A-*\"]\nreason = \"because\"").unwrap();
        let standing = |label: &str, verdict| expectations.standing(&outcome(label, verdict));
        assert_eq!(standing("B-1", Verdict::Passed), Standing::Passed);
        assert_eq!(standing("B-1", failed()), Standing::Failed("different".to_owned()));
        let known = Standing::Known { reason: "because".to_owned(), what: "different".to_owned() };
        assert_eq!(standing("A-1", failed()), known);
        let passes = standing("A-1", Verdict::Passed);
        assert_eq!(passes, Standing::Failed("passes although listed as failing".to_owned()));
    }

    fn group(verdicts: [Verdict; 4]) -> Vec<Standing> {
        let outcomes: Vec<_> = verdicts
            .into_iter()
            .enumerate()
            .map(|(index, verdict)| outcome(&format!("CS-RNG-O-{index}-21"), verdict))
            .collect();
        Expectations::default().judge(&outcomes)
    }

    #[test]
    fn of_cases_that_exclude_each_other_exactly_one_passes() {
        let one = group([failed(), Verdict::Passed, failed(), failed()]);
        assert_eq!(one[1], Standing::Passed);
        assert_eq!(one[0], Standing::Skipped("excluded by CS-RNG-O-1-21".to_owned()));
        let none = group([failed(), failed(), failed(), failed()]);
        assert!(none.iter().all(|standing| matches!(standing, Standing::Failed(_))));
        let two = group([Verdict::Passed, Verdict::Passed, failed(), failed()]);
        assert!(two.iter().all(|standing| matches!(standing, Standing::Failed(_))));
    }

    #[test]
    fn patterns() {
        assert!(matches("CS-RNG-O-?-21", "CS-RNG-O-1-21"));
        assert!(!matches("CS-RNG-O-?-21", "CS-RNG-O-1-14"));
        assert!(matches("*-14", "SKLC-M-1-14"));
        assert!(matches("*", ""));
        assert!(!matches("SKLC-M-1-14", "SKLC-M-1-1"));
    }
}
