//! `bench`: see `bench help`.
#![allow(clippy::print_stdout, reason = "a command prints its answers")]

use std::path::PathBuf;
use std::process::ExitCode;

use bench::child;
use bench::images::{self, Scale};
use bench::rclone::Rclone;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Measures what was promised")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The pictures: cap, processor time, memory, and what a second run costs
    Images {
        /// Seconds instead of minutes: shorter runs, a tenth of the files
        #[arg(long)]
        quick: bool,
        /// rclone, to run beside it; without this the one on the PATH
        #[arg(long, env = "RCLONE", value_name = "PROGRAM")]
        rclone: Option<PathBuf>,
    },
    /// What is measured; the parent starts it
    #[command(hide = true)]
    Child(child::Arguments),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().what {
        What::Child(arguments) => child::run(arguments).map(|()| ExitCode::SUCCESS),
        What::Images { quick, rclone } => {
            let scale = if quick { Scale::QUICK } else { Scale::FULL };
            let figures = images::run(scale, Rclone::find(rclone)?)?;
            println!("{figures}");
            Ok(if figures.short() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
