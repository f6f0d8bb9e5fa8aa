//! Colours mean what the file says that they mean.

use jpeg_encoder::ColorType;
use moxcms::ColorProfile;

use crate::made::*;

/// The colour of a picture of one colour, in the larger thumbnail.
fn shown(file: &[u8]) -> Vec<u8> {
    let made = both(file).unwrap();
    let pixels = decoded(&made[1]);
    pixels.at(pixels.width / 2, pixels.height / 2).to_vec()
}

fn assert_shown(file: &[u8], wanted: &[u8], of: &str) {
    let found = shown(file);
    assert!(found.iter().zip(wanted).all(|(found, wanted)| found.abs_diff(*wanted) <= 4), "{of}: {found:?}");
    assert_eq!(found.len(), wanted.len(), "{of}");
}

fn to_light(value: u8) -> f64 {
    let value = f64::from(value) / 255.0;
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn to_srgb(light: f64) -> u8 {
    let value = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Display P3 to sRGB, by the matrices of both (SMPTE EG 432-1, IEC 61966-2-1), computed here by itself.
fn p3_in_srgb(colour: [u8; 3]) -> [u8; 3] {
    let [red, green, blue] = colour.map(to_light);
    let rows = [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]];
    rows.map(|row: [f64; 3]| to_srgb(row[0] * red + row[1] * green + row[2] * blue))
}

#[test]
fn an_embedded_profile_is_converted_to_srgb_in_every_format_that_can_have_one() {
    let icc = ColorProfile::new_display_p3().encode().unwrap();
    let colour = [190, 110, 90];
    let wanted = p3_in_srgb(colour);
    assert!(wanted[0].abs_diff(colour[0]) > 8, "it makes a difference");
    let pixels = Pixels::plain(900, 600, &colour);
    let in_png = [b"p3\0\0".as_slice(), &zlib(&icc)].concat();
    assert_shown(&Jpeg { icc: Some(icc.clone()), ..Jpeg::default() }.of(&pixels), &wanted, "jpeg");
    assert_shown(&Png::of(&pixels, &png_chunk(b"iCCP", &in_png)), &wanted, "png");
    assert_shown(&webp_lossless(&pixels, Some(icc), None), &wanted, "webp");
    assert_shown(&png(&pixels), &colour, "no profile");
}

#[test]
fn a_profile_is_applied_to_colours_and_not_to_their_alpha() {
    let icc = ColorProfile::new_display_p3().encode().unwrap();
    let [red, green, blue] = p3_in_srgb([190, 110, 90]);
    let pixels = Pixels::plain(300, 200, &[190, 110, 90, 128]);
    let in_png = [b"p3\0\0".as_slice(), &zlib(&icc)].concat();
    assert_shown(&Png::of(&pixels, &png_chunk(b"iCCP", &in_png)), &[red, green, blue, 128], "png");
}

#[test]
fn a_grey_picture_with_a_grey_profile_or_one_of_colours_is_shown_in_its_greys() {
    let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let pixels = Pixels::plain(300, 200, &[128]);
    assert_shown(&Jpeg { icc: Some(linear.clone()), ..Jpeg::default() }.of(&pixels), &[188; 3], "linear");
    assert_shown(&Jpeg { icc: Some(p3), ..Jpeg::default() }.of(&pixels), &[128; 3], "of colours");
    assert_shown(&jpeg(&pixels), &[128; 3], "none");
    let with_alpha = Pixels::plain(300, 200, &[128, 77]);
    let in_png = [b"linear\0\0".as_slice(), &zlib(&linear)].concat();
    assert_shown(&Png::of(&with_alpha, &png_chunk(b"iCCP", &in_png)), &[188, 188, 188, 77], "with alpha");
}

#[test]
fn a_profile_that_is_broken_or_of_another_kind_is_ignored() {
    let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let broken = ColorProfile::new_display_p3().encode().unwrap()[..200].to_vec();
    let pixels = Pixels::plain(300, 200, &[190, 110, 90]);
    for icc in [grey, broken, vec![7; 4_000]] {
        assert_shown(&Jpeg { icc: Some(icc), ..Jpeg::default() }.of(&pixels), &[190, 110, 90], "ignored");
    }
}

#[test]
fn a_png_of_a_stated_gamma_is_shown_with_it() {
    let gamma = |value: u32| png_chunk(b"gAMA", &value.to_be_bytes());
    let pixels = Pixels::plain(300, 200, &[128, 128, 128]);
    assert_shown(&Png::of(&pixels, &gamma(100_000)), &[188; 3], "linear");
    assert_shown(&Png::of(&pixels, &gamma(45_455)), &[128; 3], "as sRGB");
    assert_shown(&Png::of(&pixels, &[gamma(100_000), png_chunk(b"sRGB", &[0])].concat()), &[128; 3], "sRGB wins");
    assert_shown(&Png::of(&pixels, &gamma(0)), &[128; 3], "no gamma");
}

#[test]
fn a_png_of_stated_primaries_is_shown_with_them() {
    // Of Display P3, with its own curve said as the power 2.2.
    let numbers = [31_270_u32, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000];
    let primaries: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    let chunks = [png_chunk(b"gAMA", &45_455_u32.to_be_bytes()), png_chunk(b"cHRM", &primaries)].concat();
    assert_shown(&Png::of(&Pixels::plain(300, 200, &[190, 110, 90]), &chunks), &p3_in_srgb([190, 110, 90]), "cHRM");
}

#[test]
fn a_png_of_stated_code_points_is_shown_with_them() {
    // Primaries of Display P3 (12), the curve of sRGB (13), RGB, full range.
    let chunk = png_chunk(b"cICP", &[12, 13, 0, 1]);
    assert_shown(&Png::of(&Pixels::plain(300, 200, &[190, 110, 90]), &chunk), &p3_in_srgb([190, 110, 90]), "cICP");
}

/// A JPEG without Adobe's segment, whose inks are then stored as they are.
fn without_adobe(file: &[u8]) -> Vec<u8> {
    let at = file.windows(2).position(|marker| marker == [0xff, 0xee]).unwrap();
    let length = usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
    [&file[..at], &file[at + 2 + length..]].concat()
}

#[test]
fn inks_are_shown_as_the_colours_that_they_print() {
    let inks = [
        ([255, 0, 0, 0], [0, 255, 255]),
        ([0, 255, 0, 0], [255, 0, 255]),
        ([0, 0, 255, 0], [255, 255, 0]),
        ([0, 0, 0, 255], [0, 0, 0]),
        ([0, 0, 0, 0], [255, 255, 255]),
        ([100, 50, 20, 60], [119, 157, 180]),
    ];
    for (ink, wanted) in inks {
        let pixels = Pixels::plain(400, 300, &ink);
        for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
            let file = Jpeg { inks: Some(kind), quality: 100, ..Jpeg::default() }.of(&pixels);
            assert_shown(&file, &wanted, "Adobe's");
        }
        // The encoder inverts as Adobe does: so opposite inks are stored as these.
        let opposite = Pixels::plain(400, 300, &ink.map(|ink: u8| 255 - ink));
        let plain = without_adobe(&Jpeg { quality: 100, ..Jpeg::default() }.of(&opposite));
        assert_shown(&plain, &wanted, "others'");
    }
}

/// A profile of inks (ICC.1, a table of eight bits), by which cyan prints nothing and the other inks print black.
fn peculiar_inks() -> Vec<u8> {
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for number in [1_i32, 0, 0, 0, 1, 0, 0, 0, 1] {
        table.extend_from_slice(&(number << 16).to_be_bytes());
    }
    let line: Vec<u8> = (0..=255).collect();
    table.extend_from_slice(&line.repeat(4));
    for corner in 0..16 {
        // The first ink varies slowest; PCS Lab, in eight bits.
        let is_white = corner & 0b0111 == 0;
        table.extend_from_slice(&[if is_white { 255 } else { 0 }, 128, 128]);
    }
    table.extend_from_slice(&line.repeat(3));
    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    profile[68..80].copy_from_slice(&[0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d]);
    profile.extend_from_slice(&1_u32.to_be_bytes());
    profile.extend_from_slice(b"A2B0");
    profile.extend_from_slice(&144_u32.to_be_bytes());
    profile.extend_from_slice(&u32::try_from(table.len()).unwrap().to_be_bytes());
    profile.extend_from_slice(&table);
    let length = u32::try_from(profile.len()).unwrap().to_be_bytes();
    profile[..4].copy_from_slice(&length);
    profile
}

#[test]
fn inks_with_a_profile_are_shown_by_it() {
    let jpeg = Jpeg { icc: Some(peculiar_inks()), quality: 100, ..Jpeg::default() };
    assert_shown(&jpeg.of(&Pixels::plain(400, 300, &[255, 0, 0, 0])), &[255; 3], "cyan prints nothing");
    assert_shown(&jpeg.of(&Pixels::plain(400, 300, &[0, 255, 0, 0])), &[0; 3], "magenta prints black");
}

#[test]
fn a_png_of_any_depth_and_kind_is_shown_in_its_colours() {
    let png = |depth, colour, chunks: Vec<u8>| Png { width: 64, height: 64, depth, colour, interlaced: false, chunks };
    let palette = png_chunk(b"PLTE", &[9, 9, 9, 200, 100, 50]);
    let see_through = png_chunk(b"tRNS", &[255, 100]);
    let sixteen =
        |channels: &[u16]| channels.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>().repeat(64 * 64);
    let cases = [
        ("1 bit", png(1, 0, vec![]).of_rows(8, &[255; 8 * 64]), vec![255; 3]),
        ("2 bits", png(2, 0, vec![]).of_rows(16, &[0b0101_0101; 16 * 64]), vec![85; 3]),
        ("4 bits", png(4, 0, vec![]).of_rows(32, &[0x88; 32 * 64]), vec![136; 3]),
        ("palette", png(8, 3, palette.clone()).of_rows(64, &[1; 64 * 64]), vec![200, 100, 50]),
        ("palette of 1 bit", png(1, 3, palette.clone()).of_rows(8, &[255; 8 * 64]), vec![200, 100, 50]),
        (
            "palette with alpha",
            png(8, 3, [palette, see_through].concat()).of_rows(64, &[1; 64 * 64]),
            vec![200, 100, 50, 100],
        ),
        ("16 bits, grey", png(16, 0, vec![]).of_rows(128, &sixteen(&[0x8080])), vec![128; 3]),
        ("16 bits", png(16, 2, vec![]).of_rows(384, &sixteen(&[0xc8c8, 0x6464, 0x3232])), vec![200, 100, 50]),
        (
            "16 bits with alpha",
            png(16, 6, vec![]).of_rows(512, &sixteen(&[0xc8c8, 0x6464, 0x3232, 0x8080])),
            vec![200, 100, 50, 128],
        ),
    ];
    for (kind, file, wanted) in cases {
        assert_shown(&file, &wanted, kind);
    }
}
