//! What a file is, by its content: its name and what a server said of it do not count.

use super::bytes::Bytes;
use super::{Format, LooksLike, Refused};

/// How much of a file is looked at to tell what it is: a declaration, a licence comment and the first tag of a page.
const HEAD_BYTES: usize = 1_024;
/// The end of a ZIP archive without a comment, wherever the archive begins.
const ZIP_END_BYTES: u64 = 22;

/// Formats of pictures that browsers or cameras use and we do not read: where their mark stands, and what it is.
const UNSUPPORTED: [(usize, &[u8], &str); 13] = [
    (0, b"BM", "a BMP"),
    (0, b"II*\0", "a TIFF"),
    (0, b"MM\0*", "a TIFF"),
    (0, b"\0\0\x01\0", "an icon"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (4, b"ftypavif", "an AVIF"),
    (4, b"ftypavis", "an AVIF"),
    (4, b"ftyphei", "a HEIC"),
    (4, b"ftypmif1", "a HEIC"),
    (4, b"ftyp", "a video"),
];

/// Files that are no pictures, by how they begin.
const OTHERS: [(&[u8], LooksLike); 10] = [
    (b"PK\x03\x04", LooksLike::Archive),
    (b"PK\x05\x06", LooksLike::Archive),
    (b"Rar!", LooksLike::Archive),
    (b"7z\xbc\xaf\x27\x1c", LooksLike::Archive),
    (b"\x1f\x8b", LooksLike::Archive),
    (b"%PDF-", LooksLike::Document),
    (b"MZ", LooksLike::Program),
    (b"\x7fELF", LooksLike::Program),
    (b"#!", LooksLike::Program),
    (b"<?php", LooksLike::Program),
];

/// What pages hold near their beginning, and error pages without a proper one.
const PAGE_TAGS: [&[u8]; 11] = [
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<body",
    b"<script",
    b"<title",
    b"<meta",
    b"<div",
    b"<center",
    b"<h1",
    b"<p>",
];

/// The format of a file, from its first bytes.
pub(super) fn format(bytes: &mut Bytes) -> Result<Format, Refused> {
    let head = bytes.peek(HEAD_BYTES)?;
    if let Some(format) = Format::of(&head) {
        return Ok(format);
    }
    let mark = |(at, mark, _): &&(usize, &[u8], &str)| head.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    match UNSUPPORTED.iter().find(mark) {
        Some((_, _, what)) => Err(Refused::Unsupported(what)),
        None => Err(Refused::NotAnImage(LooksLike::of(&head))),
    }
}

/// Refuses a picture that another file follows: a reader that looks for that one would find it. Bytes without a meaning,
/// and what cameras append, may follow.
pub(super) fn nothing_else_follows(mut bytes: Bytes) -> Result<(), Refused> {
    let next = bytes.peek(HEAD_BYTES)?;
    let next = next.trim_ascii_start();
    match LooksLike::of(next) {
        LooksLike::Empty | LooksLike::Unknown | LooksLike::Json => {}
        other @ (LooksLike::Html | LooksLike::Svg | LooksLike::Xml) => return Err(Refused::Polyglot(other)),
        other @ (LooksLike::Archive | LooksLike::Document | LooksLike::Program) => {
            return Err(Refused::Polyglot(other));
        }
    }
    if bytes.remaining() >= ZIP_END_BYTES && bytes.tail(ZIP_END_BYTES)?.starts_with(b"PK\x05\x06") {
        return Err(Refused::Polyglot(LooksLike::Archive));
    }
    Ok(())
}

impl LooksLike {
    /// What so beginning bytes look like.
    fn of(head: &[u8]) -> Self {
        if let Some((_, known)) = OTHERS.iter().find(|(mark, _)| head.starts_with(mark)) {
            return *known;
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        match text.first() {
            None => Self::Empty,
            Some(b'<') => Self::of_markup(&text.to_ascii_lowercase()),
            Some(b'{' | b'[') => Self::Json,
            Some(_) => Self::Unknown,
        }
    }

    fn of_markup(text: &[u8]) -> Self {
        let holds = |tag: &[u8]| text.windows(tag.len()).any(|window| window == tag);
        let is_page = PAGE_TAGS.iter().any(|tag| holds(tag));
        let is_drawing = holds(b"<svg") && !text.starts_with(b"<!doctype html") && !holds(b"<html");
        if is_drawing {
            Self::Svg
        } else if is_page {
            Self::Html
        } else if text.starts_with(b"<?xml") {
            Self::Xml
        } else {
            Self::Unknown
        }
    }
}
