//! Benchmarks with their budgets. Each figure stands beside what was promised, and beside another program's where there
//! is one; the exit status tells whether all promises were kept.
//!
//! What is measured runs in processes of its own, so that what plays the outside costs it nothing.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its answers")]

mod bucket;
mod child;
mod images;
mod process;
mod rclone;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::images::Scale;
use crate::rclone::Rclone;

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
