//! Lambda, as a function sees it: the Runtime API over HTTP on the loopback, one server an instance.
//!
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API for custom runtimes".

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use adapters::clock::{Clock, SystemClock};
use anyhow::{Context, bail};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::process::Cost;

/// How long an invocation may take, and how long an instance may take to start.
const INVOCATION_MS_MAX: i64 = 30_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that is run as a function.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it is called.
    pub name: &'static str,
    /// The command and its arguments.
    pub command: Vec<PathBuf>,
    /// What it is told by its environment, and nothing else is.
    pub environment: Vec<(&'static str, String)>,
}

/// What became of an invocation.
enum Answer {
    Response(String),
    Error(String),
}

/// What the server and the instance's holder share.
struct Api {
    polled: Mutex<Option<oneshot::Sender<Instant>>>,
    events: tokio::sync::Mutex<mpsc::Receiver<String>>,
    answers: mpsc::Sender<Answer>,
    count: AtomicU64,
}

/// A running instance of a function. It ends when it is dropped.
#[derive(Debug)]
pub struct Instance {
    child: Child,
    events: mpsc::Sender<String>,
    answers: mpsc::Receiver<Answer>,
    logged: Arc<AtomicU64>,
    serving: JoinHandle<()>,
    /// From the program's start to its first poll of the Runtime API.
    pub init: Duration,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Response(text) | Self::Error(text)) = self;
        formatter.write_str(text)
    }
}

impl Instance {
    /// Starts one, and waits until it asks for its first event.
    pub async fn start(program: &Program) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr()?.to_string();
        let (polled, first_poll) = oneshot::channel();
        let (events, waiting) = mpsc::channel(1);
        let (answer, answers) = mpsc::channel(1);
        let api = Arc::new(Api {
            polled: Mutex::new(Some(polled)),
            events: tokio::sync::Mutex::new(waiting),
            answers: answer,
            count: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(respond))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(fail))
            .route("/2018-06-01/runtime/init/error", post(fail_at_init))
            .with_state(api);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        let began = Instant::now();
        let mut child = spawn(program, &address)?;
        let logged = count_output(&mut child)?;
        let mut instance = Self { child, events, answers, logged, serving, init: Duration::ZERO };
        let polled = timeout(PATIENCE, first_poll).await;
        let polled = polled.ok().and_then(Result::ok).with_context(|| format!("{} never asked for work", program.name));
        instance.init = polled?.duration_since(began);
        Ok(instance)
    }

    /// Hands it an event, and waits for its answer.
    pub async fn invoke(&mut self, event: String) -> anyhow::Result<String> {
        self.events.send(event).await.context("the Runtime API is gone")?;
        match timeout(PATIENCE, self.answers.recv()).await.context("no answer")?.context("the Runtime API is gone")? {
            Answer::Response(response) => Ok(response),
            Answer::Error(error) => bail!("the invocation failed: {error}"),
        }
    }

    /// What it cost up to now.
    pub fn cost(&self) -> anyhow::Result<Cost> {
        Ok(Cost::of(self.child.id())?)
    }

    /// Ends it, and who watches it, as Ctrl-C does in a terminal; waits until they did: a profiler has something to write then.
    pub fn end(mut self) -> anyhow::Result<()> {
        kill_process_group(Pid::from_child(&self.child), Signal::INT)?;
        self.child.wait()?;
        Ok(())
    }

    /// How many bytes it logged up to now.
    pub fn logged_bytes(&self) -> u64 {
        self.logged.load(Ordering::Relaxed)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.serving.abort();
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(program: &Program, address: &str) -> anyhow::Result<Child> {
    let (command, arguments) = program.command.split_first().context("a program without a command")?;
    Command::new(command)
        .args(arguments)
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (*name, value)))
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_LAMBDA_FUNCTION_NAME", program.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", command.display()))
}

/// Reads away what it logs, as Lambda does, and counts it.
fn count_output(child: &mut Child) -> anyhow::Result<Arc<AtomicU64>> {
    let mut output = child.stdout.take().context("a child without output")?;
    let logged = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&logged);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = output.read(&mut buffer) {
            counter.fetch_add(u64::try_from(read).unwrap_or_default(), Ordering::Relaxed);
        }
    });
    Ok(logged)
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    if let Some(polled) = api.polled.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Nobody waits when the instance was given up.
        polled.send(Instant::now()).ok();
    }
    let Some(event) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemClock.now().saturating_add_ms(INVOCATION_MS_MAX).get();
    let nth = api.count.fetch_add(1, Ordering::Relaxed);
    let headers = [
        ("lambda-runtime-aws-request-id", format!("00000000-0000-4000-8000-{nth:012x}")),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:bench".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event).into_response()
}

async fn respond(State(api): State<Arc<Api>>, Path(_): Path<String>, body: String) -> StatusCode {
    take(&api, Answer::Response(body)).await
}

async fn fail(State(api): State<Arc<Api>>, Path(_): Path<String>, body: String) -> StatusCode {
    take(&api, Answer::Error(body)).await
}

async fn fail_at_init(State(api): State<Arc<Api>>, body: String) -> StatusCode {
    take(&api, Answer::Error(body)).await
}

async fn take(api: &Api, answer: Answer) -> StatusCode {
    // Nobody waits when the instance was given up.
    api.answers.send(answer).await.ok();
    StatusCode::ACCEPTED
}
