//! The `krypton` program.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    operator_cli::run()
}
