//! Feeds mutated messages to everything that reads bytes of a peer or of a store, on a stable compiler.
//!
//! ```text
//! cargo run --release -p fuzz -- TARGET [--runs N] [--seed S]
//! cargo run --release -p fuzz -- TARGET --replay FILE
//! ```
//!
//! `TARGET` is one of `ttlv`, `xml`, `json`, `request`, `response`, `record`, or `all`. Run number n depends on S + n
//! and on nothing else: `--runs 1 --seed` with the number that a crash prints is that run again. What is wrong is a
//! panic (targets assert what must hold) or a run of more than a second. The input is printed in hex and kept in
//! `fuzz/crashes`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

mod corpus;
mod mutation;
mod random;
mod target;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::corpus::Corpus;
use crate::random::Random;
use crate::target::{TARGETS, Target};

/// Runs of each target, unless `--runs` says otherwise.
const DEFAULT_RUNS: u64 = 100_000;
/// The first seed, unless `--seed` says otherwise.
const DEFAULT_SEED: u64 = 1;
/// No message of a peer may take as long to read.
const MAXIMUM_RUN: Duration = Duration::from_secs(1);

struct Arguments {
    targets: Vec<&'static Target>,
    runs: u64,
    seed: u64,
    replay: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            println!("{problem}\nusage: fuzz TARGET [--runs N] [--seed S] [--replay FILE]");
            return ExitCode::from(2);
        }
    };
    let all_passed = match &arguments.replay {
        Some(file) => fs::read(file).is_ok_and(|input| {
            let input = Bytes::from(input);
            arguments.targets.iter().all(|target| survives(target, &input))
        }),
        // Not short-circuiting: a crash of one target does not excuse the next.
        None => arguments.targets.iter().filter(|target| !fuzz(target, &arguments)).count() == 0,
    };
    if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let name = words.next().ok_or("which target?")?;
    let targets: Vec<_> = TARGETS.iter().filter(|target| name == "all" || name == target.name).collect();
    if targets.is_empty() {
        return Err(format!("no target is called {name}"));
    }
    let mut arguments = Arguments { targets, runs: DEFAULT_RUNS, seed: DEFAULT_SEED, replay: None };
    while let Some(option) = words.next() {
        let value = words.next().ok_or(format!("{option} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{option}: {value} is no number"));
        match option.as_str() {
            "--runs" => arguments.runs = number()?,
            "--seed" => arguments.seed = number()?,
            "--replay" => arguments.replay = Some(value),
            _ => return Err(format!("no option is called {option}")),
        }
    }
    Ok(arguments)
}

/// Runs a target; stops at the first crash.
fn fuzz(target: &Target, arguments: &Arguments) -> bool {
    let corpus = Corpus::load(target.form);
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for run in 0..arguments.runs {
        let seed = arguments.seed.wrapping_add(run);
        let input = Bytes::from(mutation::mutate(&corpus, &mut Random::new(seed)));
        let before = Instant::now();
        let survived = survives(target, &input);
        slowest = slowest.max(before.elapsed());
        if !survived || slowest > MAXIMUM_RUN {
            report(target, seed, &input, slowest);
            return false;
        }
    }
    let rate = arguments.runs as f64 / start.elapsed().as_secs_f64();
    println!(
        "{}: {} runs over {} seeds of corpus, {rate:.0} runs/s, slowest {slowest:?}: nothing found",
        target.name,
        arguments.runs,
        corpus.inputs.len()
    );
    true
}

fn survives(target: &Target, input: &Bytes) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok()
}

fn report(target: &Target, seed: u64, input: &[u8], slowest: Duration) {
    let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{}: CRASH with --seed {seed} (slowest run: {slowest:?}), input {hex}", target.name);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashes");
    let file = folder.join(format!("{}-{seed}", target.name));
    match fs::create_dir_all(&folder).and_then(|()| fs::write(&file, input)) {
        Ok(()) => println!("{}: kept in {}", target.name, file.display()),
        Err(error) => println!("{}: cannot be kept: {error}", target.name),
    }
}
