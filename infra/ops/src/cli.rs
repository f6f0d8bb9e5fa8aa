//! The command line: what there is, and how it ends.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::stack::{Choice, Session};
use crate::table::step;
use crate::{
    backfill, check, demo, deploy, images, ledger, local, orders, queues, secrets, send, simulate, status, sweep,
    trades, watermark,
};

/// The exit code of a command that a signal ended: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Runs and looks after a Sampan stack, on AWS or on this machine.
#[derive(Debug, Parser)]
#[command(name = "sampan", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    choice: Choice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The stack on this machine
    #[command(subcommand)]
    Local(LocalCommand),
    /// Put a stack on AWS, or bring it to the code, template and parameters of now
    Deploy(Box<deploy::Arguments>),
    /// Take a stack away, and keep its facts unless told
    Destroy(deploy::DestroyArguments),
    /// Sign and post a sample, a gateway's callback, or a file of deliveries
    Send(Box<send::Arguments>),
    /// How the stack is: what waits, what functions did, how far sweeps are, what asks for a person
    Status(status::Arguments),
    /// Orders
    #[command(subcommand)]
    Order(orders::OrderCommand),
    /// Trades
    #[command(subcommand)]
    Trade(trades::TradeCommand),
    /// What gateways reported of money that moved
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Ask marketplaces now for what changed
    Sweep(sweep::SweepArguments),
    /// Read the orders of the past; stopped and started again it goes on where it was
    Backfill(backfill::Arguments),
    /// Compare a day's orders at a marketplace with ours, and queue what differs
    Audit(sweep::AuditArguments),
    /// Find orders that are paid and that nobody bought or created
    #[command(after_help = "\
Looks at every order that money was captured for within the last 60 days. It ends with an error when it finds one that is
paid and nobody bought, or that nobody created, for longer than 4 hours.")]
    Check,
    /// Pictures of products
    #[command(subcommand)]
    Images(images::ImagesCommand),
    /// What deliveries and marketplaces are let in with
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// How far sweeps are
    #[command(subcommand)]
    Watermark(watermark::WatermarkCommand),
    /// Messages that could not become facts
    #[command(subcommand)]
    Quarantine(queues::QuarantineCommand),
    /// Put messages of the dead-letter queues back on their queues
    Redrive(queues::RedriveArguments),
    /// What is not ours, played on this machine
    #[command(subcommand)]
    Simulate(simulate::SimulateCommand),
}

#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Start it, or bring a running one to the code, template, parameters and secrets of now
    Up {
        #[command(flatten)]
        options: Box<local::Options>,
        /// Then show the main job on it
        #[arg(long)]
        demo: bool,
        #[command(flatten)]
        arguments: demo::Arguments,
    },
    /// Show the main job on the running stack: deliveries and callbacks in, orders and ledger out
    Demo(demo::Arguments),
    /// Stop it, with all its processes and data
    Down,
}

impl Cli {
    /// Does what was asked, unless a signal comes first. Whatever was started and not yet finished is
    /// stopped then, because dropping the work stops it.
    pub async fn run_until_interrupted(self) -> ExitCode {
        let result = tokio::select! {
            result = self.run() => result,
            interrupted = interrupted() => match interrupted {
                Ok(()) => {
                    step("Stopped", "interrupted");
                    return ExitCode::from(INTERRUPTED);
                }
                Err(error) => Err(error),
            },
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("sampan: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    async fn run(self) -> anyhow::Result<()> {
        let choice = self.choice;
        match self.command {
            Command::Local(command) => command.run(&choice).await,
            Command::Deploy(arguments) => deploy::run(&choice, *arguments).await,
            Command::Destroy(arguments) => deploy::take_away(&choice, arguments).await,
            Command::Send(arguments) => send::run(&Session::open(&choice).await?, *arguments).await,
            Command::Status(arguments) => status::run(&Session::open(&choice).await?, arguments).await,
            Command::Order(command) => orders::order(&Session::open(&choice).await?, command).await,
            Command::Trade(command) => trades::run(&Session::open(&choice).await?, command).await,
            Command::Ledger(command) => ledger::run(&Session::open(&choice).await?, command).await,
            Command::Quarantine(command) => queues::quarantine(&Session::open(&choice).await?, command).await,
            Command::Redrive(arguments) => queues::redrive(&Session::open(&choice).await?, arguments).await,
            Command::Sweep(arguments) => sweep::run(&Session::open(&choice).await?, arguments).await,
            Command::Backfill(arguments) => backfill::run(&Session::open(&choice).await?, arguments).await,
            Command::Audit(arguments) => sweep::audit(&Session::open(&choice).await?, arguments).await,
            Command::Check => check::run(&Session::open(&choice).await?).await,
            Command::Images(command) => images::run(&Session::open(&choice).await?, command).await,
            Command::Secrets(command) => secrets::run(&Session::open(&choice).await?, command).await,
            Command::Watermark(command) => watermark::run(&Session::open(&choice).await?, command).await,
            Command::Simulate(command) => simulate::run(command).await,
        }
    }
}

impl LocalCommand {
    async fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let directory = choice.local_dir.clone();
        match self {
            Self::Up { options, demo, arguments } => {
                let running = local::up(&local::Options { directory, ..*options }).await?;
                if demo {
                    let simulated = local::simulated_urls(&choice.local_dir)?;
                    demo::run(&Session::local(running.stack.clone())?, simulated, arguments).await?;
                }
                running.keep();
                Ok(())
            }
            Self::Demo(arguments) => {
                let simulated = local::simulated_urls(&directory)?;
                demo::run(&Session::open_local(choice)?, simulated, arguments).await
            }
            Self::Down => {
                let stopped = local::down(&directory).await?;
                step("Emulator", if stopped { "stopped" } else { "was not running" });
                Ok(())
            }
        }
    }
}

/// Waits for Ctrl-C, the end of the terminal, or a request to stop.
async fn interrupted() -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
