//! `sampan`: see `sampan help`.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    sampan::cli::Cli::parse().run_until_interrupted().await
}
