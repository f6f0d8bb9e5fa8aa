//! The pictures: what is promised of the cap, of what a run costs, and of what a second run costs.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use simulators::images::{Body, Bytes, Conduct, Departures, Format, Host, Options, Place, Resource};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::bucket::Bucket;
use crate::child::{Arguments, Report};
use crate::process::Cost;
use crate::rclone::{Rclone, To};
use crate::table::{Budget, Figures, Row, Unit};

/// The caps and connections that are promised for.
const CAPS_MIB: [u64; 2] = [5, 50];
const CONNECTIONS_MAX: usize = 10;
const CONNECTIONS: [usize; 2] = [1, CONNECTIONS_MAX];
/// Messages that Lambda hands out at once: `ImagesBatchSize` of infra/template.yaml.
const BATCH_MESSAGES: u64 = 10;
/// What may leave the source in the worst second, and what must on the average while there is work, in hundredths of the
/// cap.
const WORST_PERCENT_MAX: u64 = 105;
const MEAN_PERCENT_MIN: u64 = 98;
const WINDOW: Duration = Duration::from_secs(1);
/// What the source's send buffers hold together, in thousandths of a second of the cap.
const BUFFERED_PER_MILLE: u64 = 2;
/// How long a source stalls before it floods, and after how much of a picture.
const STALL_MS: u64 = 2_000;
const STALL_BYTES: u64 = 150_000;
/// The peak without thumbnails, in bytes: what rclone needs for the same.
const PEAK_BYTES_MAX: u64 = 68_000_000;
/// The peak with thumbnails, in bytes: the costliest picture that is taken, of which one is unpacked at a time (420 MB,
/// functions/image-sync/PICTURES.md), and what the transfers need beside it.
const PEAK_WITH_THUMBNAILS_BYTES_MAX: u64 = PEAK_BYTES_MAX + 420_000_000;
/// One large picture, below the ceiling of 32 MiB.
const LARGE_BYTES: u64 = 30_000_000;
/// A cap that is none: more than the loopback carries.
const NO_CAP: u64 = 64 << 30;
/// Where the pictures are on the host.
const BELOW: &str = "/img/ibank/";
/// Runs of which the cheapest counts. What disturbs a run only ever makes it dearer.
const ROUNDS: usize = 2;
/// Pixels of pictures that are not made smaller, of those that are, and of one at the ceiling of 40 million.
const TINY: (u16, u16) = (32, 32);
const PHOTOGRAPH: (u16, u16) = (1_500, 1_500);
const POSTER: (u16, u16) = (8_000, 5_000);

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// How long each run under a cap lasts.
    at_cap_s: u64,
    /// How many pictures there are, and their bytes.
    files: u64,
    bytes: u64,
    /// How many are made smaller.
    photographs: u64,
}

impl Scale {
    /// As it was promised.
    pub const FULL: Self = Self { at_cap_s: 20, files: 1_500, bytes: 1_100_000_000, photographs: 200 };
    /// In moments.
    pub const QUICK: Self = Self { at_cap_s: 3, files: 150, bytes: 110_000_000, photographs: 20 };
}

/// The outside: where pictures come from, and where they go.
struct Outside {
    host: Host,
    bucket: Bucket,
}

impl Outside {
    /// Pictures of these lengths.
    async fn with(options: Options, size: (u16, u16), lengths: &[u64]) -> anyhow::Result<Self> {
        let host = Host::start(options).await.context("no image host")?;
        for (nth, bytes) in (0_u64..).zip(lengths) {
            host.publish(&path(nth), Resource::of("image/jpeg", Body::padded(nth, size, *bytes)));
        }
        Ok(Self { host, bucket: Bucket::start().await.context("no bucket")? })
    }

    /// How many of the pictures a bucket has, byte for byte.
    fn stored(&self, bucket: &Bucket) -> u64 {
        let stored: BTreeSet<String> = bucket.digests("").into_iter().collect();
        let digests = resources(&self.host).into_iter().map(|(_, resource)| hex::encode(resource.body.sha256()));
        digests.map(|digest| u64::from(stored.contains(&digest))).sum()
    }
}

fn name(nth: u64) -> String {
    format!("{nth:05}.jpg")
}

/// Where the picture of that number is.
pub fn path(nth: u64) -> String {
    format!("{BELOW}{}", name(nth))
}

/// So many lengths of this sum, from half the average to one and a half.
fn lengths(files: u64, bytes: u64) -> Vec<u64> {
    let average = bytes / files.max(1);
    let mut lengths: Vec<u64> = (0..files).map(|nth| average / 2 + average * nth / files.max(1)).collect();
    let missing = bytes.saturating_sub(lengths.iter().sum());
    lengths.last_mut().into_iter().for_each(|last| *last += missing);
    lengths
}

/// Us, in a process of our own.
struct Worker {
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStderr>,
}

impl Worker {
    fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("which program is this?")?;
        let mut command = Command::new(program);
        command.arg("child").args(arguments.words()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start a child")?;
        let orders = child.stdin.take().context("a child without input")?;
        let reports = BufReader::new(child.stderr.take().context("a child without output")?);
        Ok(Self { child, orders, reports })
    }

    /// Lets it go through all pictures once.
    fn run(&mut self) -> anyhow::Result<Report> {
        writeln!(self.orders, "run")?;
        let mut line = String::new();
        self.reports.read_line(&mut line)?;
        let report: Report =
            serde_json::from_str(&line).with_context(|| format!("the child did not report: {line}"))?;
        ensure!((report.failed, report.quarantined) == (0, 0), "not all pictures were brought: {report:?}");
        Ok(report)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Whatever it still does, nobody waits for it.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// All of it.
pub fn run(scale: Scale, rclone: Option<Rclone>) -> anyhow::Result<Figures> {
    let mut bench = Bench { runtime: Runtime::new()?, scale, rclone, figures: Figures::default() };
    for mib in CAPS_MIB {
        for connections in CONNECTIONS {
            bench.cap(mib << 20, connections, Source::Flows)?;
        }
        bench.cap(mib << 20, CONNECTIONS_MAX, Source::Floods)?;
    }
    bench.costs()?;
    bench.large()?;
    bench.thumbnails()?;
    match &bench.rclone {
        Some(rclone) => bench.figures.remark(format!("Beside us: {}.", rclone.version)),
        None => bench.figures.remark("rclone is not installed: nothing stands beside us, and its CPU is no budget."),
    }
    Ok(bench.figures)
}

/// How a source sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// As fast as it is let.
    Flows,
    /// Not at all for a while, and then all at once.
    Floods,
}

impl Source {
    const fn told(self) -> &'static str {
        match self {
            Self::Flows => "",
            Self::Floods => ", stalls and floods",
        }
    }
}

struct Bench {
    runtime: Runtime,
    scale: Scale,
    rclone: Option<Rclone>,
    figures: Figures,
}

impl Bench {
    fn outside(&self, options: Options, size: (u16, u16), lengths: &[u64]) -> anyhow::Result<Outside> {
        self.runtime.block_on(Outside::with(options, size, lengths))
    }

    /// Without a cap, as the stack hands messages out.
    fn arguments(outside: &Outside, files: usize) -> Arguments {
        Arguments {
            host: outside.host.url.clone(),
            bucket: outside.bucket.url.clone(),
            files: u64::try_from(files).unwrap_or_default(),
            cap: NO_CAP,
            connections: CONNECTIONS_MAX,
            batch: BATCH_MESSAGES,
            thumbnails: false,
        }
    }

    /// What a picture of the run under a cap has.
    fn at_cap(&self, cap: u64) -> Vec<u64> {
        let bytes = cap * self.scale.at_cap_s;
        lengths((bytes / 700_000).max(1), bytes)
    }

    /// Under a cap. All messages are handed out at once, so that there is work all the time.
    fn cap(&mut self, cap: u64, connections: usize, source: Source) -> anyhow::Result<()> {
        let lengths = self.at_cap(cap);
        let outside = self.outside(watching(cap, connections), TINY, &lengths)?;
        if source == Source::Floods {
            stall(&outside.host, connections);
        }
        let what = format!("{} MiB/s, {connections} connections{}", cap >> 20, source.told());
        eprintln!("{what}: {} pictures", lengths.len());
        let plain = Self::arguments(&outside, lengths.len());
        Worker::start(&Arguments { cap, connections, batch: plain.files, ..plain })?.run()?;
        self.wire(&what, "sampan", cap, &outside.host.departures());
        if let Some(rclone) = &self.rclone {
            outside.host.forget();
            let to = TempDir::new()?;
            let from = outside.host.url_of(BELOW);
            rclone.copy(&from, &names(lengths.len()), To::Directory(to.path()), Some(cap), connections)?;
            self.wire(&what, "rclone", cap, &outside.host.departures());
        }
        Ok(())
    }

    fn wire(&mut self, what: &str, who: &'static str, cap: u64, departures: &Departures) {
        let is_ours = who == "sampan";
        let budget = |promised| if is_ours { promised } else { Budget::None };
        let row = |of_what: &str, figure, budget| Row {
            what: format!("{what}: {of_what}"),
            who,
            figure,
            unit: Unit::Speed,
            budget,
            of: Some(cap),
        };
        let worst = departures.worst_window(Bytes::All, WINDOW);
        self.figures.add(row("worst second", worst, budget(Budget::AtMost(cap * WORST_PERCENT_MAX / 100))));
        let mean = departures.mean(Bytes::All);
        self.figures.add(row("mean", mean, budget(Budget::AtLeast(cap * MEAN_PERCENT_MIN / 100))));
    }

    fn count(&mut self, what: &str, who: &'static str, figure: u64, unit: Unit, budget: Budget) {
        self.figures.add(Row { what: what.to_owned(), who, figure, unit, budget, of: None });
    }

    /// Without a cap: what a run costs, and what the next ones do.
    fn costs(&mut self) -> anyhow::Result<()> {
        let lengths = lengths(self.scale.files, self.scale.bytes);
        // Speed is measured, and not when a byte left: the kernel buffers as it likes.
        let options = Options { send_buffer_bytes: None, ..Options::default() };
        let outside = self.outside(options, TINY, &lengths)?;
        let what = format!("{} files, {} MB", self.scale.files, self.scale.bytes / 1_000_000);
        let arguments = Self::arguments(&outside, lengths.len());
        let (mut ours, mut to_bucket, mut to_files, mut last) = (Vec::new(), Vec::new(), Vec::new(), None);
        for round in 0..ROUNDS {
            eprintln!("{what}, without a cap, {} of {ROUNDS}", round + 1);
            outside.bucket.clear();
            let mut worker = Worker::start(&arguments)?;
            let report = worker.run()?;
            ours.push(Cost { cpu: Duration::from_millis(report.cpu_ms), peak_bytes: report.peak_bytes });
            last = Some(worker);
            if let Some(rclone) = &self.rclone {
                let (directory, elsewhere) = (TempDir::new()?, self.runtime.block_on(Bucket::start())?);
                let (from, names) = (outside.host.url_of(BELOW), names(lengths.len()));
                let copy = |to| rclone.copy(&from, &names, to, None, CONNECTIONS_MAX);
                to_files.push(copy(To::Directory(directory.path()))?.cost);
                to_bucket.push(copy(To::Bucket(&elsewhere.url))?.cost);
                ensure!(outside.stored(&elsewhere) == self.scale.files, "rclone did not store every picture");
            }
        }
        let cpu = cpu_ms(&to_bucket).map_or(Budget::None, Budget::AtMost);
        for (who, costs, cpu, peak) in [
            ("sampan", &ours, cpu, Budget::AtMost(PEAK_BYTES_MAX)),
            ("rclone to S3", &to_bucket, Budget::None, Budget::None),
            ("rclone to files", &to_files, Budget::None, Budget::None),
        ] {
            if let (Some(cpu_ms), Some(peak_bytes)) = (cpu_ms(costs), costs.iter().map(|cost| cost.peak_bytes).max()) {
                self.count(&format!("{what}: CPU"), who, cpu_ms, Unit::Time, cpu);
                self.count(&format!("{what}: peak memory"), who, peak_bytes, Unit::Bytes, peak);
            }
        }
        let (stored, all) = (outside.stored(&outside.bucket), Budget::Exactly(self.scale.files));
        self.count(&format!("{what}: in the bucket"), "sampan", stored, Unit::Count, all);
        last.map_or(Ok(()), |mut worker| self.again(&outside, &mut worker))
    }

    /// Once more: nothing changed; then a tenth did.
    fn again(&mut self, outside: &Outside, worker: &mut Worker) -> anyhow::Result<()> {
        let files = self.scale.files;
        eprintln!("again, nothing changed; and a tenth changed");
        outside.host.forget();
        outside.bucket.take_calls();
        worker.run()?;
        let (asked, calls) = (outside.host.totals().asked, outside.bucket.take_calls());
        let mut count = |what: &str, figure, unit, budget| self.count(what, "sampan", figure, unit, budget);
        count("second run: requests", asked.requests(), Unit::Count, Budget::Exactly(files));
        count("second run: of them conditional", asked.conditional, Unit::Count, Budget::Exactly(files));
        count("second run: calls to S3", calls.all, Unit::Count, Budget::Exactly(0));
        count("second run: image bytes", asked.body_bytes, Unit::Bytes, Budget::Exactly(0));
        let before: Vec<(String, Resource)> = resources(&outside.host);
        outside.host.change_some(10);
        let now = resources(&outside.host);
        let changed = before.iter().zip(&now).filter(|(before, now)| before != now).map(|(_, now)| now.1.body.len());
        let changed: Vec<u64> = changed.collect();
        let (files_changed, bytes) = (u64::try_from(changed.len()).unwrap_or_default(), changed.iter().sum());
        ensure!(files_changed > 0, "nothing was changed");
        outside.host.forget();
        worker.run()?;
        let (asked, calls) = (outside.host.totals().asked, outside.bucket.take_calls());
        let mut count = |what: &str, figure, unit, budget| self.count(what, "sampan", figure, unit, budget);
        count("10 % changed: requests", asked.requests(), Unit::Count, Budget::Exactly(files));
        count("10 % changed: image bytes", asked.body_bytes, Unit::Bytes, Budget::Exactly(bytes));
        count("10 % changed: objects put", calls.puts, Unit::Count, Budget::Exactly(files_changed));
        count("10 % changed: bytes put", calls.put_bytes, Unit::Bytes, Budget::Exactly(bytes));
        count("10 % changed: in the bucket", outside.stored(&outside.bucket), Unit::Count, Budget::Exactly(files));
        ensure!(outside.bucket.lies().is_empty(), "something is in the bucket under another name than its own");
        Ok(())
    }

    /// One large picture among many: the peak is the same.
    fn large(&mut self) -> anyhow::Result<()> {
        let mut lengths = lengths(self.scale.files / 10, self.scale.bytes / 10);
        lengths.push(LARGE_BYTES);
        eprintln!("one picture of {} MB among {}", LARGE_BYTES / 1_000_000, lengths.len());
        let options = Options { send_buffer_bytes: None, ..Options::default() };
        let outside = self.outside(options, TINY, &lengths)?;
        let report = Worker::start(&Self::arguments(&outside, lengths.len()))?.run()?;
        let what = format!("one image of {} MB: peak memory", LARGE_BYTES / 1_000_000);
        self.count(&what, "sampan", report.peak_bytes, Unit::Bytes, Budget::AtMost(PEAK_BYTES_MAX));
        let stored =
            (outside.stored(&outside.bucket), Budget::Exactly(u64::try_from(lengths.len()).unwrap_or_default()));
        self.count("one large image: in the bucket", "sampan", stored.0, Unit::Count, stored.1);
        Ok(())
    }

    /// With thumbnails; the last picture has as many pixels as one may have.
    fn thumbnails(&mut self) -> anyhow::Result<()> {
        let lengths = lengths(self.scale.photographs, self.scale.photographs * 733_000);
        eprintln!("{} pictures with thumbnails", lengths.len());
        let options = Options { send_buffer_bytes: None, ..Options::default() };
        let outside = self.outside(options, PHOTOGRAPH, &lengths)?;
        let poster = Resource::picture(Format::Png, 1, POSTER);
        outside.host.publish(&path(self.scale.photographs.saturating_sub(1)), poster);
        let report =
            Worker::start(&Arguments { thumbnails: true, ..Self::arguments(&outside, lengths.len()) })?.run()?;
        let what = format!("{} files with thumbnails", lengths.len());
        let peak = Budget::AtMost(PEAK_WITH_THUMBNAILS_BYTES_MAX);
        self.count(&format!("{what}: CPU"), "sampan", report.cpu_ms, Unit::Time, Budget::None);
        self.count(&format!("{what}: peak memory"), "sampan", report.peak_bytes, Unit::Bytes, peak);
        let made = u64::try_from(outside.bucket.digests("thumbnails/").len()).unwrap_or_default();
        self.count(&format!("{what}: made"), "sampan", made, Unit::Count, Budget::Exactly(2 * self.scale.photographs));
        Ok(())
    }
}

/// A host whose send buffers hold so small a part of a second together that its record agrees with the wire, and are no
/// smaller: a source that waits for every few kilobytes to be received is slower than the cap by itself.
fn watching(cap: u64, connections: usize) -> Options {
    let each = cap / 1_000 * BUFFERED_PER_MILLE / u64::try_from(connections).unwrap_or(u64::MAX);
    Options { send_buffer_bytes: usize::try_from(each).ok(), ..Options::default() }
}

/// The processor time of the cheapest, in milliseconds.
fn cpu_ms(costs: &[Cost]) -> Option<u64> {
    costs.iter().map(|cost| u64::try_from(cost.cpu.as_millis()).unwrap_or(u64::MAX)).min()
}

fn names(files: usize) -> Vec<String> {
    (0..u64::try_from(files).unwrap_or_default()).map(name).collect()
}

fn resources(host: &Host) -> Vec<(String, Resource)> {
    host.paths().into_iter().filter_map(|path| Some((path.clone(), host.resource(&path)?))).collect()
}

/// The first pictures of all connections stall together, and so do some that come later.
fn stall(host: &Host, connections: usize) {
    let connections = u64::try_from(connections).unwrap_or_default();
    for nth in (0..connections).chain(2 * connections..3 * connections) {
        if let Some(resource) = host.resource(&path(nth)) {
            let stall = Conduct::stall_ms(Place::Byte(STALL_BYTES), STALL_MS);
            host.publish(&path(nth), resource.behaving([stall]));
        }
    }
}
