//! `bench`: see `bench help`.
#![allow(clippy::print_stdout, reason = "a command prints its answers")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bench::cost::Costs;
use bench::rclone::Rclone;
use bench::rivals::Rivals;
use bench::table::Figures;
use bench::{child, functions, images, pure};
use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Measures what was promised")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything
    All {
        #[command(flatten)]
        functions: FunctionArguments,
        #[command(flatten)]
        images: ImageArguments,
        /// Seconds instead of minutes: fewer runs, shorter ones
        #[arg(long)]
        quick: bool,
    },
    /// The functions: init, work, memory, what they ask of AWS; what a million of each costs
    Functions {
        #[command(flatten)]
        functions: FunctionArguments,
        /// Fewer runs
        #[arg(long)]
        quick: bool,
    },
    /// The pictures: cap, processor time, memory, and what a second run costs
    Images {
        #[command(flatten)]
        images: ImageArguments,
        /// Seconds instead of minutes: shorter runs, a tenth of the files
        #[arg(long)]
        quick: bool,
    },
    /// One function below a profiler, which is given by its path: where a start goes, and a unit of work
    Profile {
        /// Such as webhook-intake
        name: String,
        /// Units of work after the start
        #[arg(long, default_value_t = 0)]
        events: u64,
        /// The profiler and its arguments
        #[arg(last = true, required = true)]
        under: Vec<PathBuf>,
    },
    /// What is measured; the parent starts it
    #[command(hide = true)]
    Child(child::Arguments),
}

#[derive(Debug, Args)]
struct FunctionArguments {
    /// Python with boto3, to run beside it
    #[arg(long, env = "BENCH_PYTHON", value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Node, with the AWS SDK in tests/bench/rivals/node_modules, to run beside it
    #[arg(long, env = "BENCH_NODE", value_name = "PROGRAM")]
    node: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ImageArguments {
    /// rclone, to run beside it; without this the one on the PATH
    #[arg(long, env = "RCLONE", value_name = "PROGRAM")]
    rclone: Option<PathBuf>,
}

fn of_functions(FunctionArguments { python, node }: FunctionArguments, quick: bool) -> anyhow::Result<Figures> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let scale = if quick { functions::Scale::QUICK } else { functions::Scale::FULL };
    let rivals = Rivals::find(&root, python, node);
    let (mut figures, works) = functions::run(scale, &rivals)?;
    figures.append(pure::figures(&root.join("target/criterion"))?);
    rivals.missing().iter().for_each(|sentence| figures.remark(sentence.as_str()));
    println!("{}", Costs::of(works)?);
    Ok(figures)
}

fn of_images(ImageArguments { rclone }: ImageArguments, quick: bool) -> anyhow::Result<Figures> {
    images::run(if quick { images::Scale::QUICK } else { images::Scale::FULL }, Rclone::find(rclone)?)
}

fn main() -> anyhow::Result<ExitCode> {
    let figures = match Arguments::parse().what {
        What::Child(arguments) => return child::run(arguments).map(|()| ExitCode::SUCCESS),
        What::Profile { name, events, under } => {
            return functions::profile(&name, events, &under).map(|()| ExitCode::SUCCESS);
        }
        What::Functions { functions, quick } => of_functions(functions, quick)?,
        What::Images { images, quick } => of_images(images, quick)?,
        What::All { functions, images, quick } => {
            let mut figures = of_functions(functions, quick)?;
            figures.append(of_images(images, quick)?);
            figures
        }
    };
    println!("{figures}");
    match figures.short() {
        0 => println!("Every budget holds."),
        short => println!("{short} short of what was promised."),
    }
    Ok(if figures.short() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
