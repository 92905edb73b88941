//! `krypton policy test`: puts questions to policies as a Core would, without one.
//!
//! A question is a line: who, what, about what, and where it matters the circumstances; and what the answer should be.
//!
//! ```text
//! gateway:gateway-1 unwrap acme/billing => allow
//! gateway:gateway-1 unwrap acme/billing time=2026-11-25T03:00:00Z unwraps=5000 => deny
//! operator:olga manage tenant:acme
//! ```

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use governance::{
    Action, Bundle, Circumstances, Policies, Principal, Question, Resource, Role, Verdict, parse_instant,
};
use key_service::audit_log::VerifierKey;
use serde_json::{Value, json};

use super::read_text;
use crate::arguments::TestSettings;
use crate::audit::verifier;
use crate::error::Error;
use crate::output;

/// Where a text begins so, it is a bundle.
const BUNDLE: &str = "krypton-policy ";

/// Runs the command. Fails if an answer is not as expected.
///
/// # Errors
/// If the policies or the questions cannot be read.
pub fn run(settings: &TestSettings, json: bool) -> Result<ExitCode, Error> {
    let (policies, about) = policies(settings)?;
    let mut lines: Vec<String> = settings.request.clone();
    for file in &settings.requests {
        let text = read_text(file)?;
        let lines_of_file = text.lines().map(str::trim);
        lines.extend(
            lines_of_file.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned),
        );
    }
    let mut answers = Vec::new();
    for line in &lines {
        let asked = Asked::read(line).map_err(|problem| Error::Option(format!("\"{line}\": {problem}")))?;
        let verdict = Verdict::clone(&policies.decide(&asked.question(), || asked.circumstances));
        answers.push((line, asked.expected, verdict));
    }
    let is_as_expected = |(_, expected, verdict): &(_, Option<bool>, Verdict)| {
        expected.is_none_or(|expected| expected == verdict.is_permitted())
    };
    let unexpected = answers.iter().filter(|answer| !is_as_expected(answer)).count();
    if json {
        let answers: Vec<Value> = answers
            .iter()
            .map(|answer| {
                let (line, _, verdict) = answer;
                json!({
                    "request": line,
                    "decision": decision(verdict),
                    "reason": verdict.why.words(),
                    "policies": verdict.policies,
                    "as_expected": is_as_expected(answer),
                })
            })
            .collect();
        let warnings = policies.warnings();
        let told = json!({
            "policies": policies.len(), "bundle": about, "warnings": warnings, "answers": answers, "unexpected": unexpected,
        });
        output::line(&told.to_string());
    } else {
        output::line(&format!("{about}, {} policies: sound", policies.len()));
        policies.warnings().iter().for_each(|warning| output::line(&format!("warning: {warning}")));
        for answer in &answers {
            let (line, _, verdict) = answer;
            let mark = if is_as_expected(answer) { "" } else { "UNEXPECTED: " };
            let by = if verdict.policies.is_empty() {
                String::new()
            } else {
                format!(" by {}", verdict.policies.join(", "))
            };
            output::line(&format!("{mark}{}: {line} ({}{by})", decision(verdict), verdict.why.words()));
        }
    }
    Ok(if unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The policies of a file, and what kind of file it is.
fn policies(settings: &TestSettings) -> Result<(Policies, String), Error> {
    let text = read_text(&settings.file)?;
    let unfit = |problem: String| Error::Unfit {
        path: settings.file.clone(),
        problem: format!("is refused: {problem}"),
    };
    let (policies, about) = if !text.starts_with(BUNDLE) {
        (text, "unsigned policies".to_owned())
    } else if settings.trusted_key.is_empty() {
        let (header, policies) = Bundle::unverified(&text).map_err(|error| unfit(error.to_string()))?;
        (policies, format!("bundle {} (signature not verified: no --trusted-key)", header.version))
    } else {
        let keys = settings.trusted_key.iter().map(|key| verifier(key));
        let keys: Vec<VerifierKey> = keys.collect::<Result<_, _>>()?;
        let bundle = Bundle::open(&text, &keys).map_err(|error| unfit(error.to_string()))?;
        (bundle.policies, format!("bundle {} of {}", bundle.header.version, bundle.signer))
    };
    let policies = Policies::new(&policies, &settings.region).map_err(|error| unfit(error.to_string()))?;
    Ok((policies, about))
}

/// A line, read.
struct Asked {
    role: Role,
    name: String,
    action: Action,
    place: Place,
    circumstances: Circumstances,
    expected: Option<bool>,
}

enum Place {
    Region,
    Tenant(String),
    Service(String, String),
    Key {
        unique_identifier: String,
        tenant: String,
        service: String,
        level: &'static str,
        state: &'static str,
    },
}

const LEVELS: [&str; 3] = ["L1", "L2", "L3"];
const STATES: [&str; 6] =
    ["PreActive", "Active", "Deactivated", "Compromised", "Destroyed", "DestroyedCompromised"];

impl Asked {
    fn read(line: &str) -> Result<Self, String> {
        let (line, expected) = match line.split_once("=>") {
            Some((line, expected)) => (line, Some(expectation(expected.trim())?)),
            None => (line, None),
        };
        let mut words = line.split_whitespace();
        let mut word = |what: &str| words.next().ok_or(format!("{what} is missing"));
        let principal = word("who asks, gateway:NAME or operator:NAME,")?;
        let (role, name) = match principal.split_once(':') {
            Some(("gateway", name)) => (Role::Gateway, name),
            Some(("operator", name)) => (Role::Operator, name),
            _ => return Err("it begins with gateway:NAME or operator:NAME".to_owned()),
        };
        let action = word("the action")?;
        let action: Action = action
            .parse()
            .map_err(|()| format!("\"{action}\" is none of {}", Action::ALL.map(Action::name).join(", ")))?;
        let resource = word("what it is about (TENANT/SERVICE, TENANT, tenant:T, service:T/S or region)")?;
        let mut facts = BTreeMap::new();
        for word in words {
            let (name, value) = word.split_once('=').ok_or(format!("\"{word}\" is not NAME=VALUE"))?;
            facts.insert(name, value);
        }
        let place = place(resource, &mut facts)?;
        let circumstances = circumstances(&mut facts)?;
        if let Some(unknown) = facts.keys().next() {
            return Err(format!("\"{unknown}\" is none of level, state, key, time, unwraps, wraps"));
        }
        Ok(Self { role, name: name.to_owned(), action, place, circumstances, expected })
    }

    fn question(&self) -> Question<'_> {
        let resource = match &self.place {
            Place::Region => Resource::Region,
            Place::Tenant(tenant) => Resource::Tenant(tenant),
            Place::Service(tenant, service) => Resource::Service { tenant, service },
            Place::Key { unique_identifier, tenant, service, level, state } => {
                Resource::Key { unique_identifier, tenant, service, level, state }
            }
        };
        let principal = Principal { role: self.role, name: &self.name };
        Question { principal, action: self.action, resource }
    }
}

fn place(resource: &str, facts: &mut BTreeMap<&str, &str>) -> Result<Place, String> {
    let both = |text: &str| {
        let (tenant, service) = text.split_once('/').ok_or(format!("\"{text}\" is not TENANT/SERVICE"))?;
        Ok::<_, String>((tenant.to_owned(), service.to_owned()))
    };
    if resource == "region" {
        return Ok(Place::Region);
    }
    if let Some(tenant) = resource.strip_prefix("tenant:") {
        return Ok(Place::Tenant(tenant.to_owned()));
    }
    if let Some(service) = resource.strip_prefix("service:") {
        let (tenant, service) = both(service)?;
        return Ok(Place::Service(tenant, service));
    }
    let (tenant, service, usual) = match resource.split_once('/') {
        Some((tenant, service)) => (tenant, service, "L3"),
        None => (resource, "", "L2"),
    };
    let one_of = |known: &[&'static str], wanted: &str| {
        let found = known.iter().copied().find(|known| *known == wanted);
        found.ok_or(format!("\"{wanted}\" is none of {}", known.join(", ")))
    };
    Ok(Place::Key {
        unique_identifier: facts.remove("key").unwrap_or("any").to_owned(),
        tenant: tenant.to_owned(),
        service: service.to_owned(),
        level: one_of(&LEVELS, facts.remove("level").unwrap_or(usual))?,
        state: one_of(&STATES, facts.remove("state").unwrap_or("Active"))?,
    })
}

fn circumstances(facts: &mut BTreeMap<&str, &str>) -> Result<Circumstances, String> {
    let mut count = |name: &str| match facts.remove(name) {
        Some(count) => count.parse::<u32>().map_err(|_| format!("\"{count}\" is no count")),
        None => Ok(0),
    };
    let (unwraps_last_minute, wraps_last_minute) = (count("unwraps")?, count("wraps")?);
    let epoch = match facts.remove("time") {
        Some(time) => parse_instant(time)
            .ok_or(format!("\"{time}\" is no point in time such as 2026-11-25T03:00:00Z"))?,
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(now.as_secs()).unwrap_or_default()
        }
    };
    Ok(Circumstances { epoch, unwraps_last_minute, wraps_last_minute })
}

fn expectation(word: &str) -> Result<bool, String> {
    match word {
        "allow" => Ok(true),
        "deny" => Ok(false),
        _ => Err("after => stands allow or deny".to_owned()),
    }
}

fn decision(verdict: &Verdict) -> &'static str {
    if verdict.is_permitted() { "allow" } else { "deny" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lines_are_read() {
        let asked = Asked::read(
            "gateway:g1 unwrap acme/billing time=1970-01-01T03:00:00Z unwraps=7 state=Deactivated => deny",
        );
        let asked = asked.ok().unwrap();
        assert_eq!((asked.expected, asked.circumstances.hour()), (Some(false), 3));
        assert_eq!(asked.circumstances.unwraps_last_minute, 7);
        let resource = Resource::Key {
            unique_identifier: "any",
            tenant: "acme",
            service: "billing",
            level: "L3",
            state: "Deactivated",
        };
        assert_eq!(asked.question().resource, resource);
        for line in [
            "operator:olga manage tenant:acme",
            "operator:olga read region",
            "operator:olga read acme level=L1",
        ] {
            assert!(Asked::read(line).is_ok_and(|asked| asked.expected.is_none()), "{line}");
        }
    }

    #[test]
    fn what_is_no_question_is_refused() {
        for (line, problem) in [
            ("", "who asks"),
            ("g1 unwrap acme/billing", "gateway:NAME"),
            ("gateway:g1 unwarp acme/billing", "none of wrap, unwrap"),
            ("gateway:g1 unwrap", "what it is about"),
            ("gateway:g1 unwrap acme/billing level=L4", "none of L1"),
            ("gateway:g1 unwrap acme/billing moon=full", "none of level"),
            ("gateway:g1 unwrap acme/billing => maybe", "allow or deny"),
            ("gateway:g1 unwrap acme/billing time=noon", "point in time"),
        ] {
            let refused = Asked::read(line).err().unwrap();
            assert!(refused.contains(problem), "{line}: {refused}");
        }
    }
}
