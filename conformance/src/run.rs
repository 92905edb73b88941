//! Takes cases through a server: sends each step, compares the answer, and says how the case went.

use std::time::{Duration, Instant};

use crate::case::{Case, Request, Set, Step, now};
use crate::compare::{Objects, Sent, compare};
use crate::placeholder::{Bindings, Substituted, fixed_dates};
use crate::wire::{Encoding, Subject, Suite, Wire, WireError};
use crate::{item::Item, tag};

/// How a case went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case's label.
    pub label: String,
    /// The case's protocol version.
    pub version: String,
    /// The case's collection.
    pub set: Set,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took.
    pub duration: Duration,
}

/// What came of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every answer was as printed or as a variation allows.
    Passed,
    /// The first difference, with the step.
    Failed(String),
    /// Why it was not run.
    Skipped(String),
}

/// A run over one server, whose store was empty when the run began.
pub struct Runner {
    subject: Subject,
    encoding: Encoding,
    objects: Objects,
}

/// One case under way.
struct Progress<'a> {
    case: &'a Case,
    wire: Wire,
    bindings: Bindings,
    fixed_dates: std::collections::HashSet<(kmip_ttlv::Tag, i64)>,
    began: i64,
}

impl Runner {
    /// A run in which all cases go over `encoding` but for those that test an encoding of their own.
    pub fn new(subject: Subject, encoding: Encoding) -> Self {
        Self { subject, encoding, objects: Objects::default() }
    }

    /// Whether the server is there at all. Ask before the first case: expected failures would hide that it is not.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub fn reach(&self) -> Result<(), WireError> {
        Wire::new(&self.subject, Encoding::Ttlv, Suite::Any)?.reach()
    }

    /// Runs one case. After the first difference the remaining steps are still sent, unjudged, so that the case cleans up after
    /// itself as far as it can.
    pub fn run(&mut self, case: &Case) -> Outcome {
        let start = Instant::now();
        let encoding = encoding_of(case, self.encoding);
        let is_text = matches!(encoding, Encoding::Xml | Encoding::Json);
        let verdict = match Wire::new(&self.subject, encoding, suite_of(case)) {
            Ok(_) if is_text && has_bytes(case) => Verdict::Skipped("bytes have no text form".to_owned()),
            Ok(wire) => self.steps(Progress::new(case, wire)),
            Err(WireError::NoHttps) => Verdict::Skipped("the subject has no HTTPS address".to_owned()),
            Err(error) => Verdict::Failed(error.to_string()),
        };
        let label = case.label.clone();
        Outcome { label, version: case.version.clone(), set: case.set, verdict, duration: start.elapsed() }
    }

    fn steps(&mut self, mut progress: Progress<'_>) -> Verdict {
        let mut first_failure = None;
        for (index, step) in progress.case.steps.iter().enumerate() {
            match progress.step(step, &mut self.objects) {
                Ok(()) => {}
                Err(Failure::Difference(what)) => {
                    first_failure.get_or_insert(format!("step {} ({}): {what}", index + 1, operations(step)));
                }
                Err(Failure::Broken(what)) => {
                    first_failure.get_or_insert(format!("step {} ({}): {what}", index + 1, operations(step)));
                    break;
                }
            }
        }
        first_failure.map_or(Verdict::Passed, Verdict::Failed)
    }
}

enum Failure {
    /// The answer is wrong; the rest of the case can still be sent.
    Difference(String),
    /// There is no answer.
    Broken(String),
}

impl<'a> Progress<'a> {
    fn new(case: &'a Case, wire: Wire) -> Self {
        let requests = case.steps.iter().filter_map(|step| match &step.request {
            Request::Message(message) => Some(message),
            Request::Bytes(_) => None,
        });
        Self { case, wire, bindings: Bindings::default(), fixed_dates: fixed_dates(requests), began: now() }
    }

    fn step(&mut self, step: &Step, objects: &mut Objects) -> Result<(), Failure> {
        let difference = |what: String| Failure::Difference(what);
        let (bytes, substituted) = match &step.request {
            Request::Bytes(bytes) => (bytes.clone(), None),
            Request::Message(message) => {
                let substituted = self
                    .bindings
                    .substitute(message, now())
                    .map_err(|error| difference(error.to_string()))?;
                let bytes = substituted.message.encode();
                (bytes.map_err(|symbol| difference(format!("{symbol} has no value")))?, Some(substituted))
            }
        };
        let actual = self.wire.exchange(&bytes).map_err(|error| Failure::Broken(error.to_string()))?;
        self.judge(step, &actual, substituted.as_ref(), objects)
    }

    fn judge(
        &mut self,
        step: &Step,
        actual: &Item,
        substituted: Option<&Substituted>,
        objects: &mut Objects,
    ) -> Result<(), Failure> {
        let sent = Sent {
            profile: self.case.profile(),
            request: substituted.map(|substituted| &substituted.message),
            fed_back: substituted.map_or(&[], |substituted| &substituted.fed_back),
            fixed_dates: &self.fixed_dates,
            began: self.began,
            now: now(),
        };
        objects.learn(&sent, actual);
        let result = compare(&step.response, actual, &sent, objects, &mut self.bindings);
        self.bindings.observe(actual);
        result.map_err(|difference| Failure::Difference(difference.to_string()))
    }
}

/// The cases for message encodings bring their own; all others are only notation.
fn encoding_of(case: &Case, default: Encoding) -> Encoding {
    match case.profile() {
        "MSGENC-HTTPS-M" => Encoding::Https,
        "MSGENC-XML-M" => Encoding::Xml,
        "MSGENC-JSON-M" => Encoding::Json,
        _ => default,
    }
}

fn has_bytes(case: &Case) -> bool {
    case.steps.iter().any(|step| matches!(step.request, Request::Bytes(_)))
}

fn suite_of(case: &Case) -> Suite {
    match case.profile() {
        "QS-M" => Suite::Tls13,
        "SUITEB_128-M" => Suite::SuiteB128,
        "SUITEB_192-M" => Suite::SuiteB192,
        _ => Suite::Any,
    }
}

fn operations(step: &Step) -> String {
    let Request::Message(message) = &step.request else { return "bytes".to_owned() };
    let items = message.all(tag::BATCH_ITEM).filter_map(|item| item.child(tag::OPERATION));
    items.map(|operation| operation.show(None)).collect::<Vec<_>>().join(", ")
}
