//! A web server on a free loopback port: it serves what a test publishes, as fast or as badly as the test wants.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// What is at a path.
#[derive(Debug, Clone)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// How long the server waits before it answers.
    pub delay: Duration,
    /// Where the answer sends on to, for redirects.
    pub location: Option<String>,
}

impl Page {
    /// A page that is there.
    pub fn of(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), delay: Duration::ZERO, location: None }
    }

    /// An answer of this status, with nothing in it.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::of([]) }
    }
}

#[derive(Debug, Default)]
struct Site {
    pages: HashMap<String, Page>,
    asked: Vec<String>,
}

/// A server, as long as it is held.
#[derive(Debug)]
pub struct Server {
    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub url: String,
    site: Arc<Mutex<Site>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts one, without a page.
    pub async fn start() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let site = Arc::<Mutex<Site>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&site));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { url, site, serving })
    }

    /// Puts a page at a path, in the place of what was there.
    pub fn publish(&self, path: &str, page: Page) {
        lock(&self.site).pages.insert(path.to_owned(), page);
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        lock(&self.site).asked.iter().filter(|asked| *asked == path).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(site: &Mutex<Site>) -> MutexGuard<'_, Site> {
    site.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(site): State<Arc<Mutex<Site>>>, OriginalUri(uri): OriginalUri) -> Response {
    let page = {
        let mut site = lock(&site);
        site.asked.push(uri.path().to_owned());
        site.pages.get(uri.path()).cloned().unwrap_or(Page::status(404))
    };
    tokio::time::sleep(page.delay).await;
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match page.location {
        Some(location) => (status, [("location", location)], page.body).into_response(),
        None => (status, page.body).into_response(),
    }
}
