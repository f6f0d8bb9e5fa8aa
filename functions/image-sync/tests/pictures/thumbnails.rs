//! Sizes, uprightness, transparency, frames, and what a thumbnail weighs and holds.

use image_sync::picture::{Format, THUMBNAIL_BYTES_MAX, inspect, thumbnails};
use jpeg_encoder::SamplingFactor;

use crate::made::*;

/// Whether colours are the same to the eye: lossy compression moves each a little.
fn is_near(found: &[u8], wanted: &[u8]) -> bool {
    found.iter().zip(wanted).all(|(found, wanted)| found.abs_diff(*wanted) <= 14)
}

/// The colours in the middles of the quarters, row by row.
fn corners(pixels: &Pixels) -> [Vec<u8>; 4] {
    let (left, right) = (pixels.width / 4, pixels.width * 3 / 4);
    let (top, bottom) = (pixels.height / 4, pixels.height * 3 / 4);
    [(left, top), (right, top), (left, bottom), (right, bottom)].map(|(x, y)| pixels.at(x, y).to_vec())
}

const RED: [u8; 3] = [220, 30, 30];
const GREEN: [u8; 3] = [30, 180, 30];
const BLUE: [u8; 3] = [30, 30, 220];
const WHITE: [u8; 3] = [240, 240, 240];

fn assert_quarters(pixels: &Pixels, wanted: [[u8; 3]; 4], of: &str) {
    for (found, wanted) in corners(pixels).iter().zip(wanted) {
        assert!(is_near(found, &wanted), "{of}: {found:?} for {wanted:?}");
    }
}

/// The same picture in every format and way of writing it.
fn every_kind(width: u16, height: u16) -> Vec<(&'static str, Format, Vec<u8>)> {
    let pixels = quarters(u32::from(width), u32::from(height));
    let progressive = Jpeg { progressive: true, ..Jpeg::default() };
    let subsampled = Jpeg { sampling: SamplingFactor::R_4_2_0, ..Jpeg::default() };
    vec![
        ("baseline", Format::Jpeg, jpeg(&pixels)),
        ("progressive", Format::Jpeg, progressive.of(&pixels)),
        ("4:2:0", Format::Jpeg, subsampled.of(&pixels)),
        ("png", Format::Png, png(&pixels)),
        ("interlaced", Format::Png, Png::interlaced(&pixels)),
        ("lossy webp", Format::Webp, webp(&pixels)),
        ("lossless webp", Format::Webp, webp_lossless(&pixels, None, None)),
        ("gif", Format::Gif, gif(width, height, &[(0, 0, width, height, quarters_indices(width, height))])),
    ]
}

#[test]
fn every_format_gives_both_sizes_as_lossy_webp_with_its_colours_where_they_were() {
    for (kind, format, file) in every_kind(1_203, 802) {
        let spooled = Spooled::of(&file);
        let picture = inspect(spooled.content()).unwrap();
        assert_eq!((picture.format, picture.width, picture.height), (format, 1_203, 802), "{kind}");
        let both = thumbnails(spooled.content(), &picture, &[200, 800]).unwrap();
        let sizes: Vec<_> = both.iter().map(|made| (made.size, made.width, made.height)).collect();
        assert_eq!(sizes, [(200, 200, 133), (800, 800, 533)], "{kind}");
        for thumbnail in &both {
            assert_eq!(&thumbnail.webp[12..16], b"VP8 ", "{kind}: lossy, and nothing but pixels");
            assert_quarters(&decoded(thumbnail), [RED, GREEN, BLUE, WHITE], kind);
        }
    }
}

#[test]
fn a_small_picture_stays_as_small_as_it_is_in_both_sizes() {
    for (kind, _, file) in every_kind(120, 90) {
        let sizes: Vec<_> = both(&file).unwrap().iter().map(|made| (made.width, made.height)).collect();
        assert_eq!(sizes, [(120, 90), (120, 90)], "{kind}");
    }
}

#[test]
fn the_longest_side_decides_and_a_line_keeps_a_pixel_of_width() {
    for (width, height, wanted) in [(600, 2_400, (200, 800)), (5_000, 3, (800, 1)), (1, 4_000, (1, 800))] {
        let file = png(&Pixels::plain(width, height, &RED));
        let made = both(&file).unwrap();
        assert_eq!((made[1].width, made[1].height), wanted);
    }
}

#[test]
fn sizes_are_answered_in_the_order_they_were_asked_for() {
    let spooled = Spooled::of(&png(&quarters(900, 600)));
    let picture = inspect(spooled.content()).unwrap();
    for sizes in [vec![800, 200], vec![200, 800], vec![64], vec![64, 64], vec![]] {
        let made = thumbnails(spooled.content(), &picture, &sizes).unwrap();
        assert_eq!(made.iter().map(|made| made.size).collect::<Vec<_>>(), sizes);
        assert!(made.iter().all(|made| made.width == made.size));
    }
}

#[test]
fn each_of_the_eight_orientations_is_shown_upright() {
    // How the quarters of the stored picture are seen, by the number of its EXIF.
    let seen = [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
        (0, [RED, GREEN, BLUE, WHITE]),
        (9, [RED, GREEN, BLUE, WHITE]),
    ];
    let pixels = quarters(1_000, 600);
    for (number, wanted) in seen {
        let in_jpeg = Jpeg { exif: Some(exif(number)), ..Jpeg::default() }.of(&pixels);
        let in_png = Png::of(&pixels, &png_chunk(b"eXIf", &exif(number)));
        let in_webp = webp_lossless(&pixels, None, Some(exif(number)));
        for (kind, file) in [("jpeg", in_jpeg), ("png", in_png), ("webp", in_webp)] {
            let made = both(&file).unwrap();
            let size = if (5..=8).contains(&number) { (480, 800) } else { (800, 480) };
            assert_eq!((made[1].width, made[1].height), size, "{kind} {number}");
            made.iter().for_each(|made| assert_quarters(&decoded(made), wanted, &format!("{kind} {number}")));
        }
    }
}

#[test]
fn exif_that_leads_nowhere_changes_nothing() {
    let endless = b"MM\0*\0\0\0\x08\xff\xff".to_vec();
    let beyond = b"II*\0\xff\xff\xff\xff".to_vec();
    for exif in [endless, beyond, b"MM\0*".to_vec(), b"none".to_vec(), exif(6)[..19].to_vec()] {
        let file = Jpeg { exif: Some(exif), ..Jpeg::default() }.of(&quarters(400, 300));
        assert_quarters(&decoded(&both(&file).unwrap()[1]), [RED, GREEN, BLUE, WHITE], "broken exif");
    }
}

#[test]
fn transparency_is_kept() {
    let pixels = Pixels::of(900, 600, |x, _| if x < 300 { [200, 20, 20, 255] } else { [20, 20, 200, 90] });
    let lossless = webp_lossless(&pixels, None, None);
    let grey_values = Pixels::of(900, 600, |x, _| if x < 300 { [200, 255] } else { [20, 90] });
    for (file, left, right) in [
        (png(&pixels), [200, 20, 20, 255], [20, 20, 200, 90]),
        (Png::interlaced(&pixels), [200, 20, 20, 255], [20, 20, 200, 90]),
        (webp(&pixels), [200, 20, 20, 255], [20, 20, 200, 90]),
        (lossless, [200, 20, 20, 255], [20, 20, 200, 90]),
        (png(&grey_values), [200, 200, 200, 255], [20, 20, 20, 90]),
    ] {
        for thumbnail in both(&file).unwrap() {
            let seen = decoded(&thumbnail);
            assert_eq!(seen.channels, 4);
            assert!(thumbnail.webp.windows(4).any(|name| name == b"VP8 "), "lossy, with alpha");
            assert!(is_near(seen.at(seen.width / 6, 9), &left), "{:?}", seen.at(seen.width / 6, 9));
            assert!(is_near(seen.at(seen.width * 5 / 6, 9), &right), "{:?}", seen.at(seen.width * 5 / 6, 9));
        }
    }
}

#[test]
fn an_opaque_picture_with_an_alpha_channel_has_none_in_its_thumbnail() {
    let made = both(&png(&Pixels::plain(900, 600, &[90, 90, 90, 255]))).unwrap();
    made.iter().for_each(|made| assert_eq!(&made.webp[12..16], b"VP8 "));
}

#[test]
fn the_colour_of_what_cannot_be_seen_does_not_bleed_into_what_can() {
    // Red stripes; between them nothing, whose hidden colour is bright green.
    let pixels = Pixels::of(2_000, 1_000, |x, _| if x % 4 < 2 { [255, 0, 0, 255] } else { [0, 255, 0, 0] });
    for thumbnail in both(&png(&pixels)).unwrap() {
        let seen = decoded(&thumbnail);
        let greenest = seen.values.chunks(4).filter(|pixel| pixel[3] > 30).map(|pixel| pixel[1]).max().unwrap();
        assert!(greenest < 60, "{greenest}");
    }
}

#[test]
fn of_an_animated_gif_the_first_frame_is_shown_where_it_lies_on_its_screen() {
    let first = (100, 50, 100, 100, vec![0; 100 * 100]);
    let second = (0, 0, 400, 200, vec![2; 400 * 200]);
    let seen = decoded(&both(&gif(400, 200, &[first, second])).unwrap()[1]);
    assert_eq!((seen.width, seen.height, seen.channels), (400, 200, 4));
    assert!(is_near(seen.at(150, 100), &[220, 30, 30, 255]));
    for (x, y) in [(50, 100), (250, 100), (150, 25), (150, 175)] {
        assert_eq!(seen.at(x, y)[3], 0, "nothing is at {x}, {y}");
    }
}

#[test]
fn a_transparent_index_of_a_gif_is_transparent() {
    let indices = (0..100).flat_map(|_| (0..100).map(|x| if x < 50 { 1 } else { 4 })).collect();
    let seen = decoded(&both(&gif(100, 100, &[(0, 0, 100, 100, indices)])).unwrap()[1]);
    assert!(is_near(seen.at(20, 50), &[30, 180, 30, 255]));
    assert_eq!(seen.at(80, 50)[3], 0);
}

#[test]
fn of_an_animated_webp_the_first_frame_is_shown_where_it_lies_on_its_canvas() {
    let frames = [(100, 50, Pixels::plain(100, 100, &RED)), (0, 0, Pixels::plain(400, 200, &BLUE))];
    let seen = decoded(&both(&webp_animated(400, 200, &frames)).unwrap()[1]);
    assert_eq!((seen.width, seen.height), (400, 200));
    assert!(is_near(seen.at(150, 100), &[220, 30, 30, 255]), "{:?}", seen.at(150, 100));
    assert_eq!(seen.at(50, 100)[3], 0);
}

#[test]
fn of_an_animated_png_the_default_image_is_shown() {
    let pixels = quarters(300, 200);
    let mut control = 1_u32.to_be_bytes().to_vec();
    control.extend_from_slice(&0_u32.to_be_bytes());
    let mut frame = 0_u32.to_be_bytes().to_vec();
    for number in [300_u32, 200, 0, 0] {
        frame.extend_from_slice(&number.to_be_bytes());
    }
    frame.extend_from_slice(&[0, 1, 0, 10, 0, 0]);
    let chunks = [png_chunk(b"acTL", &control), png_chunk(b"fcTL", &frame)].concat();
    let seen = decoded(&both(&Png::of(&pixels, &chunks)).unwrap()[1]);
    assert_quarters(&seen, [RED, GREEN, BLUE, WHITE], "apng");
}

#[test]
fn a_thumbnail_holds_pixels_and_nothing_of_where_and_with_what_they_were_taken() {
    let icc = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let pixels = quarters(900, 600);
    let text = png_chunk(b"tEXt", b"Comment\0taken at home");
    for file in [
        Jpeg { icc: Some(icc.clone()), exif: Some(exif(1)), ..Jpeg::default() }.of(&pixels),
        Png::of(&pixels, &[png_chunk(b"eXIf", &exif(1)), text].concat()),
        webp_lossless(&pixels, Some(icc), Some(exif(1))),
    ] {
        for thumbnail in both(&file).unwrap() {
            // One chunk of pixels, as long as the file is.
            let length = u32::from_le_bytes(thumbnail.webp[16..20].try_into().unwrap()) as usize;
            assert_eq!(&thumbnail.webp[12..16], b"VP8 ");
            assert_eq!(thumbnail.webp.len(), 20 + length.next_multiple_of(2));
        }
    }
}

#[test]
fn a_photograph_of_five_megabytes_weighs_at_most_two_hundred_kilobytes_at_800_pixels() {
    let pixels = photograph(4_000, 3_000, 1);
    let file = Jpeg { quality: 92, sampling: SamplingFactor::R_4_2_0, ..Jpeg::default() }.of(&pixels);
    assert!((5_000_000..8_000_000).contains(&file.len()), "{} bytes", file.len());
    let made = both(&file).unwrap();
    assert_eq!((made[1].width, made[1].height), (800, 600));
    println!("{} bytes -> {} and {}", file.len(), made[0].webp.len(), made[1].webp.len());
    assert!(made[1].webp.len() <= 200_000, "{} bytes", made[1].webp.len());
    assert!(made[0].webp.len() <= 30_000, "{} bytes", made[0].webp.len());
}

#[test]
fn what_weighs_too_much_at_the_usual_quality_is_encoded_at_a_lower_one() {
    for pixels in [noise(800, 800, 3), photograph(800, 800, 2), noise(1_600, 1_600, 3)] {
        let made = both(&png(&pixels)).unwrap();
        println!("{} bytes", made[1].webp.len());
        assert!(made[1].webp.len() <= THUMBNAIL_BYTES_MAX, "{} bytes", made[1].webp.len());
    }
    // Nothing makes noise of transparency small; it is no transparency that anybody draws.
    let made = both(&png(&noise(800, 800, 4))).unwrap();
    assert!(made[1].webp.len() <= THUMBNAIL_BYTES_MAX * 3 / 2, "{} bytes", made[1].webp.len());
}
