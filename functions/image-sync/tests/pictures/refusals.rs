//! What is no picture, or is made to hurt: refused, with a reason, in little memory and time.

use std::io::Write;
use std::time::{Duration, Instant};

use adapters::spool::Content;
use image_sync::picture::{IMAGE_BYTES_MAX, Picture, inspect, thumbnails};

use crate::made::*;

/// A picture of every format, small enough to try much with.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let pixels = photograph(160, 120, 3);
    let alpha = Pixels::of(160, 120, |x, y| [x as u8, y as u8, 90, (x + y) as u8]);
    let frame = |index| (0, 0, 160, 120, vec![index; 160 * 120]);
    let frames = [(0, 0, Pixels::plain(160, 120, &[9, 9, 9])), (20, 10, Pixels::plain(60, 60, &[200, 9, 9]))];
    let inks = Pixels::plain(160, 120, &[90, 20, 20, 9]);
    vec![
        ("baseline", jpeg(&pixels)),
        ("progressive", Jpeg { progressive: true, exif: Some(exif(6)), ..Jpeg::default() }.of(&pixels)),
        ("inks", jpeg(&inks)),
        ("png", png(&pixels)),
        ("interlaced", Png::interlaced(&alpha)),
        ("lossy webp", webp(&pixels)),
        ("lossy webp with alpha", webp(&alpha)),
        ("lossless webp", webp_lossless(&alpha, None, Some(exif(3)))),
        ("animated webp", webp_animated(160, 120, &frames)),
        ("gif", gif(160, 120, &[frame(1), frame(2)])),
    ]
}

#[test]
fn what_is_no_picture_is_refused_with_what_it_looks_like() {
    let svg = b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
    let named = [
        (b"".to_vec(), "not_an_image: it looks like an empty file"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>".to_vec(), "not_an_image: it looks like html"),
        (b"\n\n  <HTML><HEAD>".to_vec(), "not_an_image: it looks like html"),
        (b"<!doctype html><p>an <svg> in it".to_vec(), "not_an_image: it looks like html"),
        (svg.to_vec(), "not_an_image: it looks like svg"),
        (b"<svg onload=\"alert(1)\">".to_vec(), "not_an_image: it looks like svg"),
        (b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code>".to_vec(), "not_an_image: it looks like xml"),
        (b"{\"code\":404}".to_vec(), "not_an_image: it looks like json"),
        (b"PK\x03\x04\x14\0\0\0".to_vec(), "not_an_image: it looks like an archive"),
        (b"%PDF-1.7 ".to_vec(), "not_an_image: it looks like a document"),
        (b"\x7fELF\x02\x01".to_vec(), "not_an_image: it looks like a program"),
        (vec![7; 5_000], "not_an_image: it looks like nothing known"),
        (b"\xff\xd8".to_vec(), "not_an_image: it looks like nothing known"),
        (b"RIFF\x24\0\0\0WAVEfmt ".to_vec(), "not_an_image: it looks like nothing known"),
        (b"\0\0\0\x1cftypavif\0\0\0\0".to_vec(), "unsupported: an AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0".to_vec(), "unsupported: a HEIC"),
        (b"BM\x36\0\0\0\0\0".to_vec(), "unsupported: a BMP"),
        (b"II*\0\x08\0\0\0".to_vec(), "unsupported: a TIFF"),
    ];
    for (bytes, wanted) in named {
        assert_eq!(reason(&bytes), wanted);
    }
}

#[test]
fn a_picture_that_ends_early_is_refused_wherever_it_ends() {
    for (kind, file) in samples() {
        both(&file).unwrap_or_else(|refused| panic!("{kind} is whole: {refused}"));
        for eighth in 1..8 {
            assert_eq!(
                reason(&file[..file.len() * eighth / 8]),
                "truncated: it ends before the picture does",
                "{kind}"
            );
        }
        for missing in 1..24 {
            assert_eq!(inspect(Spooled::of(&file[..file.len() - missing]).content()).unwrap_err().word(), "truncated");
        }
    }
}

/// A JPEG's header of this size, without a pixel.
fn jpeg_header(width: u16, height: u16, process: u8) -> Vec<u8> {
    let mut file = jpeg(&Pixels::plain(16, 16, &[9, 9, 9]));
    let at = file.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    file[at + 1] = process;
    file[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    file[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    file
}

#[test]
fn too_many_pixels_are_refused_by_the_header_alone() {
    let wide = Png { width: 30_000, height: 30_000, depth: 8, colour: 2, ..Png::default() };
    assert_eq!(reason(&wide.with(b"")), "too_many_pixels: 30000 x 30000");
    let line = Png { width: 1, height: 70_000, depth: 1, ..Png::default() };
    assert_eq!(reason(&line.with(b"")), "too_many_pixels: 1 x 70000");
    assert_eq!(reason(&jpeg_header(65_500, 65_500, 0xc0)), "too_many_pixels: 65500 x 65500");
    let mut gif = gif(10, 10, &[(0, 0, 10, 10, vec![0; 100])]);
    gif[6..10].copy_from_slice(&[255; 4]);
    assert_eq!(reason(&gif), "too_many_pixels: 65535 x 65535");
    let chunks = webp(&Pixels::plain(16, 16, &[9, 9, 9]))[12..].to_vec();
    assert_eq!(reason(&riff(&[vp8x(0, 1 << 24, 1 << 24), chunks].concat())), "too_many_pixels: 16777216 x 16777216");
    let moving = webp_animated(6_000, 6_000, &[(0, 0, Pixels::plain(16, 16, &[9, 9, 9]))]);
    assert_eq!(reason(&moving), "too_many_pixels: 6000 x 6000");
}

#[test]
fn too_many_bytes_are_refused_unread() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&png(&quarters(100, 100))).unwrap();
    file.as_file().set_len(IMAGE_BYTES_MAX + 1).unwrap();
    let file = Content::File(file.into_temp_path());
    assert_eq!(inspect(&file).unwrap_err().to_string(), "too_many_bytes: 33554433");
}

#[test]
fn a_header_that_promises_pixels_for_which_there_are_no_bytes_is_refused() {
    for process in [0xc0, 0xc2] {
        assert_eq!(refusal(&jpeg_header(8_000, 5_000, process)), "truncated");
    }
    let png = Png { width: 8_000, height: 5_000, depth: 8, colour: 6, ..Png::default() };
    assert_eq!(refusal(&png.with(&zlib_zeros(10_000))), "truncated");
    assert_eq!(refusal(&png.with(&zlib_zeros(160_000_000 - 1_000))), "damaged", "its last row is missing");
    let mut gif = gif(16, 16, &[(0, 0, 16, 16, vec![1; 256])]);
    let at = gif.windows(10).position(|block| block == [0x2c, 0, 0, 0, 0, 16, 0, 16, 0, 0]).unwrap();
    for at in [6, 8, at + 5, at + 7] {
        gif[at..at + 2].copy_from_slice(&4_000_u16.to_le_bytes());
    }
    assert_eq!(refusal(&gif), "damaged");
}

#[test]
fn a_canvas_that_its_frame_contradicts_is_refused() {
    let small = Pixels::plain(16, 16, &[9, 9, 9]);
    for frame in [webp(&small), webp_lossless(&small, None, None)] {
        let lying = riff(&[vp8x(0, 4_000, 4_000), frame[12..].to_vec()].concat());
        assert_eq!(refusal(&lying), "damaged");
    }
    // A frame that says it is small holds one that is not.
    let mut moving = webp_animated(100, 100, &[(0, 0, Pixels::plain(64, 64, &[9, 9, 9]))]);
    let at = moving.windows(4).position(|name| name == b"ANMF").unwrap();
    moving[at + 14] = 15;
    assert_eq!(refusal(&moving), "damaged");
    let outside = webp_animated(40, 40, &[(0, 0, Pixels::plain(64, 64, &[9, 9, 9]))]);
    assert_eq!(refusal(&outside), "damaged");
    assert_eq!(refusal(&gif(40, 40, &[(30, 0, 20, 20, vec![0; 400])])), "damaged");
}

#[test]
fn a_file_of_a_picture_without_a_picture_is_refused() {
    assert_eq!(refusal(&gif(40, 40, &[])), "damaged");
    assert_eq!(refusal(&riff(&vp8x(0, 40, 40))), "damaged");
    assert_eq!(refusal(&riff(&riff_chunk(b"EXIF", b"none"))), "damaged");
    assert_eq!(refusal(&[b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IEND", b"")].concat()), "damaged");
    assert_eq!(refusal(&Png { width: 40, height: 40, depth: 8, ..Png::default() }.with(b"")), "damaged");
    assert_eq!(refusal(b"\xff\xd8\xff\xd9"), "damaged");
    assert_eq!(refusal(&Png { width: 0, height: 40, depth: 8, ..Png::default() }.with(b"")), "damaged");
}

#[test]
fn what_no_browser_shows_either_is_named_as_unsupported() {
    for (process, wanted) in [
        (0xc3, "unsupported: a lossless or hierarchical JPEG"),
        (0xc5, "unsupported: a lossless or hierarchical JPEG"),
        (0xc9, "unsupported: a JPEG in arithmetic coding"),
    ] {
        assert_eq!(reason(&jpeg_header(16, 16, process)), wanted);
    }
    let mut twelve_bits = jpeg_header(16, 16, 0xc1);
    let at = twelve_bits.windows(2).position(|marker| marker == [0xff, 0xc1]).unwrap();
    twelve_bits[at + 4] = 12;
    assert_eq!(reason(&twelve_bits), "unsupported: a JPEG of other than 8 bits");
}

#[test]
fn metadata_that_inflates_to_a_flood_are_refused_as_a_bomb() {
    let flood = zlib_zeros(2_000_000_000);
    assert!(flood.len() < 2_500_000);
    let pixels = quarters(100, 100);
    for (name, head) in [(b"iCCP", b"x\0\0".as_slice()), (b"zTXt", b"x\0\0"), (b"iTXt", b"x\0\x01\0en\0x\0")] {
        let file = Png::of(&pixels, &png_chunk(name, &[head, &flood].concat()));
        let begun = Instant::now();
        assert_eq!(reason(&file), "bomb: its profile or texts inflate to too much");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    // Many small ones are one large one.
    let many = png_chunk(b"zTXt", &[b"x\0\0".as_slice(), &zlib_zeros(1_000_000)].concat()).repeat(20);
    assert_eq!(reason(&Png::of(&pixels, &many)), "bomb: its profile or texts inflate to too much");
    let few = png_chunk(b"zTXt", &[b"x\0\0".as_slice(), &zlib_zeros(1_000_000)].concat()).repeat(10);
    both(&Png::of(&pixels, &few)).unwrap();
}

#[test]
fn pixel_data_that_go_on_behind_the_last_row_are_refused_and_not_inflated() {
    let png = Png { width: 100, height: 100, depth: 8, colour: 2, ..Png::default() };
    for interlaced in [false, true] {
        let png = Png { interlaced, ..png.clone() };
        let begun = Instant::now();
        let file = png.with(&zlib_zeros(2_000_000_000));
        let made = begun.elapsed();
        let begun = Instant::now();
        assert_eq!(refusal(&file), "bomb", "interlaced: {interlaced}");
        assert!(begun.elapsed() < made / 2, "{:?} for what took {made:?} to deflate", begun.elapsed());
    }
}

#[test]
fn a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() {
    let file = Jpeg { progressive: true, ..Jpeg::default() }.of(&photograph(2_000, 1_500, 4));
    // Its last scan, again and again: each is a pass over all coefficients.
    let last = file.windows(2).rposition(|marker| marker == [0xff, 0xda]).unwrap();
    let scan = &file[last..file.len() - 2];
    let times = (16 << 20) / scan.len();
    let many = [&file[..last], &scan.repeat(times.min(5_000)), &file[file.len() - 2..]].concat();
    let begun = Instant::now();
    let reason = reason(&many);
    assert!(reason == "bomb: too many scans", "{times} times: {reason}");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_picture_that_another_file_follows_is_refused() {
    let archive = [b"PK\x03\x04".as_slice(), &[0; 30], b"PK\x05\x06", &[0; 18]].concat();
    let hidden = [b"\x01\x02\x03".as_slice(), &archive].concat();
    for (kind, file) in samples() {
        for (appended, word) in [
            (b"<html><script>alert(1)</script>".to_vec(), "polyglot: what follows the picture looks like html"),
            (b"\r\n<svg xmlns=\"\">".to_vec(), "polyglot: what follows the picture looks like svg"),
            (archive.clone(), "polyglot: what follows the picture looks like an archive"),
            (hidden.clone(), "polyglot: what follows the picture looks like an archive"),
            (b"%PDF-1.4".to_vec(), "polyglot: what follows the picture looks like a document"),
            (b"<?php system($_GET[0]);".to_vec(), "polyglot: what follows the picture looks like a program"),
        ] {
            assert_eq!(reason(&[file.clone(), appended].concat()), word, "{kind}");
        }
        // What cameras leave behind a picture is no other file.
        for rest in [vec![0; 4_000], b"\n".to_vec(), jpeg(&quarters(16, 16)), b"\0\0\0\x18ftypmp42".to_vec()] {
            both(&[file.clone(), rest].concat()).unwrap_or_else(|refused| panic!("{kind}: {refused}"));
        }
    }
}

#[test]
fn a_file_that_is_not_the_inspected_one_is_refused() {
    let large = Picture { width: 4_000, height: 4_000, ..inspect(Spooled::of(&samples()[0].1).content()).unwrap() };
    for (kind, file) in samples() {
        let file = Spooled::of(&file);
        let picture = Picture { format: inspect(file.content()).unwrap().format, ..large };
        assert_eq!(thumbnails(file.content(), &picture, &[200]).unwrap_err().word(), "damaged", "{kind}");
        let endless = Picture { width: u32::MAX, height: u32::MAX, ..picture };
        assert_eq!(thumbnails(file.content(), &endless, &[200]).unwrap_err().word(), "too_many_pixels");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_nothing_of_the_picture() {
    let refused = inspect(Spooled::unwritten().content()).unwrap_err();
    assert_eq!(refused.word(), "unreadable");
    assert!(!refused.is_final());
    assert!(inspect(Spooled::of(b"").content()).unwrap_err().is_final());
}
