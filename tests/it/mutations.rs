//! What strangers do to good requests: seeded mutations of bytes, and pieces that parsers trip over.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lambda::http::{ApiEvent, Request};

use crate::support::Dice;

/// Choices of bytes.
pub trait ByteDice {
    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T;
    fn stretch(&mut self, length: usize, bytes_max: usize) -> std::ops::Range<usize>;
}

impl ByteDice for Dice {
    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// A stretch of a text of this length, at most so long.
    fn stretch(&mut self, length: usize, bytes_max: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(bytes_max + 1)).min(length)
    }
}

/// Pieces that parsers trip over.
const PIECES: [&[u8]; 34] = [
    b"\0",
    b"\\u0000",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"\\udfff\\ud800",
    b"\xef\xbf\xbe",
    b"\xef\xbf\xbf",
    b"\\ufffe",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"{}",
    b"\"\"",
    b"%",
    b"%00",
    b"%2e%2e%2f",
    b"../",
    b"&",
    b"=",
    b"+",
    b";",
    b"\r\n",
    b"\xe2\x80\xae",
];

/// What may stand in the place of a number.
const NUMBERS: [&[u8]; 16] = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999999",
    b"-1e-999999",
    b"-1",
    b"-0",
    b"1.5",
    b"0.1e1",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"253402300800000",
    b"00",
    b"0x10",
];

/// Changes the bytes in one to four ways.
pub fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=dice.below(4) {
        mutate_once(dice, bytes, others);
    }
}

fn mutate_once(dice: &mut Dice, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let place = dice.below(bytes.len() + 1);
    match dice.below(10) {
        0 if !bytes.is_empty() => bytes[place.saturating_sub(1)] ^= 1 << dice.below(8),
        1 => bytes.truncate(place),
        2 => insert(bytes, place, dice.pick(&PIECES)),
        3 => {
            let copied = bytes[dice.stretch(bytes.len(), 64)].to_vec();
            insert(bytes, place, &copied);
        }
        4 => {
            let other = &others[dice.below(others.len())];
            bytes.truncate(place);
            bytes.extend_from_slice(&other[dice.below(other.len())..]);
        }
        5 => drop(bytes.splice(dice.stretch(bytes.len(), 32), [])),
        6 => renumber(dice, bytes),
        7 => {
            let (bracket, depth) = (dice.pick(&[&b"["[..], b"{\"a\":", b"\"", b"{"]), 1 << dice.below(14));
            insert(bytes, place, &bracket.repeat(depth));
        }
        8 => insert(bytes, place, &vec![b'A'; 1 << dice.below(17)]),
        _ => {
            let noise: Vec<u8> = (0..=dice.below(16)).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
            insert(bytes, place, &noise);
        }
    }
}

fn insert(bytes: &mut Vec<u8>, place: usize, piece: &[u8]) {
    bytes.splice(place..place, piece.iter().copied());
}

/// Puts something else in the place of one of the numbers, bare or in its quotes.
fn renumber(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let is_start = |at: &usize| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[*at - 1].is_ascii_alphanumeric());
    let starts: Vec<usize> = (0..bytes.len()).filter(is_start).collect();
    if let Some(start) = starts.get(dice.below(starts.len())) {
        let digits = bytes[*start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = dice.pick(&NUMBERS);
        bytes.splice(*start..*start + digits, number.iter().copied());
    }
}

/// Changes a text; what is no UTF-8 then becomes what a gateway makes of it.
pub fn mutate_text(dice: &mut Dice, text: &mut String) {
    let mut bytes = std::mem::take(text).into_bytes();
    mutate(dice, &mut bytes, &[b"/webhooks/1688/demo".to_vec(), b"v1,AAAA v1,BBBB".to_vec()]);
    *text = String::from_utf8_lossy(&bytes).into_owned();
}

/// Changes one part of a request that was signed before.
pub fn tamper(dice: &mut Dice, request: &mut Request, others: &[Vec<u8>]) {
    match dice.below(8) {
        0 => mutate_text(dice, &mut request.path),
        1 => mutate_text(dice, &mut request.query),
        2 => mutate_text(dice, &mut request.method),
        3 | 4 => {
            let header = dice.below(request.headers.len());
            let (name, value) = &mut request.headers[header];
            let part = if dice.below(4) == 0 { name } else { value };
            mutate_text(dice, part);
        }
        _ => mutate(dice, request.body.as_mut().unwrap(), others),
    }
}

/// The same request as API Gateway hands it over.
pub fn through_gateway(request: Request) -> Request {
    let body = request.body.unwrap();
    let (body, is_base64) = match String::from_utf8(body) {
        Ok(text) => (text, false),
        Err(error) => (BASE64_STANDARD.encode(error.into_bytes()), true),
    };
    let event = serde_json::json!({
        "version": "2.0", "rawPath": request.path, "rawQueryString": request.query,
        "headers": request.headers.into_iter().collect::<BTreeMap<_, _>>(),
        "requestContext": {"http": {"method": request.method, "sourceIp": "192.0.2.1"}},
        "body": body, "isBase64Encoded": is_base64,
    });
    let event: ApiEvent = serde_json::from_str(&event.to_string()).unwrap();
    Request::new(event, request.request_id)
}

/// Lists within lists, so deep.
pub fn deep(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// The object with more fields before its own.
pub fn with(json: &str, more: &str) -> String {
    json.replacen('{', &format!("{{{more},"), 1)
}

/// The object with a field that nobody reads, 100,000 deep.
pub fn deepened(json: &str) -> String {
    with(json, &format!("\"x\":{}", deep(100_000)))
}
