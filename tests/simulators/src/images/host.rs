//! What the host has, how it behaves, and what it was asked.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use adapters::clock::{Clock, SystemClock};
use fastrand::Rng;
use sha2::{Digest, Sha256};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::conduct::{Answer, Conduct, RetryAfter};
use super::departures::Departures;
use super::picture::{Body, Format};
use super::wire::{self, Request};
use super::{admin, connection};

/// The least that Linux takes for a send buffer is 4.5 KiB, whatever smaller number is asked for.
const SEND_BUFFER_BYTES_MIN: usize = 1;
/// When a picture was modified that nobody changed: the first second of 2026.
const MODIFIED_S: i64 = 1_767_225_600;
/// Each change is so much later than the one before.
const CHANGE_S: i64 = 3_600;
/// How wide and high a picture is whose pixels nobody looks at.
const SMALL_SIZE: (u16, u16) = (32, 32);

/// Below which paths the simulator itself is asked.
const ADMIN: &str = "/simulator/";

/// How a resource has its `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// It has none.
    None,
    /// `"…"`
    Strong,
    /// `W/"…"`
    Weak,
}

/// By what a resource is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validators {
    /// The header `ETag`.
    pub tag: Tag,
    /// Whether there is a `Last-Modified`.
    pub has_date: bool,
}

impl Validators {
    /// Tag and date.
    pub const BOTH: Self = Self { tag: Tag::Strong, has_date: true };
    /// The tag alone.
    pub const TAG: Self = Self { tag: Tag::Strong, has_date: false };
    /// The date alone.
    pub const DATE: Self = Self { tag: Tag::None, has_date: true };
    /// Nothing: only the length tells.
    pub const NEITHER: Self = Self { tag: Tag::None, has_date: false };
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What is sent.
    pub body: Body,
    /// Its media type, as the host says it.
    pub content_type: String,
    /// By what it is known again.
    pub validators: Validators,
    /// When it was modified, in seconds since 1970.
    pub modified_s: i64,
    /// How it is answered always.
    pub conduct: Vec<Conduct>,
}

impl Resource {
    /// A body of this type, with tag and date.
    pub fn of(content_type: &str, body: Body) -> Self {
        let content_type = content_type.to_owned();
        Self { body, content_type, validators: Validators::BOTH, modified_s: MODIFIED_S, conduct: Vec::new() }
    }

    /// A small picture.
    pub fn picture(format: Format, seed: u64, size: (u16, u16)) -> Self {
        Self::of(format.content_type(), Body::picture(format, seed, size))
    }

    /// A JPEG of so many bytes.
    pub fn padded(seed: u64, bytes: u64) -> Self {
        Self::of(Format::Jpeg.content_type(), Body::padded(seed, SMALL_SIZE, bytes))
    }

    /// The same with these validators.
    pub fn with(self, validators: Validators) -> Self {
        Self { validators, ..self }
    }

    /// The same, answered so.
    pub fn behaving(self, conduct: impl IntoIterator<Item = Conduct>) -> Self {
        Self { conduct: conduct.into_iter().collect(), ..self }
    }

    fn etag(&self) -> Option<String> {
        match self.validators.tag {
            Tag::None => None,
            Tag::Strong => Some(format!("\"{}\"", self.body.tag())),
            Tag::Weak => Some(format!("W/\"{}\"", self.body.tag())),
        }
    }

    /// Whether the client has it already. A tag is compared weakly, and makes the date meaningless (RFC 9110, 13.1.3).
    fn is_known(&self, request: &Request) -> bool {
        if let Some(tags) = request.header("if-none-match") {
            let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
            let etag = self.etag().map(|tag| opaque(&tag));
            return tags.trim() == "*" || tags.split(',').any(|tag| Some(opaque(tag)) == etag);
        }
        let since = request.header("if-modified-since").and_then(wire::unix_s);
        self.validators.has_date && since.is_some_and(|since| self.modified_s <= since)
    }
}

/// A picture at every path that nothing was published at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wild {
    /// Only below this path.
    pub below: String,
    /// How wide and high they are.
    pub size: (u16, u16),
    /// From how many to how many bytes JPEGs have; one that needs more has more.
    pub bytes: (u64, u64),
    /// By what they are known again.
    pub validators: Validators,
}

impl Wild {
    /// Small pictures below `/img/`, so that any product may name any of them.
    pub fn small() -> Self {
        let validators = Validators::BOTH;
        Self { below: "/img/".to_owned(), size: (320, 320), bytes: (20_000, 60_000), validators }
    }

    fn resource(&self, path: &str, seed: u64, version: u64) -> Resource {
        let seed = seed_of(&format!("{path} {seed} {version}"));
        let resource = match path.rsplit_once('.') {
            Some((_, "png")) => Resource::picture(Format::Png, seed, self.size),
            Some((_, "webp")) => Resource::picture(Format::WebP, seed, self.size),
            _ => {
                let bytes = Rng::with_seed(seed).u64(self.bytes.0..=self.bytes.1.max(self.bytes.0));
                Resource::of(Format::Jpeg.content_type(), Body::padded(seed, self.size, bytes))
            }
        };
        resource.with(self.validators)
    }
}

fn seed_of(text: &str) -> u64 {
    Sha256::digest(text).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What a host has, and how it behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it listens on the loopback; 0 for any free port.
    pub port: u16,
    /// Decides what happens by chance, and how the pictures look that nobody published.
    pub seed: u64,
    /// How large the kernel's send buffer of a connection is. The smallest makes the record agree with the wire; none
    /// leaves it to the kernel, for a run in which speed is measured.
    pub send_buffer_bytes: Option<usize>,
    /// Pictures that nobody has to publish.
    pub wild: Option<Wild>,
    /// Of a hundred requests, so many fail by chance, in a way that is over at the next one.
    pub faults_percent: u8,
}

impl Default for Options {
    /// Nothing but what is published; exact counts; no faults.
    fn default() -> Self {
        Self { port: 0, seed: 1, send_buffer_bytes: Some(SEND_BUFFER_BYTES_MIN), wild: None, faults_percent: 0 }
    }
}

/// How often something was asked for, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// By `GET`.
    pub get: u64,
    /// By `HEAD`.
    pub head: u64,
    /// By any other method.
    pub other: u64,
    /// With `If-None-Match` or `If-Modified-Since`.
    pub conditional: u64,
    /// Answered with 304.
    pub not_modified: u64,
    /// Bytes of bodies that left.
    pub body_bytes: u64,
}

impl Asked {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.get + self.head + self.other
    }

    fn and(self, other: Self) -> Self {
        Self {
            get: self.get + other.get,
            head: self.head + other.head,
            other: self.other + other.other,
            conditional: self.conditional + other.conditional,
            not_modified: self.not_modified + other.not_modified,
            body_bytes: self.body_bytes + other.body_bytes,
        }
    }
}

/// What a host counted in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Connections that were accepted.
    pub connections: u64,
    /// The most that were open at a time.
    pub connections_at_once_max: u64,
    /// The most requests that were being answered at a time.
    pub answers_at_once_max: u64,
    /// Over all paths.
    pub asked: Asked,
}

#[derive(Debug, Default)]
struct State {
    resources: BTreeMap<String, Resource>,
    /// How often the pictures were changed that nobody published.
    versions: HashMap<String, u64>,
    rules: Vec<(String, Vec<Conduct>)>,
    queue: VecDeque<(Option<String>, Vec<Conduct>)>,
    asked: BTreeMap<String, Asked>,
    totals: Totals,
    open: u64,
    answering: u64,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Site {
    options: Options,
    state: Mutex<State>,
    departures: Mutex<Departures>,
    chance: Mutex<(Rng, u8)>,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site {
    fn new(options: Options) -> Self {
        let chance = (Rng::with_seed(options.seed), options.faults_percent);
        let departures = Mutex::new(Departures::new(Instant::now()));
        Self { options, state: Mutex::default(), departures, chance: Mutex::new(chance) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn departures(&self) -> MutexGuard<'_, Departures> {
        lock(&self.departures)
    }

    /// What is at a path; a picture that nobody published is there once it was asked for.
    fn resource(&self, path: &str) -> Option<Resource> {
        let mut state = self.state();
        if let Some(resource) = state.resources.get(path) {
            return Some(resource.clone());
        }
        let wild = self.options.wild.as_ref().filter(|wild| path.starts_with(&wild.below))?;
        let version = state.versions.get(path).copied().unwrap_or_default();
        let mut resource = wild.resource(path, self.options.seed, version);
        resource.modified_s += i64::try_from(version).unwrap_or_default() * CHANGE_S;
        state.resources.insert(path.to_owned(), resource.clone());
        Some(resource)
    }

    pub(super) fn change(&self, path: &str) -> bool {
        let Some(mut resource) = self.resource(path) else { return false };
        let of_type = |format: &Format| format.content_type() == resource.content_type;
        let Some(format) = Format::ALL.into_iter().find(of_type) else { return false };
        let mut state = self.state();
        let version = state.versions.entry(path.to_owned()).or_default();
        *version += 1;
        let seed = seed_of(&format!("{path} changed {version}"));
        resource.body = match format {
            Format::Jpeg => Body::padded(seed, SMALL_SIZE, resource.body.len()),
            Format::Png | Format::WebP => Body::picture(format, seed, SMALL_SIZE),
        };
        resource.modified_s += CHANGE_S;
        state.resources.insert(path.to_owned(), resource);
        true
    }

    pub(super) fn change_some(&self, percent: u64) -> u64 {
        let paths: Vec<String> = self.state().resources.keys().cloned().collect();
        let due = (0_u64..).zip(&paths).filter(|(nth, _)| nth * percent % 100 < percent);
        due.map(|(_, path)| u64::from(self.change(path))).sum()
    }

    pub(super) fn rule(&self, below: &str, conduct: Vec<Conduct>) {
        let mut state = self.state();
        state.rules.retain(|(path, _)| path != below);
        if !conduct.is_empty() {
            state.rules.push((below.to_owned(), conduct));
        }
    }

    pub(super) fn totals(&self) -> Totals {
        self.state().totals
    }

    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.queue.clear();
        lock(&self.chance).1 = 0;
    }

    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.asked.clear();
        let (open, answering) = (state.open, state.answering);
        state.totals = Totals { connections_at_once_max: open, answers_at_once_max: answering, ..Totals::default() };
        self.departures().forget(Instant::now());
    }

    /// What belongs to this request besides what belongs to its resource.
    fn conduct(&self, path: &str) -> Vec<Conduct> {
        let mut state = self.state();
        let rules = state.rules.iter().filter(|(below, _)| path.starts_with(below.as_str()));
        let mut conduct: Vec<Conduct> = rules.flat_map(|(_, conduct)| conduct.clone()).collect();
        let place = state.queue.iter().position(|(of, _)| of.as_deref().is_none_or(|of| of == path));
        conduct.extend(place.and_then(|place| state.queue.remove(place)).into_iter().flat_map(|(_, conduct)| conduct));
        let (random, percent) = &mut *lock(&self.chance);
        if random.u8(0..100) < *percent {
            conduct.extend(random.choice(Conduct::passing()).into_iter().flatten());
        }
        conduct
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        if request.path.starts_with(ADMIN) {
            return admin::answer(self, request);
        }
        let resource = self.resource(&request.path);
        let mut conduct = resource.as_ref().map(|resource| resource.conduct.clone()).unwrap_or_default();
        conduct.extend(self.conduct(&request.path));
        let mut answer = said_instead(&conduct).unwrap_or_else(|| plain(request, resource.as_ref(), &conduct));
        for conduct in &conduct {
            answer.bend(conduct);
        }
        self.count(request, answer.status);
        answer
    }

    fn count(&self, request: &Request, status: u16) {
        let one = |counts: bool| u64::from(counts);
        let is = |method: &str| request.method == method;
        let asked = Asked {
            get: one(is("GET")),
            head: one(is("HEAD")),
            other: one(!is("GET") && !is("HEAD")),
            conditional: one(request.is_conditional()),
            not_modified: one(status == 304),
            body_bytes: 0,
        };
        self.add(&request.path, asked);
    }

    fn add(&self, path: &str, more: Asked) {
        let mut state = self.state();
        state.totals.asked = state.totals.asked.and(more);
        let asked = state.asked.entry(path.to_owned()).or_default();
        *asked = asked.and(more);
    }

    /// Counts what the kernel took.
    pub(super) fn left(&self, path: &str, bytes: usize, is_body: bool) {
        // What is asked of the simulator itself is none of the host's.
        if path.starts_with(ADMIN) {
            return;
        }
        let of_bodies = if is_body { bytes } else { 0 };
        self.departures().left(Instant::now(), bytes, of_bodies);
        if is_body {
            self.add(path, Asked { body_bytes: u64::try_from(bytes).unwrap_or_default(), ..Asked::default() });
        }
    }

    /// Counts an answer, until what this gives is dropped.
    pub(super) fn answering(self: &Arc<Self>) -> Counted {
        let mut state = self.state();
        state.answering += 1;
        state.totals.answers_at_once_max = state.totals.answers_at_once_max.max(state.answering);
        self.departures().count(Instant::now(), 1, 0);
        Counted { site: Arc::clone(self), what: Count::Answer }
    }

    /// Counts an answer as held up by the host itself, until what this gives is dropped.
    pub(super) fn holding(self: &Arc<Self>) -> Counted {
        self.departures().count(Instant::now(), 0, 1);
        Counted { site: Arc::clone(self), what: Count::Held }
    }

    fn connected(self: &Arc<Self>) -> Counted {
        let mut state = self.state();
        state.open += 1;
        state.totals.connections += 1;
        state.totals.connections_at_once_max = state.totals.connections_at_once_max.max(state.open);
        Counted { site: Arc::clone(self), what: Count::Connection }
    }
}

#[derive(Debug, Clone, Copy)]
enum Count {
    Connection,
    Answer,
    Held,
}

/// Something that is counted as long as this lives, however its task ends.
#[derive(Debug)]
pub(super) struct Counted {
    site: Arc<Site>,
    what: Count,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut state = self.site.state();
        match self.what {
            Count::Connection => state.open -= 1,
            Count::Answer => {
                state.answering -= 1;
                self.site.departures().count(Instant::now(), -1, 0);
            }
            Count::Held => self.site.departures().count(Instant::now(), 0, -1),
        }
    }
}

/// The answer that conduct puts in the place of the resource; the last one stands.
fn said_instead(conduct: &[Conduct]) -> Option<Answer> {
    let said = |conduct: &Conduct| {
        let (status, header) = match conduct {
            Conduct::Status { status, retry_after } => {
                (*status, retry_after.map(|after| ("retry-after", retry_after_text(after))))
            }
            Conduct::Redirect { status, location } => (*status, location.clone().map(|to| ("location", to))),
            Conduct::Stall { .. }
            | Conduct::Drip { .. }
            | Conduct::Cut { .. }
            | Conduct::Length(_)
            | Conduct::Endless
            | Conduct::ContentType(_)
            | Conduct::GiganticHead { .. }
            | Conduct::Gzip
            | Conduct::Body(_)
            | Conduct::Header(..)
            | Conduct::ConnectionClose
            | Conduct::IgnoresConditions
            | Conduct::Untagged
            | Conduct::RefusesHead => return None,
        };
        let mut answer = Answer::page(status);
        if let Some((name, value)) = header {
            answer.header(name, value);
        }
        Some(answer)
    };
    conduct.iter().rev().find_map(said)
}

fn retry_after_text(after: RetryAfter) -> String {
    match after {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Date(seconds) => wire::date(SystemClock.now().seconds().saturating_add(seconds)),
    }
}

fn plain(request: &Request, resource: Option<&Resource>, conduct: &[Conduct]) -> Answer {
    let is_refused = match request.method.as_str() {
        "GET" => false,
        "HEAD" => conduct.contains(&Conduct::RefusesHead),
        _ => true,
    };
    if is_refused {
        let mut answer = Answer::page(405);
        answer.header("allow", "GET");
        return answer;
    }
    let Some(resource) = resource else { return Answer::page(404) };
    let is_known = !conduct.contains(&Conduct::IgnoresConditions) && resource.is_known(request);
    let mut answer = Answer::of(200, &resource.content_type, resource.body.clone());
    if is_known && !conduct.contains(&Conduct::Untagged) {
        (answer.status, answer.content_type, answer.body) = (304, None, Body::empty());
    }
    if !conduct.contains(&Conduct::Untagged) {
        if let Some(etag) = resource.etag() {
            answer.header("etag", etag);
        }
        if resource.validators.has_date {
            answer.header("last-modified", wire::date(resource.modified_s));
        }
    }
    answer
}

/// A host, as long as it is held.
#[derive(Debug)]
pub struct Host {
    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// The same as an address.
    pub address: SocketAddr,
    site: Arc<Site>,
    accepting: JoinHandle<()>,
}

impl Host {
    /// Starts one on the loopback. An error when the port is taken.
    pub async fn start(options: Options) -> io::Result<Self> {
        serve(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port))).await?, options)
    }

    /// The URL of a path.
    pub fn url_of(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Puts a resource at a path, in the place of what was there.
    pub fn publish(&self, path: &str, resource: Resource) {
        self.site.state().resources.insert(path.to_owned(), resource);
    }

    /// Puts redirects there: from `path` through `path/1` and so on, `hops` of them, the last one to `to`.
    pub fn publish_chain(&self, path: &str, status: u16, hops: usize, to: &str) {
        let name = |nth: usize| if nth == 0 { path.to_owned() } else { format!("{path}/{nth}") };
        for nth in 0..hops {
            let next = if nth + 1 == hops { to.to_owned() } else { name(nth + 1) };
            let redirect = Resource::of("text/html", Body::empty()).behaving([Conduct::redirect(status, &next)]);
            self.publish(&name(nth), redirect);
        }
    }

    /// Takes away what is at a path. What nobody published comes back when it is asked for.
    pub fn remove(&self, path: &str) {
        self.site.state().resources.remove(path);
    }

    /// Makes another picture of it, of the same type, with another tag and a later date; a JPEG keeps its length.
    /// False when there is no picture.
    pub fn change(&self, path: &str) -> bool {
        self.site.change(path)
    }

    /// Changes so many of a hundred of what is there, evenly; gives how many.
    pub fn change_some(&self, percent: u64) -> u64 {
        self.site.change_some(percent)
    }

    /// What is at a path now.
    pub fn resource(&self, path: &str) -> Option<Resource> {
        self.site.resource(path)
    }

    /// All paths that something is at.
    pub fn paths(&self) -> Vec<String> {
        self.site.state().resources.keys().cloned().collect()
    }

    /// From now on all paths that begin so are answered so, instead of a rule that began the same; no conduct ends it.
    pub fn rule(&self, below: &str, conduct: impl IntoIterator<Item = Conduct>) {
        self.site.rule(below, conduct.into_iter().collect());
    }

    /// The next requests are answered so, one each; nothing in it lets one be answered plainly.
    pub fn next(&self, conducts: impl IntoIterator<Item = Vec<Conduct>>) {
        self.site.state().queue.extend(conducts.into_iter().map(|conduct| (None, conduct)));
    }

    /// The next requests for this path are answered so, one each.
    pub fn next_of(&self, path: &str, conducts: impl IntoIterator<Item = Vec<Conduct>>) {
        self.site.state().queue.extend(conducts.into_iter().map(|conduct| (Some(path.to_owned()), conduct)));
    }

    /// How many of those still wait for their request.
    pub fn waiting(&self) -> usize {
        self.site.state().queue.len()
    }

    /// From now on, so many of a hundred requests fail by chance.
    pub fn set_faults_percent(&self, percent: u8) {
        lock(&self.site.chance).1 = percent;
    }

    /// From now on nothing goes wrong but what belongs to a resource.
    pub fn clear(&self) {
        self.site.clear();
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> Asked {
        self.site.state().asked.get(path).copied().unwrap_or_default()
    }

    /// What was counted over all paths.
    pub fn totals(&self) -> Totals {
        self.site.totals()
    }

    /// What left, and when.
    pub fn departures(&self) -> Departures {
        self.site.departures().clone()
    }

    /// Begins to count anew.
    pub fn forget(&self) {
        self.site.forget();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves on a listener that is there already, until the host is dropped.
pub fn serve(listener: TcpListener, options: Options) -> io::Result<Host> {
    let address = listener.local_addr()?;
    let site = Arc::new(Site::new(options));
    let accepting = tokio::spawn(accept(listener, Arc::clone(&site)));
    Ok(Host { url: format!("http://{address}"), address, site, accepting })
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    // Connections end with the host: dropping the set ends their tasks.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let counted = site.connected();
                if prepare(&stream, &site.options).is_ok() {
                    connections.spawn(connection::serve(Arc::clone(&site), stream, counted));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Small buffers, so that what the kernel took is what left; and no waiting for more to send, so that small buffers are
/// not slow.
fn prepare(stream: &TcpStream, options: &Options) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match options.send_buffer_bytes {
        Some(bytes) => SockRef::from(stream).set_send_buffer_size(bytes),
        None => Ok(()),
    }
}
