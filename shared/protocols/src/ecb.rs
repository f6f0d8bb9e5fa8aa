//! The euro reference rates of the European Central Bank: units of each currency for one euro, by day.
//!
//! `Envelope` / `Cube` / `Cube time='YYYY-MM-DD'` / `Cube currency='USD' rate='1.0705'`; the daily file has one day,
//! the historical ones many. Source: www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml.

use domain::{Currency, ReferenceRates};
use time::Date;
use time::macros::format_description;

/// The namespace of the cubes.
const NAMESPACE: &str = "http://www.ecb.int/vocabulary/2002-08-01/eurofxref";
/// The largest file that is read, in bytes: twice the file of the last 90 days, which has about 130 KiB.
pub const FILE_BYTES_MAX: usize = 256 * 1_024;

/// Why a file holds no rates. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRates {
    /// Not XML.
    #[error("the reference rates are not XML")]
    Xml,
    /// A day that is no date, or a rate that is not a positive decimal.
    #[error("the reference rates hold a day or a rate that is none")]
    Value,
    /// No day with a rate.
    #[error("the reference rates are empty")]
    Empty,
}

/// Reads a file of reference rates. A currency that we do not know is left out; a rate that is none spoils the file,
/// because nothing else in it can be trusted then.
pub fn read(text: &str) -> Result<ReferenceRates, NotRates> {
    let document = roxmltree::Document::parse(text).map_err(|_| NotRates::Xml)?;
    let mut rates = ReferenceRates::default();
    let cubes = document.descendants().filter(|node| node.has_tag_name((NAMESPACE, "Cube")));
    for day in cubes {
        let Some(time) = day.attribute("time") else { continue };
        let date = Date::parse(time, format_description!("[year]-[month]-[day]")).map_err(|_| NotRates::Value)?;
        for cube in day.children().filter(|node| node.has_tag_name((NAMESPACE, "Cube"))) {
            let (code, value) = cube.attribute("currency").zip(cube.attribute("rate")).ok_or(NotRates::Value)?;
            let per_euro = domain::rate::rate_value(value).map_err(|_| NotRates::Value)?;
            if let Ok(currency) = Currency::from_code(code) {
                rates.publish(date, currency, per_euro);
            }
        }
    }
    if rates.is_empty() { Err(NotRates::Empty) } else { Ok(rates) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::UnixMillis;

    fn file(days: &str) -> String {
        format!(
            "<gesmes:Envelope xmlns:gesmes=\"http://www.gesmes.org/xml/2002-08-01\" xmlns=\"{NAMESPACE}\"><Cube>{days}</Cube></gesmes:Envelope>"
        )
    }

    #[test]
    fn several_days_are_read_and_unknown_currencies_are_left_out() {
        let days = "<Cube time='2026-11-19'><Cube currency='USD' rate='1.1'/></Cube>\
                    <Cube time='2026-11-20'><Cube currency='USD' rate='1.2'/><Cube currency='ZZZ' rate='9'/></Cube>";
        let rates = read(&file(days)).unwrap();
        let now = UnixMillis::from_rfc3339("2026-11-21T08:00:00Z").unwrap();
        let rate = rates.rate(Currency::EUR, Currency::from_code("USD").unwrap(), now).unwrap();
        assert_eq!((rate.value().to_string(), rate.date().to_string()), ("1.2".to_owned(), "2026-11-20".to_owned()));
    }

    #[test]
    fn what_is_no_rate_spoils_the_file() {
        for value in ["0", "-1", "1e3", "NaN", "", " 1", "1,1", "99999999999999999999"] {
            let day = format!("<Cube time='2026-11-20'><Cube currency='USD' rate='{value}'/></Cube>");
            assert_eq!(read(&file(&day)), Err(NotRates::Value), "{value}");
        }
        for day in
            ["<Cube time='2026-02-30'/>", "<Cube time='today'/>", "<Cube time='2026-11-20'><Cube rate='1'/></Cube>"]
        {
            assert_eq!(read(&file(day)), Err(NotRates::Value), "{day}");
        }
        for day in ["", "<Cube time='2026-11-20'/>", "<Cube currency='USD' rate='1'/>"] {
            assert_eq!(read(&file(day)), Err(NotRates::Empty), "{day}");
        }
    }

    #[test]
    fn what_is_not_plain_xml_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"b\"><!ENTITY c \"&b;&b;&b;\">]><a>&c;</a>";
        for text in ["", "rates", "<html>", bomb, "{\"USD\": 1}"] {
            assert_eq!(read(text), Err(NotRates::Xml), "{text}");
        }
    }
}
