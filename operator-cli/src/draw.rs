//! A tenant's chain of keys, drawn for people and written down for programs.

use std::time::{SystemTime, UNIX_EPOCH};

use bytestring::ByteString;
use serde_json::{Value, json};

use crate::tenant::{Chain, Facts, Key};

/// The keys of a chain with their levels, from the top.
pub fn levels(chain: &Chain) -> impl Iterator<Item = (&'static str, &Key)> {
    let levels = [("L1", &chain.roots), ("L2", &chain.tenant_keys), ("L3", &chain.service_keys)];
    levels.into_iter().flat_map(|(level, keys)| keys.iter().map(move |key| (level, key)))
}

/// The chain of a tenant for programs.
pub fn as_json(tenant: &str, chain: &Chain) -> Value {
    json!({ "tenant": tenant, "keys": keys_json(chain) })
}

/// The keys of a chain for programs.
pub fn keys_json(chain: &Chain) -> Vec<Value> {
    levels(chain).map(|(level, key)| key_json(level, key)).collect()
}

fn key_json(level: &str, key: &Key) -> Value {
    let texts = |texts: &[ByteString]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
    let mut value = json!({
        "level": level,
        "unique_identifier": &*key.unique_identifier,
        "state": key.state.to_string(),
        "service": key.service.as_deref(),
        "location": key.location.as_deref(),
        "wrapping_key": key.wrapping_keys.first().map(|above| &**above),
        "wrapping_keys": texts(&key.wrapping_keys),
        "generation": key.generation,
    });
    let Facts { open, opened_by, standing, last_proved, overdue, holders, wraps, unwraps } = &*key.facts;
    let facts = [
        ("open", open.map(Value::from)),
        ("opened_by", opened_by.as_deref().map(Value::from)),
        ("standing", standing.as_deref().map(Value::from)),
        ("last_proved", last_proved.map(Value::from)),
        ("proof_overdue", overdue.map(Value::from)),
        ("wraps", wraps.map(Value::from)),
        ("unwraps", unwraps.map(Value::from)),
        // Where it was asked whether an L3 is open, it was asked who holds it.
        ("lease_holders", open.filter(|_| level == "L3").map(|_| Value::from(texts(holders)))),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            value[name] = fact;
        }
    }
    value
}

/// The chain of a tenant for people: the L1s, the L2s that they open, the L3s that those wrap.
pub fn lines(tenant: &str, chain: &Chain, now: i64) -> Vec<String> {
    let mut lines = vec![tenant.to_owned()];
    for root in &chain.roots {
        let location = root.location.as_deref().unwrap_or("");
        lines.push(format!(
            "  L1 {} {} {location}{}",
            root.unique_identifier,
            root.state,
            root_facts(root, now)
        ));
    }
    for tenant_key in &chain.tenant_keys {
        lines.push(format!(
            "   `- L2 {} {}{}",
            tenant_key.unique_identifier,
            tenant_key.state,
            tenant_key_facts(tenant_key, chain, now)
        ));
        for key in chain.service_keys.iter().filter(|key| key.is_wrapped_by(tenant_key)) {
            let service = key.service.as_deref().unwrap_or("");
            lines.push(format!(
                "       `- L3 {} {} {service}, generation {}{}",
                key.unique_identifier,
                key.state,
                key.generation,
                service_key_facts(key)
            ));
        }
    }
    lines
}

fn root_facts(root: &Key, now: i64) -> String {
    let standing = root.facts.standing.as_deref().map(|standing| format!(", {standing}"));
    let proved = root.facts.last_proved.map(|at| format!(", did its work {}", ago(at, now)));
    [standing, proved].into_iter().flatten().collect()
}

fn tenant_key_facts(key: &Key, chain: &Chain, now: i64) -> String {
    let roots = chain.roots.iter().filter(|root| key.is_wrapped_by(root));
    let sealed = format!(", sealed under {} L1", roots.count());
    let open = key.facts.open.map(|open| if open { ", open" } else { ", not open" }.to_owned());
    let opened_by = key.facts.opened_by.as_deref().map(|root| format!(" by {root}"));
    let proved = key.facts.last_proved.map(|at| format!(", proved {}", ago(at, now)));
    let overdue = key.facts.overdue.filter(|overdue| *overdue).map(|_| ", OVERDUE".to_owned());
    [Some(sealed), open, opened_by, proved, overdue].into_iter().flatten().collect()
}

fn service_key_facts(key: &Key) -> String {
    let facts = &key.facts;
    let open = facts.open.map(|open| if open { ", open" } else { ", not open" }.to_owned());
    let uses = match (facts.wraps, facts.unwraps) {
        (Some(wraps), Some(unwraps)) => Some(format!(", {wraps} wraps, {unwraps} unwraps")),
        _ => None,
    };
    let holders: Vec<&str> = facts.holders.iter().map(|holder| &**holder).collect();
    let leased = (!holders.is_empty()).then(|| format!(", leased to {}", holders.join(" ")));
    [open, uses, leased].into_iter().flatten().collect()
}

/// How long ago something was.
pub fn ago(at: i64, now: i64) -> String {
    match now.saturating_sub(at).max(0) {
        seconds @ 0..=119 => format!("{seconds} s ago"),
        seconds @ 120..=7199 => format!("{} min ago", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
