//! Exchange rates: where one comes from, how it converts, and when it is too old.
//!
//! The rule of rounding, here and nowhere else: an amount is multiplied by the rate exactly, and rounded once,
//! to the minor unit of the target, a half to the even neighbour. A cross rate has [`DIGITS`] significant
//! digits, rounded the same way.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use time::{Date, Duration, OffsetDateTime};

use crate::money::{Currency, InvalidMoney, Money};
use crate::time::UnixMillis;

/// Significant digits of a cross rate. With fifteen, an amount of up to a hundred trillion minor units converts as by
/// the exact quotient, to the minor unit or its neighbour.
pub const DIGITS: u32 = 15;
/// The largest mantissa of a rate that we take from outside: eighteen digits.
const MANTISSA_MAX: i128 = 1_000_000_000_000_000_000;
/// After how many days a day's rates are stale. The ECB publishes on the working days of TARGET; its longest
/// pause, over Easter, has five days between two publications.
pub const STALE_AFTER_DAYS: i64 = 7;

/// Who published a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RateSource {
    /// The European Central Bank's euro reference rates.
    Ecb,
    /// Nobody had to: both currencies are one.
    Identity,
}

impl RateSource {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ecb, Self::Identity];

    /// The name in items and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ecb => "ECB",
            Self::Identity => "identity",
        }
    }

    /// The source of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

/// How many units of `to` one unit of `from` is worth, in major units; who said so, of which day, and when we took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    from: Currency,
    to: Currency,
    value: Decimal,
    source: RateSource,
    date: Date,
    captured_at: UnixMillis,
}

/// Why something is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rate is not a positive decimal of at most 18 digits")]
pub struct InvalidRate;

/// Reads a rate's value: a positive decimal of at most eighteen digits.
pub fn rate_value(text: &str) -> Result<Decimal, InvalidRate> {
    let value = crate::money::decimal(text).map_err(|_| InvalidRate)?.normalize();
    if value.is_zero() || value.mantissa() >= MANTISSA_MAX { Err(InvalidRate) } else { Ok(value) }
}

impl Rate {
    /// A rate that was kept, from its parts.
    pub fn kept(
        (from, to): (Currency, Currency),
        value: &str,
        (source, date): (RateSource, Date),
        captured_at: UnixMillis,
    ) -> Result<Self, InvalidRate> {
        Ok(Self { from, to, value: rate_value(value)?, source, date, captured_at })
    }

    /// One to one, for an order that is priced and charged in one currency.
    pub fn identity(currency: Currency, captured_at: UnixMillis) -> Self {
        let (value, date) = (Decimal::ONE, day(captured_at));
        Self { from: currency, to: currency, value, source: RateSource::Identity, date, captured_at }
    }

    /// The currency that it converts from.
    pub const fn from(&self) -> Currency {
        self.from
    }

    /// The currency that it converts to.
    pub const fn to(&self) -> Currency {
        self.to
    }

    /// Units of `to` for one unit of `from`.
    pub const fn value(&self) -> Decimal {
        self.value
    }

    /// Who published it.
    pub const fn source(&self) -> RateSource {
        self.source
    }

    /// The day that it was published for.
    pub const fn date(&self) -> Date {
        self.date
    }

    /// When we took it.
    pub const fn captured_at(&self) -> UnixMillis {
        self.captured_at
    }

    /// An amount of `from` in `to`.
    pub fn convert(&self, amount: Money) -> Result<Money, InvalidMoney> {
        if amount.currency() != self.from {
            return Err(InvalidMoney::Mixed);
        }
        let (over, under) = self.fraction().ok_or(InvalidMoney::OutOfRange)?;
        times(amount, over, under, self.to)
    }

    /// An amount of `to` in `from`: divided by the very same rate.
    pub fn convert_back(&self, amount: Money) -> Result<Money, InvalidMoney> {
        if amount.currency() != self.to {
            return Err(InvalidMoney::Mixed);
        }
        let (over, under) = self.fraction().ok_or(InvalidMoney::OutOfRange)?;
        times(amount, under, over, self.from)
    }

    /// Minor units of `to` for one minor unit of `from`, as a fraction with no common power of ten.
    fn fraction(&self) -> Option<(i128, i128)> {
        let (more, less) = (self.to.exponent(), self.value.scale().checked_add(self.from.exponent())?);
        let common = more.min(less);
        let over = self.value.mantissa().checked_mul(10_i128.checked_pow(more.checked_sub(common)?)?)?;
        Some((over, 10_i128.checked_pow(less.checked_sub(common)?)?))
    }

    /// Whether it differs from what the customer was shown by at most so many per cent of that.
    pub fn is_within(&self, shown: Decimal, tolerance_percent: Decimal) -> bool {
        let difference = self.value.checked_sub(shown).map(|difference| difference.abs());
        let moved = difference.and_then(|difference| difference.checked_mul(Decimal::ONE_HUNDRED));
        let allowed = shown.checked_mul(tolerance_percent);
        moved.zip(allowed).is_some_and(|(moved, allowed)| moved <= allowed)
    }
}

/// `amount * over / under`, rounded once.
fn times(amount: Money, over: i128, under: i128, currency: Currency) -> Result<Money, InvalidMoney> {
    let product = i128::from(amount.minor()).checked_mul(over).ok_or(InvalidMoney::OutOfRange)?;
    let minor = divide_half_even(product, under).ok_or(InvalidMoney::OutOfRange)?;
    Money::new(i64::try_from(minor).map_err(|_| InvalidMoney::OutOfRange)?, currency)
}

/// The quotient of two numbers that are not negative, a half rounded to the even neighbour.
fn divide_half_even(over: i128, under: i128) -> Option<i128> {
    let (quotient, rest) = (over.checked_div(under)?, over.checked_rem(under)?);
    let is_up = match rest.cmp(&under.checked_sub(rest)?) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient.checked_rem(2)? == 1,
        std::cmp::Ordering::Greater => true,
    };
    quotient.checked_add(i128::from(is_up))
}

/// The day of a moment, in UTC. The ECB's day begins one or two hours earlier, when nothing is published.
fn day(at: UnixMillis) -> Date {
    OffsetDateTime::from_unix_timestamp(at.seconds()).map_or(Date::MIN, OffsetDateTime::date)
}

/// Units of each currency for one euro, by day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferenceRates(BTreeMap<Date, BTreeMap<Currency, Decimal>>);

/// Why there is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRate {
    /// A currency has no reference rate on a day that has others.
    #[error("a currency has no reference rate")]
    Unlisted,
    /// No day is recent enough.
    #[error("the newest reference rates are stale")]
    Stale,
}

impl ReferenceRates {
    /// Takes in what was published: units of a currency for one euro, on a day.
    pub fn publish(&mut self, date: Date, currency: Currency, per_euro: Decimal) {
        self.0.entry(date).or_default().insert(currency, per_euro);
    }

    /// Whether nothing was published.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rate between two currencies at a time: of the newest day that is not later.
    pub fn rate(&self, from: Currency, to: Currency, now: UnixMillis) -> Result<Rate, NoRate> {
        if from == to {
            return Ok(Rate::identity(from, now));
        }
        let today = day(now);
        let (date, per_euro) = self.0.range(..=today).next_back().ok_or(NoRate::Stale)?;
        if today - *date > Duration::days(STALE_AFTER_DAYS) {
            return Err(NoRate::Stale);
        }
        let of = |currency| match currency == Currency::EUR {
            true => Ok(Decimal::ONE),
            false => per_euro.get(&currency).copied().ok_or(NoRate::Unlisted),
        };
        let value = cross(of(from)?, of(to)?).ok_or(NoRate::Unlisted)?;
        Ok(Rate { from, to, value, source: RateSource::Ecb, date: *date, captured_at: now })
    }
}

/// `to / from` with [`DIGITS`] significant digits. `None` for a quotient that no rate can be.
fn cross(from: Decimal, to: Decimal) -> Option<Decimal> {
    let over = to.mantissa().checked_mul(10_i128.checked_pow(from.scale())?)?;
    let under = from.mantissa().checked_mul(10_i128.checked_pow(to.scale())?)?;
    let enough = 10_i128.checked_pow(DIGITS.checked_sub(1)?)?;
    for scale in 0..=Decimal::MAX_SCALE {
        let value = divide_half_even(over.checked_mul(10_i128.checked_pow(scale)?)?, under)?;
        if value >= enough {
            return Decimal::try_from_i128_with_scale(value, scale).ok().map(|value| value.normalize());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    /// 2026-11-21T08:00:00Z, a Saturday.
    fn now() -> UnixMillis {
        UnixMillis::new(1_795_248_000_000).unwrap()
    }

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    fn published(days: &[(Date, &[(&str, &str)])]) -> ReferenceRates {
        let mut rates = ReferenceRates::default();
        for (date, of_day) in days {
            for (code, value) in *of_day {
                rates.publish(*date, currency(code), rate_value(value).unwrap());
            }
        }
        rates
    }

    fn rate(from: &str, to: &str, value: &str) -> Rate {
        let source = (RateSource::Ecb, date!(2026 - 11 - 20));
        Rate::kept((currency(from), currency(to)), value, source, now()).unwrap()
    }

    fn convert(rate: &Rate, minor: i64) -> i64 {
        rate.convert(Money::new(minor, rate.from()).unwrap()).unwrap().minor()
    }

    #[test]
    fn the_newest_day_that_is_not_later_is_taken_until_it_is_stale() {
        let days: [(Date, &[(&str, &str)]); 3] = [
            (date!(2026 - 11 - 19), &[("USD", "1.1")]),
            (date!(2026 - 11 - 20), &[("USD", "1.2")]),
            (date!(2026 - 11 - 23), &[("USD", "1.3")]),
        ];
        let rates = published(&days);
        let at =
            |now: UnixMillis| rates.rate(Currency::EUR, currency("USD"), now).map(|rate| (rate.date(), rate.value()));
        assert_eq!(at(now()), Ok((date!(2026 - 11 - 20), rate_value("1.2").unwrap())));
        let days = |days: i64| now().saturating_add_ms(days * 86_400_000);
        assert_eq!(at(days(2)).map(|(date, _)| date), Ok(date!(2026 - 11 - 23)));
        assert_eq!(at(days(2 + STALE_AFTER_DAYS)).map(|(date, _)| date), Ok(date!(2026 - 11 - 23)));
        assert_eq!(at(days(3 + STALE_AFTER_DAYS)), Err(NoRate::Stale));
        assert_eq!(at(days(-3)), Err(NoRate::Stale));
    }

    #[test]
    fn a_cross_rate_goes_through_the_euro() {
        let day: [(Date, &[(&str, &str)]); 1] = [(date!(2026 - 11 - 20), &[("USD", "1.0705"), ("CNY", "7.7748")])];
        let rates = published(&day);
        let value =
            |from: &str, to: &str| rates.rate(currency(from), currency(to), now()).map(|rate| rate.value().to_string());
        assert_eq!(value("CNY", "USD").as_deref(), Ok("0.137688429284355"));
        assert_eq!(value("USD", "CNY").as_deref(), Ok("7.26277440448389"));
        assert_eq!(value("EUR", "CNY").as_deref(), Ok("7.7748"));
        assert_eq!(value("CNY", "CNY").as_deref(), Ok("1"));
        assert_eq!(value("KWD", "USD"), Err(NoRate::Unlisted));
    }

    #[test]
    fn a_half_goes_to_the_even_neighbour() {
        let half = rate("EUR", "USD", "0.5");
        assert_eq!([1, 2, 3, 4, 5, 7].map(|minor| convert(&half, minor)), [0, 1, 2, 2, 2, 4]);
    }

    #[test]
    fn each_exponent_converts_into_each_other() {
        for (from, to, value, minor, converted) in [
            ("JPY", "EUR", "0.0062", 16_500, 10_230),
            ("EUR", "JPY", "161.29", 10_230, 16_500),
            ("KWD", "EUR", "3", 1_000, 300),
            ("EUR", "KWD", "0.3", 100, 300),
            ("CLF", "JPY", "6000", 10_000, 6_000),
            ("JPY", "CLF", "0.0001", 1, 1),
            ("CLF", "UYW", "1", 7, 7),
        ] {
            assert_eq!(convert(&rate(from, to, value), minor), converted, "{minor} {from} to {to}");
        }
    }

    #[test]
    fn back_is_divided_by_the_same_rate() {
        let rate = rate("JPY", "EUR", "0.0062");
        let back = rate.convert_back(Money::new(10_230, Currency::EUR).unwrap()).unwrap();
        assert_eq!((back.minor(), back.currency().code()), (16_500, "JPY"));
        assert_eq!(rate.convert_back(back), Err(InvalidMoney::Mixed));
        assert_eq!(rate.convert(Money::new(1, Currency::EUR).unwrap()), Err(InvalidMoney::Mixed));
    }

    #[test]
    fn what_overflows_is_an_error() {
        let huge = rate("EUR", "UYW", "99999999999999999");
        assert_eq!(huge.convert(Money::new(Money::MINOR_MAX, Currency::EUR).unwrap()), Err(InvalidMoney::OutOfRange));
        let tiny = rate("UYW", "JPY", "0.000000000000000001");
        assert_eq!(
            tiny.convert_back(Money::new(Money::MINOR_MAX, currency("JPY")).unwrap()),
            Err(InvalidMoney::OutOfRange)
        );
    }

    #[test]
    fn only_a_positive_decimal_is_a_rate() {
        for text in ["0", "0.0", "-1", "1e5", "NaN", "", "1.", "9999999999999999999", "1/3"] {
            assert_eq!(rate_value(text), Err(InvalidRate), "{text}");
        }
    }

    #[test]
    fn a_rate_has_moved_when_it_is_further_off_than_the_tolerance() {
        let is_within = |value: &str| rate("CNY", "EUR", value).is_within(rate_value("0.1250").unwrap(), Decimal::TWO);
        assert_eq!(["0.1225", "0.1275", "0.1224", "0.1276"].map(is_within), [true, true, false, false]);
    }
}
