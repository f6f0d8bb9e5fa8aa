//! Whatever the bytes are: an answer, and never a panic of ours, a thumbnail too large, or a reason without a word.

use image_sync::picture::{PIXELS_MAX, Refused, inspect, thumbnails};
use proptest::prelude::*;

use crate::made::Spooled;
use crate::refusals::samples;

/// How many cases a property tries: in full under `make soak`, a share of it under `make test`.
#[expect(clippy::disallowed_methods, reason = "tests choose their length by the environment")]
fn cases(share: u32, full: u32) -> ProptestConfig {
    let cases = if std::env::var("SAMPAN_SOAK").is_ok() { full } else { share };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// What must hold of any bytes. Says whether they were a picture.
fn holds(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let file = Spooled::of(bytes);
    let answered = inspect(file.content()).and_then(|picture| {
        assert!(u64::from(picture.width) * u64::from(picture.height) <= PIXELS_MAX);
        let made = thumbnails(file.content(), &picture, &[200, 800])?;
        Ok((picture, made))
    });
    match answered {
        Ok((picture, made)) => {
            prop_assert_eq!(made.len(), 2);
            for thumbnail in &made {
                prop_assert!(thumbnail.width.max(thumbnail.height) <= thumbnail.size);
                prop_assert!(thumbnail.width.max(thumbnail.height) <= picture.width.max(picture.height));
                prop_assert_eq!(&thumbnail.webp[8..12], b"WEBP");
            }
            Ok(true)
        }
        Err(Refused::Unreadable(error)) => Err(TestCaseError::fail(format!("unreadable: {error}"))),
        Err(refused) => {
            prop_assert!(refused.to_string().starts_with(refused.word()));
            Ok(false)
        }
    }
}

/// A change of a file: where, as a share of its length, and what.
#[derive(Debug, Clone)]
enum Change {
    Set(u16, u8),
    Flip(u16, u8),
    Cut(u16, u16),
    Double(u16, u16),
    Insert(u16, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    // Half of the changes fall into the first bytes, where the headers are.
    let place = prop_oneof![0..2_000_u16, any::<u16>()];
    prop_oneof![
        4 => (place.clone(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        4 => (place.clone(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        1 => (place.clone(), 1..200_u16).prop_map(|(at, count)| Change::Cut(at, count)),
        1 => (place.clone(), 1..200_u16).prop_map(|(at, count)| Change::Double(at, count)),
        1 => (place, prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

fn changed(mut file: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = file.len();
        let place = |at: u16| usize::from(at) * length / 65_536;
        let span = |at: u16, count: u16| place(at)..(place(at) + usize::from(count)).min(length);
        match change {
            Change::Set(at, value) => file[place(*at)] = *value,
            Change::Flip(at, bit) => file[place(*at)] ^= 1 << bit,
            Change::Cut(at, count) => drop(file.drain(span(*at, *count))),
            Change::Double(at, count) => {
                let part = file[span(*at, *count)].to_vec();
                file.splice(place(*at)..place(*at), part);
            }
            Change::Insert(at, bytes) => drop(file.splice(place(*at)..place(*at), bytes.iter().copied())),
        }
        if file.is_empty() {
            break;
        }
    }
    file
}

#[test]
fn random_bytes_are_answered_whatever_mark_they_begin_with() {
    let marks: [&'static [u8]; 6] = [
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"GIF89a",
        b"RIFF\xff\0\0\0WEBPVP8 ",
        b"RIFF\xff\0\0\0WEBPVP8X",
    ];
    proptest!(cases(256, 20_000), |(mark in prop::sample::select(marks.to_vec()), rest in prop::collection::vec(any::<u8>(), 0..2_000))| {
        holds(&[mark, &rest].concat())?;
    });
}

#[test]
fn a_changed_picture_is_refused_or_shown() {
    let samples = samples();
    proptest!(cases(400, 30_000), |(sample in 0..samples.len(), changes in prop::collection::vec(change(), 1..6))| {
        holds(&changed(samples[sample].1.clone(), &changes))?;
    });
}

#[test]
fn an_unchanged_picture_is_shown() {
    for (kind, file) in samples() {
        assert!(holds(&file).unwrap(), "{kind}");
    }
}
