//! The page of `sampan status --html`, as a real browser draws it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use sampan::deploy::FUNCTIONS;

use crate::stage::{Stage, now};

/// What a browser may be called. `SAMPAN_BROWSER` names another of this family.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// The window, in pixels: high enough for the whole page.
const WINDOW: (u32, u32) = (1_000, 2_600);
/// Colours of the page: its bars, of which the first outcome of every function has this one; the ground of its plots; the
/// mark of what asks for a person, or of nothing that does.
const BAR: [u8; 3] = [0x2a, 0x6f, 0x97];
const GROUND: [u8; 3] = [0xf5, 0xf7, 0xf9];
const MARKS: [[u8; 3]; 2] = [[0xc1, 0x12, 0x1f], [0x2a, 0x9d, 0x63]];
/// A plot is 480 x 80; the least that its ground has besides its bars.
const GROUND_PIXELS_MIN: usize = 4_000;
/// The least pixels of bars, and of the mark, on a stack that did anything.
const BAR_PIXELS_MIN: usize = 200;
const MARK_PIXELS_MIN: usize = 50;
/// More shades than a page has that is blank, or an error of the browser's.
const SHADES_MIN: usize = 60;

/// The browser of this machine, when it has one.
#[expect(clippy::disallowed_methods, reason = "a setting of the run, as SAMPAN_SEED is")]
pub fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SAMPAN_BROWSER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    BROWSERS.iter().flat_map(|name| places.iter().map(move |place| place.join(name))).find(|file| file.is_file())
}

/// Runs a command to its end, which must be a good one.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let ran = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !ran.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    Ok(())
}

/// The pixels of a picture, red, green and blue.
fn pixels(file: &Path) -> anyhow::Result<Vec<[u8; 3]>> {
    let mut decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(file)?));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let mut buffer = vec![0; reader.output_buffer_size().context("too large")?];
    let info = reader.next_frame(&mut buffer)?;
    ensure!((info.width, info.height) == WINDOW, "a picture of {} x {}", info.width, info.height);
    let samples = info.color_type.samples();
    Ok(buffer[..info.buffer_size()].chunks_exact(samples).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
}

pub async fn is_drawn(stage: Arc<Stage>) -> anyhow::Result<()> {
    let browser = browser().context("this machine has no browser")?;
    let order = format!("page-{}", stage.run);
    stage.warehouse(&format!("msg_{order}"), &order, "arrived", now()).await?;
    stage.order_when(&order, |order| order["status"] == "ARRIVED").await?;
    let (page, picture) = (stage.directory.join("status.html"), stage.directory.join("status.png"));
    let sampan = std::env::current_exe()?.parent().and_then(Path::parent).context("no directory")?.join("sampan");
    run(Command::new(sampan).args(["status", "--html"]).arg(&page).env("SAMPAN_LOCAL_DIR", &stage.directory))?;
    let mut screenshot = Command::new(browser);
    // No sandbox, because what it opens is ours, and the one who runs tests may be root.
    screenshot.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
    ]);
    screenshot.arg(format!("--user-data-dir={}", stage.directory.join("browser").display()));
    screenshot.arg(format!("--window-size={},{}", WINDOW.0, WINDOW.1));
    screenshot.arg(format!("--screenshot={}", picture.display()));
    run(screenshot.arg(format!("file://{}", std::path::absolute(&page)?.display())))?;

    let pixels = pixels(&picture)?;
    let count = |wanted: [u8; 3]| pixels.iter().filter(|pixel| **pixel == wanted).count();
    let shades = pixels.iter().collect::<std::collections::BTreeSet<_>>().len();
    let (bars, ground, mark) = (count(BAR), count(GROUND), MARKS.map(count).into_iter().max().unwrap_or_default());
    println!("{}: {shades} shades; pixels of bars {bars}, of plots {ground}, of the mark {mark}", picture.display());
    ensure!(shades >= SHADES_MIN, "{shades} shades: the page is blank, or something else");
    ensure!(bars >= BAR_PIXELS_MIN && mark >= MARK_PIXELS_MIN, "no bars ({bars}), or no mark ({mark})");
    ensure!(ground >= FUNCTIONS.len() * GROUND_PIXELS_MIN, "the plots are not all there: {ground} pixels");
    Ok(())
}
