//! A server that answers every case exactly as printed, with values of its own for the symbols.

use std::collections::{HashMap, HashSet};

use conformance::case::{Case, Request, now};
use conformance::compare::{Difference, Objects, Sent, compare};
use conformance::item::{Item, Value};
use conformance::placeholder::{Bindings, Substituted, fixed_dates};
use kmip_protocol::tag;
use kmip_ttlv::{ItemType, Tag};

/// A step under judgement, with everything that its comparison depends on.
pub(crate) struct Judgement<'a> {
    case: &'a Case,
    substituted: Option<Substituted>,
    fixed_dates: &'a HashSet<(Tag, i64)>,
    began: i64,
    expected: &'a Item,
    objects: Objects,
    bindings: Bindings,
    /// What the ideal server answers.
    pub(crate) answer: Item,
}

impl Judgement<'_> {
    /// What the runner says of an answer, without remembering it.
    pub(crate) fn of(&self, answer: &Item) -> Result<(), Difference> {
        self.judge(answer, &mut self.objects.clone(), &mut self.bindings.clone())
    }

    fn judge(&self, answer: &Item, objects: &mut Objects, bindings: &mut Bindings) -> Result<(), Difference> {
        let sent = Sent {
            profile: self.case.profile(),
            request: self.substituted.as_ref().map(|substituted| &substituted.message),
            fed_back: self.substituted.as_ref().map_or(&[], |substituted| &substituted.fed_back),
            fixed_dates: self.fixed_dates,
            began: self.began,
            now: self.began,
        };
        objects.learn(&sent, answer);
        compare(self.expected, answer, &sent, objects, bindings)?;
        bindings.observe(answer);
        Ok(())
    }
}

/// Takes all cases through the ideal server, in their order and over one store, and shows each step to `look`.
pub(crate) fn walk(cases: &[Case], mut look: impl FnMut(&Case, usize, &Judgement<'_>)) {
    let mut objects = Objects::default();
    let mut objects_made = 0;
    for case in cases {
        let requests = case.steps.iter().filter_map(|step| match &step.request {
            Request::Message(message) => Some(message),
            Request::Bytes(_) => None,
        });
        let fixed_dates = fixed_dates(requests);
        let mut bindings = Bindings::default();
        let mut answered = HashMap::new();
        for (index, step) in case.steps.iter().enumerate() {
            let began = now();
            let substituted = match &step.request {
                Request::Message(message) => Some(
                    bindings
                        .substitute(message, began)
                        .unwrap_or_else(|error| panic!("{}: {error}", case.label)),
                ),
                Request::Bytes(_) => None,
            };
            let version = substituted
                .as_ref()
                .and_then(|sent| sent.message.at(&[tag::REQUEST_HEADER, tag::PROTOCOL_VERSION]).cloned());
            let mut answer = instantiate(&step.response, &mut answered, &mut objects_made, &fixed_dates, &[]);
            if let Some(version) = version {
                set_version(&mut answer, version);
            }
            let judgement = Judgement {
                case,
                substituted,
                fixed_dates: &fixed_dates,
                began,
                expected: &step.response,
                objects: objects.clone(),
                bindings: bindings.clone(),
                answer,
            };
            look(case, index, &judgement);
            judgement
                .judge(&judgement.answer, &mut objects, &mut bindings)
                .unwrap_or_else(|difference| panic!("{} step {}: {difference}", case.label, index + 1));
        }
    }
}

fn set_version(answer: &mut Item, version: Item) {
    if let Value::Structure(parts) = &mut answer.value
        && let Value::Structure(fields) = &mut parts[0].value
    {
        fields[0] = version;
    }
}

/// A printed response with values in place of symbols, and with dates of today where no request fixes them.
fn instantiate(
    item: &Item,
    answered: &mut HashMap<String, Value>,
    objects_made: &mut u32,
    fixed_dates: &HashSet<(Tag, i64)>,
    around: &[&Item],
) -> Item {
    let value = match &item.value {
        Value::Structure(children) => {
            let around: Vec<_> = around.iter().copied().chain([item]).collect();
            let mut inside = |child| instantiate(child, answered, objects_made, fixed_dates, &around);
            Value::Structure(children.iter().map(&mut inside).collect())
        }
        Value::Symbol(item_type, symbol) => answered
            .entry(symbol.clone())
            .or_insert_with(|| invent(item.tag, *item_type, objects_made, around))
            .clone(),
        Value::DateTime(seconds) => {
            let meaning = item.meaning(around.last().copied());
            let is_ours = meaning != tag::ATTRIBUTE_VALUE && !fixed_dates.contains(&(meaning, *seconds));
            Value::DateTime(if is_ours { now() } else { *seconds })
        }
        literal => literal.clone(),
    };
    Item::new(item.tag, value)
}

fn invent(tag: Tag, item_type: ItemType, objects_made: &mut u32, around: &[&Item]) -> Value {
    *objects_made += 1;
    let bytes = match tag {
        tag::SHORT_UNIQUE_IDENTIFIER | tag::KEY_MATERIAL => 32,
        _ => 16,
    };
    let block = around.iter().find(|item| item.tag == tag::KEY_BLOCK);
    let bits = block.and_then(|block| block.child(tag::CRYPTOGRAPHIC_LENGTH)).and_then(Item::integer);
    let bytes = bits.map_or(bytes, |bits| usize::try_from(bits / 8).expect("lengths are positive"));
    match item_type {
        ItemType::TextString => Value::TextString(format!("object-{objects_made}")),
        ItemType::DateTime => Value::DateTime(now()),
        ItemType::ByteString => Value::ByteString(objects_made.to_be_bytes().repeat(bytes / 4)),
        other => panic!("no symbol stands for {other:?}"),
    }
}

impl Judgement<'_> {
    /// The request as sent.
    pub(crate) fn request(&self) -> Option<&Item> {
        self.substituted.as_ref().map(|substituted| &substituted.message)
    }
}
