//! What the readers of both marketplaces ask of a field besides its form.

use serde_json::value::RawValue;

use super::{Answer, ListPage, Listed, NotRead};
use crate::answers::{Reason, Scalar, given, malformed};

/// A page of a list, by how a row of it and a row's owner are read. A row that cannot be read is in the page as such, and
/// harms no other; it still names its owner.
pub(crate) fn page<Id>(
    total: Option<&Scalar>,
    rows: &[&RawValue],
    owner: fn(&str) -> Option<String>,
    read_row: fn(&str) -> Result<Listed<Id>, Reason>,
) -> Result<Answer<ListPage<Id>>, NotRead> {
    let total = given(total).and_then(|total| total.parse().ok());
    let total = total.ok_or_else(|| NotRead::Unreadable("a list that does not say how long it is".to_owned()))?;
    let mut page = ListPage { total, rows: Vec::with_capacity(rows.len()), malformed: Vec::new() };
    for row in rows {
        match read_row(row.get()) {
            Ok(listed) => page.rows.push(listed),
            Err(reason) => page.malformed.push(malformed(row.get(), reason)),
        }
    }
    Ok(Answer::new(page, rows.iter().filter_map(|row| owner(row.get()))))
}

/// An id that is a number, by its digits alone: `2.8E17` went through floating point and has lost some.
pub(crate) fn digits(scalar: Option<&Scalar>) -> Option<&str> {
    given(scalar).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// As much of a word as fits, without control characters and cut between two characters: for words and names that
/// nothing is found by.
pub(crate) fn clipped<T, E>(
    text: &str,
    bytes_max: usize,
    new: impl FnOnce(String) -> Result<T, E>,
    reason: Reason,
) -> Result<T, Reason> {
    let shown = text.chars().filter(|char| !char.is_control());
    let fitting = shown.scan(0_usize, |bytes, char| {
        *bytes = bytes.saturating_add(char.len_utf8());
        (*bytes <= bytes_max).then_some(char)
    });
    new(fitting.collect()).map_err(|_| reason)
}

#[cfg(test)]
mod tests {
    use domain::Carrier;

    use super::*;

    #[test]
    fn an_id_that_lost_digits_is_none() {
        let is_id = |json: &str| digits(Some(&serde_json::from_str(json).unwrap())).is_some();
        assert!(is_id("289749893210214687") && is_id(r#""58218860983545941""#));
        for json in ["2.89749893210214687E17", "-1", "1.0", "true", r#""a b""#, r#""""#] {
            assert!(!is_id(json), "{json}");
        }
    }

    #[test]
    fn a_name_is_cut_between_characters() {
        let carrier = |text: &str| clipped(text, Carrier::BYTES_MAX, Carrier::new, "no name").map(String::from);
        assert_eq!(carrier(&"\u{4e2d}".repeat(20)), Ok("\u{4e2d}".repeat(10)));
        assert_eq!(carrier("\u{0}"), Err("no name"));
    }
}
