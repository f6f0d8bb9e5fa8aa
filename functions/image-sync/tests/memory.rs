//! What a picture costs in memory, counted by the allocator: a program of its own, because it counts for all of one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::print_stdout,
    missing_docs
)]

mod made;

use image_sync::picture::{PIXELS_MAX, decode_bytes_max, inspect, thumbnails};
use jpeg_encoder::{ColorType, SamplingFactor};
use peak_alloc::PeakAlloc;

use made::*;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What looking a file through may hold, in bytes, whatever the file's size.
const INSPECT_BYTES_MAX: usize = 256 * 1_024;

/// The peak of what is allocated while this runs, above what was before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let done = work();
    (MEMORY.peak_usage().saturating_sub(before), done)
}

/// Looks through and decodes a file. Says what each held.
fn cost(kind: &str, file: Vec<u8>) -> (usize, usize) {
    let spooled = Spooled::of(&file);
    drop(file);
    let (looked, picture) = peak_of(|| inspect(spooled.content()));
    let picture = picture.unwrap_or_else(|refused| panic!("{kind}: {refused}"));
    let (decoded, made) = peak_of(|| thumbnails(spooled.content(), &picture, &[200, 800]));
    assert_eq!(made.unwrap_or_else(|refused| panic!("{kind}: {refused}")).len(), 2);
    let pixels = picture.width as usize * picture.height as usize;
    println!(
        "{kind}, {} x {}: looked through in {looked} bytes, decoded in {decoded}: {:.1} a pixel",
        picture.width,
        picture.height,
        decoded as f64 / pixels as f64
    );
    (looked, decoded)
}

fn of_jpeg(jpeg: &Jpeg, side: u32, pixel: &[u8]) -> Vec<u8> {
    jpeg.of(&Pixels::plain(side, side, pixel))
}

/// The costliest file of each kind that is so many pixels wide and high.
fn costliest(side: u32) -> Vec<(&'static str, Vec<u8>)> {
    let colour = [90, 30, 20, 120];
    let progressive = Jpeg { progressive: true, ..Jpeg::default() };
    let subsampled = Jpeg { sampling: SamplingFactor::R_4_2_0, ..progressive.clone() };
    let inks = Jpeg { inks: Some(ColorType::CmykAsYcck), ..progressive.clone() };
    let short = u16::try_from(side).unwrap();
    let deep = Png { width: side, height: side, depth: 16, colour: 6, ..Png::default() };
    let mut files = vec![
        ("baseline JPEG", of_jpeg(&Jpeg::default(), side, &colour[..3])),
        ("progressive JPEG", of_jpeg(&progressive, side, &colour[..3])),
        ("progressive JPEG, 4:2:0", of_jpeg(&subsampled, side, &colour[..3])),
        ("progressive JPEG of inks", of_jpeg(&inks, side, &colour)),
        ("PNG of 16 bits with alpha", deep.with(&zlib_zeros(u64::from(side) * (u64::from(side) * 8 + 1)))),
        ("interlaced PNG", Png::interlaced(&Pixels::plain(side, side, &colour))),
        ("GIF", gif(short, short, &[(1, 1, short - 1, short - 1, vec![4; (side as usize - 1) * (side as usize - 1)])])),
        ("lossy WebP", webp(&Pixels::plain(side, side, &colour[..3]))),
        ("lossy WebP with alpha", webp(&Pixels::plain(side, side, &colour))),
        ("lossless WebP", webp_lossless(&Pixels::plain(side, side, &colour[..3]), None, None)),
        ("lossless WebP with alpha", webp_lossless(&Pixels::plain(side, side, &colour), None, None)),
    ];
    if side <= 5_000 {
        let frame = Pixels::plain(side, side, &colour);
        files.push(("animated WebP", webp_animated(side, side, &[(0, 0, frame)])));
    }
    files
}

/// Small pictures with as much beside the pixels as passes.
fn laden() -> Vec<(&'static str, Vec<u8>)> {
    let pixels = quarters(160, 120);
    let much = noise(1_250, 4_000, 3).values;
    let jpeg = Jpeg { icc: Some(much.clone()), ..Jpeg::default() };
    let inflated = [b"x\0\0".as_slice(), &zlib_zeros(15_000_000)].concat();
    vec![
        ("JPEG with a profile of 15 MB", jpeg.of(&pixels)),
        (
            "PNG with a profile of 15 MB",
            Png::of(&pixels, &png_chunk(b"iCCP", &[b"x\0\0".as_slice(), &zlib(&much)].concat())),
        ),
        ("PNG with a text of 15 MB", Png::of(&pixels, &png_chunk(b"zTXt", &inflated))),
        ("PNG with EXIF of 15 MB", Png::of(&pixels, &png_chunk(b"eXIf", &much))),
        ("PNG with an unknown chunk of 15 MB", Png::of(&pixels, &png_chunk(b"prVt", &much))),
        ("WebP with a profile and EXIF of 15 MB", webp_lossless(&pixels, Some(much.clone()), Some(much))),
    ]
}

/// The sides that are tried: at the largest, memory is the most; below 3,200 a JPEG is not scaled down.
#[expect(clippy::disallowed_methods, reason = "tests choose their length by the environment")]
fn sides() -> &'static [u32] {
    if std::env::var("SAMPAN_SOAK").is_ok() { &[3_199, 5_000, 6_324] } else { &[3_199] }
}

#[test]
fn a_picture_costs_no_more_memory_than_is_said_whatever_its_format() {
    let mut beyond = Vec::new();
    for side in sides() {
        assert!(u64::from(*side).pow(2) <= PIXELS_MAX);
        for (kind, file) in costliest(*side) {
            let (looked, decoded) = cost(kind, file);
            if looked > INSPECT_BYTES_MAX || decoded as u64 > decode_bytes_max(*side, *side) {
                beyond.push((kind, side, looked, decoded));
            }
        }
    }
    for (kind, file) in laden() {
        let (looked, decoded) = cost(kind, file);
        if looked > INSPECT_BYTES_MAX || decoded as u64 > decode_bytes_max(160, 120) {
            beyond.push((kind, &160, looked, decoded));
        }
    }
    assert!(beyond.is_empty(), "{beyond:?}");
}
