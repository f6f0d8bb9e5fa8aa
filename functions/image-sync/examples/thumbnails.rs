//! Makes thumbnails of the pictures below a directory, and prints what each weighed, took and held (without what
//! libwebp allocates for itself).
//!
//! `cargo run --release --package image-sync --example thumbnails -- DIRECTORY [OUTPUT]`; with an output directory the
//! thumbnails are written there. The table of PICTURES.md is what it prints.
#![allow(clippy::print_stdout, clippy::float_arithmetic, clippy::as_conversions, missing_docs)]

use std::io;
use std::path::{Path, PathBuf};

use adapters::spool::Content;
use image_sync::picture::{Format, inspect, thumbnails};
use peak_alloc::PeakAlloc;

/// How often each picture is made. The mean counts: the system counts a program's time in steps of some milliseconds.
const ROUNDS: u32 = 10;

fn pictures(below: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(below)? {
        let path = entry?.path();
        if path.is_dir() {
            pictures(&path, found)?;
        } else if !path.is_symlink() && is_picture(&path)? {
            found.push(path);
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> io::Result<bool> {
    let mut head = [0; 12];
    let read = io::Read::read(&mut std::fs::File::open(path)?, &mut head)?;
    Ok(read == head.len() && Format::of(&head).is_some())
}

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The time that this program was given by the processor so far, in milliseconds (Linux): what else the machine does
/// does not count. It has one thread.
fn cpu_ms() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    schedstat.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or_default() / 1e6
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("a directory of pictures is needed")?);
    let output = arguments.next().map(PathBuf::from);
    let mut found = Vec::new();
    pictures(&directory, &mut found)?;
    found.sort();
    println!(
        "| picture | format | pixels | original, bytes | 200 px, bytes | 800 px, bytes | inspected, CPU ms | made, CPU ms | held, MB |"
    );
    println!("|---|---|---|---:|---:|---:|---:|---:|---:|");
    let mut sums = (0_u64, 0, 0, 0.0, 0.0, 0);
    for path in &found {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A copy, because a content's file goes with it.
        let copy = tempfile::NamedTempFile::new()?.into_temp_path();
        let bytes = std::fs::copy(path, &copy)?;
        let content = Content::File(copy);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let (mut looked, mut took, mut made) = (0.0, 0.0, Vec::new());
        let picture = match inspect(&content) {
            Ok(picture) => picture,
            Err(refused) => {
                println!("| {name} | {refused} | | {bytes} | | | | | |");
                continue;
            }
        };
        for _ in 0..ROUNDS {
            let begun = cpu_ms();
            inspect(&content)?;
            let inspected = cpu_ms();
            made = thumbnails(&content, &picture, &[200, 800])?;
            looked += (inspected - begun) / f64::from(ROUNDS);
            took += (cpu_ms() - inspected) / f64::from(ROUNDS);
        }
        let peak = MEMORY.peak_usage().saturating_sub(before);
        let [small, large] = made.as_slice() else { return Err("two thumbnails were asked for".into()) };
        if let Some(output) = &output {
            std::fs::write(output.join(format!("{name}-200.webp")), &small.webp)?;
            std::fs::write(output.join(format!("{name}-800.webp")), &large.webp)?;
        }
        let (format, width, height) = (picture.format.extension(), picture.width, picture.height);
        let (at_200, at_800) = (small.webp.len() as u64, large.webp.len() as u64);
        println!(
            "| {name} | {format} | {width} x {height} | {bytes} | {at_200} | {at_800} | {looked:.1} | {took:.0} | {:.0} |",
            peak as f64 / 1e6
        );
        sums = (sums.0 + bytes, sums.1 + at_200, sums.2 + at_800, sums.3 + looked, sums.4 + took, sums.5.max(peak));
    }
    println!(
        "| all {} | | | {} | {} | {} | {:.0} | {:.0} | {:.0} |",
        found.len(),
        sums.0,
        sums.1,
        sums.2,
        sums.3,
        sums.4,
        sums.5 as f64 / 1e6
    );
    Ok(())
}
