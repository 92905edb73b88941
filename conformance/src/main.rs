//! The `krypton-conformance` program: runs KMIP test cases against servers and says which of them pass.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::io::stdout;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use conformance::case::{Case, Set};
use conformance::expectation::{Expectations, matches};
use conformance::report::Report;
use conformance::run::{Outcome, Runner, Verdict};
use conformance::stack::Stack;
use conformance::wire::{Credentials, Encoding, Subject, WireError};

/// Run KMIP test cases against servers.
#[derive(Parser)]
#[command(name = "krypton-conformance", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run against servers that are there already. Start with empty stores.
    Run(RunArguments),
    /// Start Krypton's own servers, anew for each version, and run against the Gateway and the Core.
    All(AllArguments),
}

#[derive(Args)]
struct RunArguments {
    /// Server to run against, KMIP over TLS. May be given several times.
    #[arg(long, value_name = "HOST:PORT", required = true)]
    subject: Vec<String>,
    /// The same server's KMIP over HTTPS; without it, cases that need HTTPS are skipped.
    #[arg(long, value_name = "HOST:PORT")]
    https: Option<String>,
    /// Authority of the server's certificate (PEM).
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Certificate of the client (PEM).
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Key of the client (PEM).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What is expected to fail, with reasons.
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct AllArguments {
    /// The `krypton` program; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    krypton: Option<PathBuf>,
    /// Folder of gateway.toml and core.toml, which say what is expected to fail.
    #[arg(long, value_name = "FOLDER")]
    expectations: Option<PathBuf>,
    /// Run against these servers only.
    #[arg(long, value_delimiter = ',', default_values = ["gateway", "core"])]
    servers: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    output: Output,
}

/// Which cases, and how.
#[derive(Args)]
struct Selection {
    /// Folder of the OASIS cases, with a folder for each version in it. By default `../shared/kmip/vectors` beside the project,
    /// where it exists.
    #[arg(long, value_name = "FOLDER", env = "KMIP_VECTORS")]
    vectors: Option<PathBuf>,
    /// Protocol versions to run.
    #[arg(long, value_delimiter = ',', default_values = ["2.1", "1.4", "1.2", "1.0"])]
    versions: Vec<String>,
    /// Collections to run; all by default.
    #[arg(long = "set", value_delimiter = ',', value_parser = parse_set)]
    sets: Vec<Sets>,
    /// Cases to run, by name; `*` stands for any characters, `?` for one.
    #[arg(long, value_delimiter = ',', num_args = 1..)]
    cases: Vec<String>,
    /// How cases travel that do not test an encoding of their own.
    #[arg(long, value_enum, default_value = "ttlv")]
    encoding: Encoding,
    /// Longest wait for a connection or an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout_seconds: u64,
}

#[derive(Args)]
struct Output {
    /// Write the verdicts as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the verdicts as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// List the cases that pass, too.
    #[arg(long)]
    verbose: bool,
}

/// One collection, or all.
#[derive(Clone, Copy)]
enum Sets {
    All,
    One(Set),
}

fn parse_set(text: &str) -> Result<Sets, String> {
    match text {
        "all" => Ok(Sets::All),
        "mandatory" => Ok(Sets::One(Set::Mandatory)),
        "optional" => Ok(Sets::One(Set::Optional)),
        "own" => Ok(Sets::One(Set::Own)),
        _ => Err("mandatory, optional, own or all".to_owned()),
    }
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::All(arguments) => all(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("krypton-conformance: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &RunArguments) -> Result<bool, Box<dyn Error>> {
    let expectations =
        arguments.expectations.as_deref().map_or(Ok(Expectations::default()), Expectations::read)?;
    let selection = &arguments.selection;
    let cases = selection.cases()?;
    let mut report = Report::default();
    for address in &arguments.subject {
        for version in &selection.versions {
            let subject = Subject {
                name: address.clone(),
                address: address.clone(),
                https: arguments.https.clone(),
                credentials: Credentials {
                    ca: arguments.ca.clone(),
                    cert: arguments.cert.clone(),
                    key: arguments.key.clone(),
                },
                timeout: selection.timeout(),
            };
            selection.run_version(&subject, version, &cases, &expectations, &mut report)?;
        }
    }
    arguments.output.write(&report)
}

fn all(arguments: &AllArguments) -> Result<bool, Box<dyn Error>> {
    let krypton = arguments.krypton.clone().map_or_else(beside_this_program, Ok)?;
    let folder = arguments
        .expectations
        .clone()
        .unwrap_or_else(|| project_folder().join("conformance").join("expectations"));
    let selection = &arguments.selection;
    let cases = selection.cases()?;
    let mut report = Report::default();
    for version in &selection.versions {
        let stack = Stack::start(&krypton)?;
        for server in &arguments.servers {
            let subject = match server.as_str() {
                "gateway" => stack.gateway(selection.timeout()),
                "core" => stack.core(selection.timeout()),
                other => return Err(format!("there is no server {other}: gateway or core").into()),
            };
            let expectations = Expectations::read(&folder.join(format!("{server}.toml")))?;
            selection.run_version(&subject, version, &cases, &expectations, &mut report)?;
        }
    }
    arguments.output.write(&report)
}

impl Selection {
    /// All selected cases of all versions, in the order in which they are to be run.
    fn cases(&self) -> Result<Vec<Case>, Box<dyn Error>> {
        let vectors = self.vectors.clone().unwrap_or_else(|| project_folder().join("../shared/kmip/vectors"));
        let mut cases = Vec::new();
        if vectors.is_dir() {
            for version in &self.versions {
                for (folder, set) in [("mandatory", Set::Mandatory), ("optional", Set::Optional)] {
                    cases.extend(Case::read_folder(&vectors.join(version).join(folder), set)?);
                }
            }
        } else {
            eprintln!("There are no OASIS cases in {}: running our own alone.", vectors.display());
        }
        cases.extend(Case::read_folder(&project_folder().join("fixtures").join("cases"), Set::Own)?);
        cases.retain(|case| self.is_selected(case));
        if cases.is_empty() { Err("no case is selected".into()) } else { Ok(cases) }
    }

    fn is_selected(&self, case: &Case) -> bool {
        let is_in = |sets: &Sets| match sets {
            Sets::All => true,
            Sets::One(set) => *set == case.set,
        };
        (self.sets.is_empty() || self.sets.iter().any(is_in))
            && (self.cases.is_empty() || self.cases.iter().any(|pattern| matches(pattern, &case.label)))
    }

    fn run_version(
        &self,
        subject: &Subject,
        version: &str,
        cases: &[Case],
        expectations: &Expectations,
        report: &mut Report,
    ) -> Result<(), WireError> {
        let mut runner = Runner::new(subject.clone(), self.encoding);
        runner.reach()?;
        let outcomes = cases.iter().filter(|case| case.version == version).map(|case| {
            match expectations.skip(&case.label) {
                Some(reason) => skipped(case, reason),
                None => runner.run(case),
            }
        });
        let outcomes = outcomes.collect();
        report.add(&subject.name, outcomes, expectations);
        Ok(())
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

impl Output {
    fn write(&self, report: &Report) -> Result<bool, Box<dyn Error>> {
        if let Some(path) = &self.junit {
            fs::write(path, report.junit())?;
        }
        if let Some(path) = &self.json {
            fs::write(path, serde_json::to_vec_pretty(&report.json())?)?;
        }
        report.write_table(&mut stdout(), self.verbose)?;
        Ok(report.is_good())
    }
}

fn skipped(case: &Case, reason: &str) -> Outcome {
    Outcome {
        label: case.label.clone(),
        version: case.version.clone(),
        set: case.set,
        verdict: Verdict::Skipped(reason.to_owned()),
        duration: Duration::ZERO,
    }
}

/// The project's folder: the one above this crate when run by cargo, else the current one.
fn project_folder() -> PathBuf {
    let of_crate = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    of_crate.as_deref().and_then(Path::parent).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn beside_this_program() -> Result<PathBuf, Box<dyn Error>> {
    Ok(std::env::current_exe()?.with_file_name("krypton"))
}
