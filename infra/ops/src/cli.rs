//! The command line: what there is, and how it ends.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::stack::{Choice, Session};
use crate::table::step;
use crate::{demo, ledger, local, orders, queues, send};

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
    /// Sign and post a sample, a gateway's callback, or a file of deliveries
    Send(send::Arguments),
    /// Orders
    #[command(subcommand)]
    Order(orders::OrderCommand),
    /// Trades
    #[command(subcommand)]
    Trade(orders::TradeCommand),
    /// What gateways reported of money that moved
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Messages that could not become facts
    #[command(subcommand)]
    Quarantine(queues::QuarantineCommand),
    /// Put events of the dead-letter queue back on the events queue
    Redrive(queues::RedriveArguments),
}

#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Start it, or bring a running one to the code, template, parameters and secrets of now
    Up {
        #[command(flatten)]
        options: local::Options,
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
            Command::Send(arguments) => send::run(&Session::open(&choice).await?, arguments).await,
            Command::Order(command) => orders::order(&Session::open(&choice).await?, command).await,
            Command::Trade(command) => orders::trade(&Session::open(&choice).await?, command).await,
            Command::Ledger(command) => ledger::run(&Session::open(&choice).await?, command).await,
            Command::Quarantine(command) => queues::quarantine(&Session::open(&choice).await?, command).await,
            Command::Redrive(arguments) => queues::redrive(&Session::open(&choice).await?, arguments).await,
        }
    }
}

impl LocalCommand {
    async fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let directory = choice.local_dir.clone();
        match self {
            Self::Up { options, demo, arguments } => {
                let running = local::up(&local::Options { directory, ..options }).await?;
                if demo {
                    demo::run(&Session::local(running.stack.clone())?, arguments).await?;
                }
                running.keep();
                Ok(())
            }
            Self::Demo(arguments) => demo::run(&Session::open_local(choice)?, arguments).await,
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
