//! How policies look at the moment, read off their text: not at all; so that moments fall into spans which they cannot tell apart;
//! or in a way that nobody here has thought of. What is said within a span is remembered; the last kind is asked each time.
//!
//! Hours and weekdays are few. The time and counts have many values, but a policy that only compares them with numbers answers
//! the same as long as every comparison comes out the same: between two of its numbers, and at each of them.

use serde_json::{Map, Value};

use crate::question::Circumstances;

/// What of the context stays as it is while state and place of a key stay.
const STEADY: [&str; 3] = ["region", "level", "state"];

/// What has few values.
const FEW: [&str; 2] = ["hour", "weekday"];

const COMPARISONS: [&str; 6] = ["<", "<=", ">", ">=", "==", "!="];

/// How a policy looks at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// Not at all.
    Away,
    /// In spans.
    Spans(Moments),
    /// Some other way.
    Close,
}

/// What policies read of the moment, and the numbers that they compare it with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Moments {
    hour: bool,
    weekday: bool,
    epoch: Vec<i64>,
    unwraps: Vec<i64>,
    wraps: Vec<i64>,
}

/// Moments that some policies cannot tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    hour: i64,
    weekday: i64,
    epoch: usize,
    unwraps: usize,
    wraps: usize,
}

impl Look {
    /// How a policy in Cedar's JSON form looks at the moment.
    pub(crate) fn of(policy: &Value) -> Self {
        let mut moments = Moments::default();
        match moments.read(policy) {
            None => Self::Close,
            Some(()) if moments == Moments::default() => Self::Away,
            Some(()) => Self::Spans(moments),
        }
    }
}

impl Moments {
    /// What several policies read.
    pub(crate) fn of_all<'a>(each: impl Iterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for one in each {
            all.hour |= one.hour;
            all.weekday |= one.weekday;
            all.epoch.extend(&one.epoch);
            all.unwraps.extend(&one.unwraps);
            all.wraps.extend(&one.wraps);
        }
        for bounds in [&mut all.epoch, &mut all.unwraps, &mut all.wraps] {
            bounds.sort_unstable();
            bounds.dedup();
        }
        all
    }

    /// The span of a moment. The bounds have to be in order, as those of [`of_all`](Self::of_all) are.
    pub(crate) fn span(&self, now: &Circumstances) -> Span {
        let below = |bounds: &[i64], value: i64| bounds.partition_point(|bound| *bound <= value);
        Span {
            hour: if self.hour { now.hour() } else { 0 },
            weekday: if self.weekday { now.weekday() } else { 0 },
            epoch: below(&self.epoch, now.epoch),
            unwraps: below(&self.unwraps, now.unwraps_last_minute.into()),
            wraps: below(&self.wraps, now.wraps_last_minute.into()),
        }
    }

    /// Takes down what is read; `None` if that cannot be told.
    fn read(&mut self, value: &Value) -> Option<()> {
        match value {
            Value::Object(fields) => self.read_expression(fields),
            Value::Array(values) => values.iter().try_for_each(|value| self.read(value)),
            _ => Some(()),
        }
    }

    fn read_expression(&mut self, fields: &Map<String, Value>) -> Option<()> {
        if fields.get("Var").and_then(Value::as_str) == Some("context") {
            return None;
        }
        if let Some(attribute) = attribute_of_context(fields) {
            self.hour |= attribute == "hour";
            self.weekday |= attribute == "weekday";
            return (STEADY.contains(&attribute) || FEW.contains(&attribute)).then_some(());
        }
        match compared(fields) {
            Some((attribute, number)) => self.bound(attribute, number),
            None => fields.values().try_for_each(|value| self.read(value)),
        }
    }

    /// Takes down a number that an attribute is compared with: below it, at it and above it are different moments, whichever
    /// comparison it is.
    fn bound(&mut self, attribute: &str, number: i64) -> Option<()> {
        let bounds = match attribute {
            "epoch" => &mut self.epoch,
            "unwraps_last_minute" => &mut self.unwraps,
            "wraps_last_minute" => &mut self.wraps,
            _ => return None,
        };
        bounds.extend([number, number.saturating_add(1)]);
        Some(())
    }
}

/// `context.ATTRIBUTE`, or `context has ATTRIBUTE`.
fn attribute_of_context(fields: &Map<String, Value>) -> Option<&str> {
    let (operator, operands) = only(fields)?;
    let is_context = operands.get("left")?.get("Var")?.as_str()? == "context";
    (is_context && matches!(operator.as_str(), "." | "has")).then(|| operands.get("attr")?.as_str())?
}

/// A comparison of an attribute of the context that is counted with a number.
fn compared(fields: &Map<String, Value>) -> Option<(&str, i64)> {
    let (operator, operands) = only(fields)?;
    if !COMPARISONS.contains(&operator.as_str()) {
        return None;
    }
    let (left, right) = (operands.get("left")?, operands.get("right")?);
    let (attribute, number) = if left.get(".").is_some() { (left, right) } else { (right, left) };
    let attribute = attribute_of_context(attribute.as_object()?)?;
    let is_counted = ["epoch", "unwraps_last_minute", "wraps_last_minute"].contains(&attribute);
    is_counted.then_some((attribute, number.get("Value")?.as_i64()?))
}

/// The only field.
fn only(fields: &Map<String, Value>) -> Option<(&String, &Value)> {
    fields.iter().next().filter(|_| fields.len() == 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::str::FromStr;

    use cedar_policy::Policy;

    use super::*;

    fn look(condition: &str) -> Look {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        Look::of(&Policy::from_str(&text).unwrap().to_json().unwrap())
    }

    #[test]
    fn what_a_condition_reads_is_found() {
        for steady in [
            "true",
            "context.region == \"eu-1\"",
            "context has level && context.level == \"L3\"",
            "context.state == \"context.hour\"",
        ] {
            assert_eq!(look(steady), Look::Away, "{steady}");
        }
        for close in [
            "context.epoch + 1 > 7",
            "context.epoch == context.wraps_last_minute",
            "context.epoch < -context.hour",
            "[context.epoch].contains(3)",
            "context has epoch",
            "context == context",
            "(if true then context else context).region == \"eu-1\" && context.weekday < 8",
        ] {
            assert_eq!(look(close), Look::Close, "{close}");
        }
        let spans = |moments| Look::Spans(moments);
        let hours = Moments { hour: true, weekday: true, ..Moments::default() };
        assert_eq!(look("[context.hour * 2].contains(4) || context.weekday > 5"), spans(hours));
        let bounds = Moments { epoch: vec![7, 8], wraps: vec![3, 4], ..Moments::default() };
        assert_eq!(look("context.epoch >= 7 && !(3 != context.wraps_last_minute)"), spans(bounds));
        let unwraps = Moments { unwraps: vec![i64::MAX; 2], ..Moments::default() };
        assert_eq!(look("context.unwraps_last_minute < 9223372036854775807"), spans(unwraps));
    }

    #[test]
    fn a_span_ends_at_every_number() {
        let moments = ["context.epoch < 10", "20 == context.epoch", "context.hour == 0"].map(look);
        let moments = moments.iter().map(|look| match look {
            Look::Spans(moments) => moments,
            _ => panic!("{look:?}"),
        });
        let moments = Moments::of_all(moments);
        let span = |epoch| moments.span(&Circumstances { epoch, ..Circumstances::default() });
        let same = [0..=9, 10..=10, 11..=19, 20..=20, 21..=3_599, 3_600..=7_199];
        for (index, range) in same.iter().enumerate() {
            assert_eq!(span(*range.start()), span(*range.end()), "{range:?}");
            let others = same.iter().enumerate().filter(|(other, _)| *other != index);
            assert!(others.into_iter().all(|(_, other)| span(*other.start()) != span(*range.start())));
        }
    }
}
