//! How long a decision takes: remembered, asked anew, and in the cases that cannot be sliced.

#![allow(missing_docs, clippy::unwrap_used)]

use divan::Bencher;
use governance::{Action, Circumstances, Policies, Principal, Question, Resource, Role};

const POLICIES: usize = 1_000;

fn main() {
    divan::main();
}

fn set(policy: impl Fn(usize) -> String) -> Policies {
    let text: String = (0..POLICIES).map(policy).collect();
    Policies::new(&text, "eu-1").unwrap()
}

fn question(tenant: &str) -> Question<'_> {
    Question {
        principal: Principal { role: Role::Gateway, name: "gateway-1" },
        action: Action::Unwrap,
        resource: Resource::Key {
            unique_identifier: "6f1c0b52-6d4e-4a0e-9d8e-0f2b6f0f7f11",
            tenant,
            service: "billing",
            level: "L3",
            state: "Active",
        },
    }
}

fn circumstances() -> Circumstances {
    Circumstances { epoch: 1_795_650_746, unwraps_last_minute: 12, wraps_last_minute: 3 }
}

/// One policy a tenant, none of which looks at the moment.
fn a_tenant_each() -> Policies {
    set(|tenant| {
        format!(
            "permit (principal == Krypton::Gateway::\"gateway-1\", action in Krypton::Action::\"use\", \
             resource in Krypton::Tenant::\"t{tenant}\");\n"
        )
    })
}

/// One policy a tenant, each of which looks at time and counts.
fn a_tenant_each_by_the_hour() -> Policies {
    set(|tenant| {
        format!(
            "permit (principal == Krypton::Gateway::\"gateway-1\", action in Krypton::Action::\"use\", \
             resource in Krypton::Tenant::\"t{tenant}\") \
             when {{ context.hour < 24 && context.unwraps_last_minute < 1000 }};\n"
        )
    })
}

/// The nasty case: policies for everybody and everything, told apart by their conditions only.
fn for_everything(condition: &str) -> Policies {
    set(|index| {
        format!(
            "permit (principal, action, resource) when {{ {} }};\n",
            condition.replace('#', &index.to_string())
        )
    })
}

#[divan::bench]
fn remembered(bencher: Bencher<'_, '_>) {
    let policies = a_tenant_each();
    bencher.bench_local(|| policies.decide(&question("t500"), circumstances));
}

#[divan::bench]
fn by_the_hour(bencher: Bencher<'_, '_>) {
    let policies = a_tenant_each_by_the_hour();
    bencher.bench_local(|| policies.decide(&question("t500"), circumstances));
}

#[divan::bench(sample_count = 1_000, sample_size = 1)]
fn first_time(bencher: Bencher<'_, '_>) {
    let policies = a_tenant_each();
    let mut tenant = 0;
    bencher
        .with_inputs(|| {
            tenant += 1;
            format!("t{}", tenant % POLICIES)
        })
        .bench_local_refs(|tenant| policies.decide(&question(tenant), circumstances));
}

#[divan::bench(sample_count = 100, sample_size = 1)]
fn nasty_first_time(bencher: Bencher<'_, '_>) {
    let policies = for_everything("principal == Krypton::Gateway::\"g#\"");
    let mut tenant = 0;
    bencher
        .with_inputs(|| {
            tenant += 1;
            format!("t{tenant}")
        })
        .bench_local_refs(|tenant| policies.decide(&question(tenant), circumstances));
}

#[divan::bench]
fn nasty_remembered(bencher: Bencher<'_, '_>) {
    let policies = for_everything("principal == Krypton::Gateway::\"g#\"");
    bencher.bench_local(|| policies.decide(&question("t1"), circumstances));
}

#[divan::bench]
fn nasty_by_the_hour(bencher: Bencher<'_, '_>) {
    let policies = for_everything("context.hour == 23 && principal == Krypton::Gateway::\"g#\"");
    bencher.bench_local(|| policies.decide(&question("t1"), circumstances));
}

/// Counts that move all the time, and a policy for each.
#[divan::bench]
fn nasty_by_counts(bencher: Bencher<'_, '_>) {
    let policies = for_everything("context.unwraps_last_minute < # && principal == Krypton::Gateway::\"g#\"");
    bencher.bench_local(|| policies.decide(&question("t1"), circumstances));
}

/// The first question of an hour, or after a count has passed a number.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn nasty_first_of_a_span(bencher: Bencher<'_, '_>) {
    let policies = for_everything("context.unwraps_last_minute < # && principal == Krypton::Gateway::\"g#\"");
    let mut unwraps_last_minute = 0;
    bencher
        .with_inputs(|| {
            unwraps_last_minute += 1;
            Circumstances { unwraps_last_minute, ..circumstances() }
        })
        .bench_local_values(|now| policies.decide(&question("t1"), || now));
}

/// Policies that reckon with the time: nobody knows when their answer changes.
#[divan::bench]
fn nasty_each_time(bencher: Bencher<'_, '_>) {
    let policies = for_everything("context.epoch + # == 0 && principal == Krypton::Gateway::\"g#\"");
    bencher.bench_local(|| policies.decide(&question("t1"), circumstances));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn loading(bencher: Bencher<'_, '_>) {
    bencher.bench_local(a_tenant_each);
}
