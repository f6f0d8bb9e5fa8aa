//! A bucket that is not there: S3 as far as pictures need it, over HTTP on the loopback.
//!
//! It takes what is put and keeps its length and digest alone, so that it costs little beside what is measured. What is
//! put under the name of a digest must have that digest.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What is in the bucket under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of it, in hex.
    pub sha256: String,
}

/// What was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calls {
    /// Requests of every kind.
    pub all: u64,
    /// Objects that were put.
    pub puts: u64,
    /// Their bytes.
    pub put_bytes: u64,
}

#[derive(Debug, Default)]
struct Kept {
    objects: BTreeMap<String, Object>,
    calls: Calls,
    /// Keys whose object has another digest than they say.
    lies: Vec<String>,
}

/// The bucket, as long as it is held.
#[derive(Debug)]
pub struct Bucket {
    /// Where S3 is, such as `http://127.0.0.1:40123`.
    pub url: String,
    kept: Arc<Mutex<Kept>>,
    serving: JoinHandle<()>,
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bucket {
    /// Starts an empty one.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let kept = Arc::<Mutex<Kept>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&kept));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { url, kept, serving })
    }

    /// What was asked since the last time that somebody looked.
    pub fn take_calls(&self) -> Calls {
        std::mem::take(&mut lock(&self.kept).calls)
    }

    /// Empties it.
    pub fn clear(&self) {
        *lock(&self.kept) = Kept::default();
    }

    /// The digests of what is below a prefix; of everything below an empty one.
    pub fn digests(&self, prefix: &str) -> Vec<String> {
        let kept = lock(&self.kept);
        let below = kept.objects.iter().filter(|(key, _)| key.contains(prefix));
        below.map(|(_, object)| object.sha256.clone()).collect()
    }

    /// Keys whose object has another digest than they say.
    pub fn lies(&self) -> Vec<String> {
        lock(&self.kept).lies.clone()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    State(kept): State<Arc<Mutex<Kept>>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    lock(&kept).calls.all += 1;
    let key = uri.path().to_owned();
    if method == Method::PUT {
        return put(&kept, key, &headers, body).await;
    }
    let object = lock(&kept).objects.get(&key).cloned();
    match (method, object) {
        (Method::HEAD, Some(object)) => {
            let mut answer = StatusCode::OK.into_response();
            answer.headers_mut().insert("content-length", HeaderValue::from(object.bytes));
            answer.headers_mut().insert("last-modified", HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"));
            answer
        }
        (Method::HEAD | Method::GET, _) => StatusCode::NOT_FOUND.into_response(),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// Puts an object, unless it shall be new and is not. A body that breaks off puts nothing.
async fn put(kept: &Mutex<Kept>, key: String, headers: &HeaderMap, body: Body) -> Response {
    let says = |name: &str, word: &str| headers.get(name).is_some_and(|value| value.as_bytes() == word.as_bytes());
    if says("if-none-match", "*") && lock(kept).objects.contains_key(&key) {
        return (StatusCode::PRECONDITION_FAILED, "<Error><Code>PreconditionFailed</Code></Error>").into_response();
    }
    // A body in signed chunks is not what is asked of this bucket, and would be another object.
    let is_framed = headers.get("x-amz-content-sha256").is_some_and(|said| said.as_bytes().starts_with(b"STREAMING-"));
    let object = if is_framed { None } else { read(body.into_data_stream()).await };
    let Some(object) = object else { return StatusCode::BAD_REQUEST.into_response() };
    let mut kept = lock(kept);
    kept.calls.puts += 1;
    kept.calls.put_bytes += object.bytes;
    if key.contains("/originals/") && !key.contains(&object.sha256) {
        kept.lies.push(key.clone());
    }
    kept.objects.insert(key, object);
    let etag = [("etag", "\"00000000000000000000000000000000-1\"")];
    (StatusCode::OK, etag).into_response()
}

/// Reads a body to its end.
async fn read(mut body: BodyDataStream) -> Option<Object> {
    let (mut digest, mut bytes) = (Context::new(&SHA256), 0);
    while let Some(piece) = body.next().await {
        let piece = piece.ok()?;
        digest.update(&piece);
        bytes += u64::try_from(piece.len()).unwrap_or_default();
    }
    Some(Object { bytes, sha256: hex::encode(digest.finish()) })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn ask(bucket: &Bucket, request: &str) -> String {
        let mut stream = TcpStream::connect(bucket.url.strip_prefix("http://").unwrap()).unwrap();
        let (head, body) = request.split_once('|').unwrap_or((request, ""));
        let length = body.len();
        write!(stream, "{head}host: h\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.get(9..12).unwrap_or_default().to_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_object_is_put_once_and_known_by_its_digest() {
        let bucket = Bucket::start().await.unwrap();
        let put = "PUT /images/originals/x.jpg?x-id=PutObject HTTP/1.1\r\nif-none-match: *\r\n|picture";
        let head = "HEAD /images/originals/x.jpg HTTP/1.1\r\n";
        assert_eq!(
            [ask(&bucket, head), ask(&bucket, put), ask(&bucket, put), ask(&bucket, head)],
            ["404", "200", "412", "200"]
        );
        assert_eq!(bucket.take_calls(), Calls { all: 4, puts: 1, put_bytes: 7 });
        // `printf picture | sha256sum`
        let digest = "2cea274d0bedc39ec4ab6ba9e59ec889e3ed6fb56a1cf088a64d9b383378dc97".to_owned();
        assert_eq!((bucket.digests("originals/"), bucket.lies().len()), (vec![digest], 1), "and its name is no digest");
        bucket.clear();
        assert_eq!((bucket.digests(""), ask(&bucket, head)), (vec![], "404".to_owned()));
    }
}
