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

    /// The digests of what is below a prefix.
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
    let is_framed = headers.get("x-amz-content-sha256").is_some_and(|said| said.as_bytes().starts_with(b"STREAMING-"));
    let Some(object) = read(body.into_data_stream(), is_framed).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
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

/// Reads a body; in chunks with a signature each, or with a checksum behind them, where it comes so
/// (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html).
async fn read(mut body: BodyDataStream, is_framed: bool) -> Option<Object> {
    let (mut digest, mut bytes, mut frames) = (Context::new(&SHA256), 0, Frames::default());
    while let Some(piece) = body.next().await {
        let piece = piece.ok()?;
        let mut take = |part: &[u8]| {
            digest.update(part);
            bytes += u64::try_from(part.len()).unwrap_or_default();
        };
        if is_framed { frames.read(&piece, &mut take)? } else { take(&piece) }
    }
    let is_whole = !is_framed || frames.is_over;
    is_whole.then(|| Object { bytes, sha256: hex::encode(digest.finish()) })
}

/// Takes `aws-chunked` apart: lines of a hexadecimal length and extensions, each before so many bytes and a line end;
/// a length of 0 is the last, and trailers follow it.
#[derive(Debug, Default)]
struct Frames {
    line: Vec<u8>,
    left: u64,
    is_over: bool,
}

impl Frames {
    fn read(&mut self, mut piece: &[u8], take: &mut impl FnMut(&[u8])) -> Option<()> {
        while !piece.is_empty() && !self.is_over {
            if self.left > 0 {
                let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(piece.len());
                let (part, rest) = piece.split_at(most);
                take(part);
                self.left -= u64::try_from(most).ok()?;
                piece = rest;
                continue;
            }
            let (byte, rest) = piece.split_first()?;
            piece = rest;
            match byte {
                b'\n' if self.line.is_empty() => {}
                b'\n' => {
                    let line = String::from_utf8(std::mem::take(&mut self.line)).ok()?;
                    let length = line.split(';').next()?;
                    self.left = u64::from_str_radix(length, 16).ok()?;
                    self.is_over = self.left == 0;
                }
                b'\r' => {}
                other => self.line.push(*other),
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_taken_apart_wherever_they_are_cut() {
        let framed = b"5;chunk-signature=ab\r\nhello\r\n3\r\n\r\n!\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        for size in 1..framed.len() {
            let (mut frames, mut all) = (Frames::default(), Vec::new());
            for piece in framed.chunks(size) {
                frames.read(piece, &mut |part: &[u8]| all.extend(part)).unwrap();
            }
            assert_eq!((all.as_slice(), frames.is_over), (b"hello\r\n!".as_slice(), true), "in pieces of {size}");
        }
        let mut frames = Frames::default();
        assert_eq!(frames.read(b"no length\r\n", &mut |_: &[u8]| {}), None);
    }
}
