//! One connection: requests are read one after another, answers are written byte by counted byte.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::conduct::{Answer, Ending, Length, Place, Step};
use super::host::{Counted, Site};
use super::wire::{self, REQUEST_HEAD_BYTES_MAX, Request};

/// What is written at once at most: small enough that a cut or a stall comes where it was asked for.
const PIECE_BYTES: usize = 64 * 1024;
/// What is read at once.
const READ_BYTES: usize = 8 * 1024;
/// A dripping body is written so often a second, or as often as it has bytes a second.
const DRIPS_PER_SECOND: u64 = 10;

/// Answers until the client goes away, or an answer was the last.
pub(super) async fn serve(site: Arc<Site>, stream: TcpStream, _counted: Counted) {
    let mut connection = Connection { site, stream, unread: Vec::new(), path: String::new() };
    // Whatever ends a connection ends it alone; the client sees the same.
    connection.run().await.unwrap_or_default();
}

struct Connection {
    site: Arc<Site>,
    stream: TcpStream,
    /// What came and was not read as a request yet.
    unread: Vec<u8>,
    /// What the answer is for.
    path: String,
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            let request = self.request().await?;
            let _answering = self.site.answering();
            let answer = self.site.answer(&request);
            self.path.clone_from(&request.path);
            if self.write_answer(&answer, &request).await? {
                return Ok(());
            }
        }
    }

    async fn request(&mut self) -> io::Result<Request> {
        loop {
            match Request::read(&self.unread) {
                Ok(Some((request, end))) => {
                    self.unread.drain(..end);
                    return Ok(request);
                }
                Ok(None) => self.hear().await?,
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Waits for more of what the client says. An error when it went away.
    async fn hear(&mut self) -> io::Result<()> {
        let mut bytes = [0; READ_BYTES];
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if self.unread.len() > 2 * REQUEST_HEAD_BYTES_MAX => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Ok(read) => {
                    self.unread.extend(bytes.iter().take(read));
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets time pass, for ever without one, but not longer than the client stays.
    async fn hold(&mut self, time: Option<Duration>) -> io::Result<()> {
        let _held = self.site.holding();
        let until = async {
            match time {
                Some(time) => sleep(time).await,
                None => pending().await,
            }
        };
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => return Ok(()),
                heard = self.hear() => heard?,
            }
        }
    }

    /// Whether it was the last one.
    async fn write_answer(&mut self, answer: &Answer, request: &Request) -> io::Result<bool> {
        // What a client cannot find the end of otherwise ends with the connection.
        let is_last = answer.is_last || request.is_last() || !matches!(answer.length, Length::Honest | Length::Chunked);
        self.steps(answer, Place::Head).await?;
        let head = wire::head(answer, is_last && answer.length != Length::Absent || answer.is_last);
        self.write(&head, false).await?;
        if request.method != "HEAD" && !matches!(answer.status, 204 | 304) {
            self.write_body(answer).await?;
        }
        Ok(is_last)
    }

    async fn write_body(&mut self, answer: &Answer) -> io::Result<()> {
        let (length, mut offset, mut piece) = (answer.body.len(), 0, vec![0; PIECE_BYTES]);
        loop {
            self.steps(answer, Place::Byte(offset)).await?;
            let most = self.most(answer, offset);
            let read = answer.body.read(offset, piece.get_mut(..most).unwrap_or_default());
            if read == 0 {
                break;
            }
            let read_bytes = piece.get(..read).unwrap_or_default();
            if answer.length == Length::Chunked {
                self.write(format!("{read:x}\r\n").as_bytes(), false).await?;
                self.write(read_bytes, true).await?;
                self.write(b"\r\n", false).await?;
            } else {
                self.write(read_bytes, true).await?;
            }
            offset += u64::try_from(read).unwrap_or_default();
            if let Some(per_second) = answer.bytes_per_second.filter(|_| offset < length) {
                let drips = per_second.min(DRIPS_PER_SECOND);
                self.hold(Some(Duration::from_micros(1_000_000 / drips))).await?;
            }
        }
        if answer.length == Length::Chunked {
            self.write(b"0\r\n\r\n", false).await?;
        }
        Ok(())
    }

    /// How much of the body may be written at once from here.
    fn most(&self, answer: &Answer, offset: u64) -> usize {
        let to_next = answer.steps.iter().filter_map(|(at, _)| match at {
            Place::Byte(at) => at.checked_sub(offset).filter(|left| *left > 0),
            Place::Head => None,
        });
        let drip = answer.bytes_per_second.map(|per_second| per_second / per_second.min(DRIPS_PER_SECOND));
        let least = to_next.chain(drip).min().and_then(|least| usize::try_from(least).ok());
        least.map_or(PIECE_BYTES, |least| least.min(PIECE_BYTES))
    }

    /// What was to happen at this place. A step beyond the end of a body never comes.
    async fn steps(&mut self, answer: &Answer, place: Place) -> io::Result<()> {
        for (_, step) in answer.steps.iter().filter(|(at, _)| *at == place) {
            match step {
                Step::Stall(time) => self.hold(*time).await?,
                Step::Cut(ending) => {
                    if *ending == Ending::Reset {
                        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                    }
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
        Ok(())
    }

    async fn write(&mut self, mut bytes: &[u8], is_body: bool) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(written) => {
                    self.site.left(&self.path, written, is_body);
                    bytes = bytes.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
