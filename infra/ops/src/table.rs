//! What commands print: steps, headings and tables, all in one look.

use std::time::Duration;

use comfy_table::{Table, presets};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// One step of a longer work, on standard error.
pub(crate) fn step(name: &str, what: &str) {
    eprintln!("{name:>9}  {what}");
}

/// The heading of a part of the answer.
pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

/// An empty table with these columns.
pub(crate) fn table<const N: usize>(columns: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(columns);
    table
}

/// The same for rows of several lines, with a line between them.
pub(crate) fn ruled_table<const N: usize>(columns: [&str; N]) -> Table {
    let mut table = table(columns);
    table.load_style(presets::UTF8_FULL);
    table
}

/// A bar over a known number of things. It shows on a terminal only.
pub(crate) fn bar(name: &'static str, length: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{prefix:>9}  [{bar:30}] {pos}/{len}  {msg}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(name);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// A bar over a span of time, of which a part is done. What is beside it tells more.
pub(crate) fn progress(name: &'static str, done_ms: i64, length_ms: i64) -> ProgressBar {
    let bar = ProgressBar::new(length_ms.unsigned_abs()).with_position(done_ms.unsigned_abs());
    let style = ProgressStyle::with_template("{prefix:>9}  [{bar:30}] {percent:>3} %  {msg}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(name);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// What turns while something is read of which nobody knows how much there is.
pub(crate) fn spinner(name: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{prefix:>9}  {spinner} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(name);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// Two bars under each other: pictures that came to their end, of those that are known of; and bytes, with their speed.
#[derive(Debug)]
pub(crate) struct ImageBars {
    both: MultiProgress,
    pictures: ProgressBar,
    bytes: ProgressBar,
}

impl ImageBars {
    pub(crate) fn new() -> Self {
        let both = MultiProgress::new();
        let pictures = both.add(bar("Images", 0));
        let bytes = both.add(spinner("Bytes"));
        let style = ProgressStyle::with_template("{prefix:>9}  {binary_bytes}, {binary_bytes_per_sec}");
        if let Ok(style) = style {
            bytes.set_style(style);
        }
        Self { both, pictures, bytes }
    }

    /// How far it is.
    pub(crate) fn show(&self, ended: u64, all: u64, bytes: u64) {
        self.pictures.set_length(all);
        self.pictures.set_position(ended);
        self.bytes.set_position(bytes);
    }

    /// Says something in the bar itself.
    pub(crate) fn say(&self, what: &str) {
        self.pictures.set_message(what.to_owned());
    }

    /// Says something above the bars.
    pub(crate) fn tell(&self, what: &str) {
        self.both.suspend(|| step("Images", what));
    }

    pub(crate) fn clear(&self) {
        self.pictures.finish_and_clear();
        self.bytes.finish_and_clear();
    }
}

/// A count as a cell: nothing where there is none.
pub(crate) fn count(count: usize) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}
