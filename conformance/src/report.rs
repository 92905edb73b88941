//! Says how a run went: a table for people, JUnit XML and JSON for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use serde_json::json;

use crate::case::Set;
use crate::expectation::{Expectations, Standing};
use crate::run::{Outcome, Verdict};

/// How all runs went, each over one subject and one version.
#[derive(Default, Debug)]
pub struct Report {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    subject: String,
    outcome: Outcome,
    standing: Standing,
}

impl Report {
    /// Adds the outcomes of one subject and version.
    pub fn add(&mut self, subject: &str, outcomes: Vec<Outcome>, expectations: &Expectations) {
        let standings = expectations.judge(&outcomes);
        let line = |(outcome, standing)| Line { subject: subject.to_owned(), outcome, standing };
        self.lines.extend(outcomes.into_iter().zip(standings).map(line));
    }

    /// Whether every verdict was as expected.
    pub fn is_good(&self) -> bool {
        self.count(|standing| matches!(standing, Standing::Failed(_))) == 0
    }

    /// Writes the table, the totals, and as the last line `N passed, N failed, N skipped`, where cases that fail for a known reason
    /// count as skipped. Those that did not fail by surprise are in the table only if `is_verbose`; else their reasons are.
    ///
    /// # Errors
    /// Of the output.
    pub fn write_table(&self, out: &mut dyn io::Write, is_verbose: bool) -> io::Result<()> {
        let width = self.lines.iter().map(|line| line.outcome.label.len()).max().unwrap_or(0);
        for line in &self.lines {
            let (word, what) = match &line.standing {
                Standing::Failed(what) => ("FAILED", what.clone()),
                _ if !is_verbose => continue,
                Standing::Passed => ("passed", String::new()),
                Standing::Known { reason, what } => ("known", format!("{reason} [{what}]")),
                Standing::Skipped(why) => ("skipped", why.clone()),
            };
            let line = format!("{} {:width$}  {word:7}  {what}", line.subject, line.outcome.label);
            writeln!(out, "{}", line.trim_end())?;
        }
        for ((subject, reason), count) in self.reasons() {
            writeln!(out, "{subject}: {count} skipped: {reason}")?;
        }
        for ((subject, version, set), (passed, all)) in self.totals() {
            writeln!(out, "{subject} {version} {set}: {passed} of {all}")?;
        }
        writeln!(
            out,
            "{} passed, {} failed, {} skipped",
            self.count(|standing| *standing == Standing::Passed),
            self.count(|standing| matches!(standing, Standing::Failed(_))),
            self.count(|standing| matches!(standing, Standing::Known { .. } | Standing::Skipped(_)))
        )
    }

    /// How many cases were skipped or failed for which reason, for each subject.
    fn reasons(&self) -> BTreeMap<(&str, &str), usize> {
        let mut reasons = BTreeMap::new();
        for line in &self.lines {
            if let Standing::Known { reason, .. } | Standing::Skipped(reason) = &line.standing {
                *reasons.entry((line.subject.as_str(), reason.as_str())).or_default() += 1;
            }
        }
        reasons
    }

    /// Passed cases and all cases, for each subject, version and collection.
    fn totals(&self) -> BTreeMap<(String, String, Set), (usize, usize)> {
        let mut totals = BTreeMap::new();
        for Line { subject, outcome, .. } in &self.lines {
            let key = (subject.clone(), outcome.version.clone(), outcome.set);
            let (passed, all): &mut (usize, usize) = totals.entry(key).or_default();
            *passed += usize::from(outcome.verdict == Verdict::Passed);
            *all += 1;
        }
        totals
    }

    fn count(&self, is_counted: impl Fn(&Standing) -> bool) -> usize {
        self.lines.iter().filter(|line| is_counted(&line.standing)).count()
    }

    /// The report as JUnit XML: a test suite for each subject, version and collection.
    pub fn junit(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
        for (subject, version, set) in self.totals().keys() {
            let is_in = |line: &&Line| {
                line.subject == *subject && line.outcome.version == *version && line.outcome.set == *set
            };
            let _ = writeln!(xml, "<testsuite name=\"{}\">", escape(&format!("{subject} {version} {set}")));
            for line in self.lines.iter().filter(is_in) {
                let label = escape(&line.outcome.label);
                let seconds = line.outcome.duration.as_secs_f64();
                let inside = match &line.standing {
                    Standing::Passed => String::new(),
                    Standing::Failed(what) => format!("<failure message=\"{}\"/>", escape(what)),
                    Standing::Known { reason, what } => {
                        format!("<skipped message=\"{}\"/>", escape(&format!("{reason} [{what}]")))
                    }
                    Standing::Skipped(why) => format!("<skipped message=\"{}\"/>", escape(why)),
                };
                let _ = writeln!(
                    xml,
                    "<testcase classname=\"{}\" name=\"{label}\" time=\"{seconds:.3}\">{inside}</testcase>",
                    escape(subject)
                );
            }
            xml.push_str("</testsuite>\n");
        }
        xml.push_str("</testsuites>\n");
        xml
    }

    /// The report as JSON.
    pub fn json(&self) -> serde_json::Value {
        let cases = self.lines.iter().map(|line| {
            let (standing, difference, reason) = match &line.standing {
                Standing::Passed => ("passed", None, None),
                Standing::Failed(what) => ("failed", Some(what), None),
                Standing::Known { reason, what } => ("known", Some(what), Some(reason)),
                Standing::Skipped(why) => ("skipped", None, Some(why)),
            };
            json!({
                "subject": line.subject,
                "case": line.outcome.label,
                "version": line.outcome.version,
                "set": line.outcome.set.to_string(),
                "passes": line.outcome.verdict == Verdict::Passed,
                "standing": standing,
                "difference": difference,
                "reason": reason,
                "seconds": line.outcome.duration.as_secs_f64(),
            })
        });
        let totals = self.totals().into_iter().map(|((subject, version, set), (passed, all))| {
            json!({
                "subject": subject, "version": version, "set": set.to_string(), "passed": passed, "cases": all
            })
        });
        json!({ "cases": cases.collect::<Vec<_>>(), "totals": totals.collect::<Vec<_>>() })
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control < ' ' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    fn report() -> Report {
        let outcome = |label: &str, verdict| Outcome {
            label: label.to_owned(),
            version: "2.1".to_owned(),
            set: Set::Mandatory,
            verdict,
            duration: Duration::ZERO,
        };
        let outcomes = vec![
            outcome("A-M-1-21", Verdict::Passed),
            outcome("A-M-2-21", Verdict::Failed("a < b & \"c\"".to_owned())),
            outcome("A-M-3-21", Verdict::Skipped("why".to_owned())),
        ];
        let mut report = Report::default();
        report.add("server", outcomes, &Expectations::default());
        report
    }

    #[test]
    fn the_last_line_is_the_sum() {
        let mut out = Vec::new();
        report().write_table(&mut out, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[lines.len() - 2..],
            ["server 2.1 mandatory: 1 of 3", "1 passed, 1 failed, 1 skipped"]
        );
        assert!(!text.contains("A-M-1-21"), "what passed is not listed");
        assert!(!report().is_good());
    }

    #[test]
    fn the_machine_readable_forms_are_well_formed() {
        let junit = report().junit();
        let document = roxmltree::Document::parse(&junit).unwrap();
        let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
        assert_eq!(failure.attribute("message"), Some("a < b & \"c\""));
        assert_eq!(report().json()["totals"][0]["passed"], 1);
    }
}
