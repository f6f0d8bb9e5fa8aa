//! Money: whole minor units of one currency. No floating point, no mixing, no rounding but where a rate says so.
//!
//! Invariant: an amount lies in 0 to [`Money::MINOR_MAX`], so that sums of thousands of them fit an `i64` and
//! products with a rate fit an `i128`.

use rust_decimal::Decimal;

/// A currency with minor units, by ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(iso_currency::Currency);

/// An amount of money that is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why something is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// No currency has this code, or it has no minor units, such as gold (XAU).
    #[error("the currency is not a code of ISO 4217 with minor units")]
    Currency,
    /// Not digits with at most one point between them.
    #[error("the amount is not a decimal number")]
    NotDecimal,
    /// Smaller than the currency's minor unit.
    #[error("the amount has more decimals than its currency")]
    TooFine,
    /// Negative, or above [`Money::MINOR_MAX`].
    #[error("the amount is negative or too large")]
    OutOfRange,
    /// Amounts of two currencies cannot be added or subtracted.
    #[error("the amounts have different currencies")]
    Mixed,
}

impl Currency {
    /// The renminbi, which Alipay and WeChat Pay settle in.
    pub const CNY: Self = Self(iso_currency::Currency::CNY);
    /// The euro, which the ECB's rates are of.
    pub const EUR: Self = Self(iso_currency::Currency::EUR);

    /// The currency of a code of three upper-case letters.
    pub fn from_code(code: &str) -> Result<Self, InvalidMoney> {
        let known = iso_currency::Currency::from_code(code).filter(|known| known.code() == code);
        known.filter(|known| known.exponent().is_some()).map(Self).ok_or(InvalidMoney::Currency)
    }

    /// The code of three upper-case letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals the minor unit is of the major one: 0, 2, 3 or 4.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.code())
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.code())
    }
}

/// Reads digits with at most one point between them. Signs, exponents, spaces and separators are no decimals:
/// what a vendor did not mean as a plain number must not become money.
pub fn decimal(text: &str) -> Result<Decimal, InvalidMoney> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    if !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return Err(InvalidMoney::NotDecimal);
    }
    Decimal::from_str_exact(text).map_err(|_| InvalidMoney::OutOfRange)
}

impl Money {
    /// The largest amount, in minor units. Ten trillion euros; no order comes near.
    pub const MINOR_MAX: i64 = 1_000_000_000_000_000;

    /// This many minor units.
    pub fn new(minor: i64, currency: Currency) -> Result<Self, InvalidMoney> {
        if (0..=Self::MINOR_MAX).contains(&minor) {
            Ok(Self { minor, currency })
        } else {
            Err(InvalidMoney::OutOfRange)
        }
    }

    /// Nothing of a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// An amount in major units, such as `67.05`. More decimals than the currency has must be zeros.
    pub fn from_major(text: &str, currency: Currency) -> Result<Self, InvalidMoney> {
        let major = decimal(text)?.normalize();
        Self::scaled(major.mantissa(), major.scale(), currency)
    }

    /// An amount in units of `10^-exponent`, for gateways whose minor unit is not that of ISO 4217.
    pub fn from_units(units: i64, exponent: u32, currency: Currency) -> Result<Self, InvalidMoney> {
        Self::scaled(i128::from(units), exponent, currency)
    }

    /// `digits * 10^-scale` major units.
    fn scaled(digits: i128, scale: u32, currency: Currency) -> Result<Self, InvalidMoney> {
        let exponent = currency.exponent();
        let power = |difference: u32| 10_i128.checked_pow(difference).ok_or(InvalidMoney::OutOfRange);
        let minor = match exponent.checked_sub(scale) {
            Some(missing) => digits.checked_mul(power(missing)?).ok_or(InvalidMoney::OutOfRange)?,
            None => {
                let excess = power(scale.saturating_sub(exponent))?;
                if digits.checked_rem(excess) != Some(0) {
                    return Err(InvalidMoney::TooFine);
                }
                digits.checked_div(excess).ok_or(InvalidMoney::OutOfRange)?
            }
        };
        Self::new(i64::try_from(minor).map_err(|_| InvalidMoney::OutOfRange)?, currency)
    }

    /// How many minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// Of which currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum of two amounts of one currency.
    pub fn checked_add(self, other: Self) -> Result<Self, InvalidMoney> {
        self.combine(other, i64::checked_add)
    }

    /// What is left of an amount; an error when the other one is larger.
    pub fn checked_sub(self, other: Self) -> Result<Self, InvalidMoney> {
        self.combine(other, i64::checked_sub)
    }

    fn combine(self, other: Self, with: fn(i64, i64) -> Option<i64>) -> Result<Self, InvalidMoney> {
        if self.currency != other.currency {
            return Err(InvalidMoney::Mixed);
        }
        Self::new(with(self.minor, other.minor).ok_or(InvalidMoney::OutOfRange)?, self.currency)
    }
}

impl std::fmt::Display for Money {
    /// Major units and code, such as `102.30 EUR`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let major = Decimal::new(self.minor, self.currency.exponent());
        write!(formatter, "{major} {}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    #[test]
    fn exponents_are_those_of_iso_4217() {
        for (codes, exponent) in [
            ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF", 0),
            ("AUD CNY EUR GBP HKD IDR MGA TWD USD", 2),
            ("BHD IQD JOD KWD LYD OMR TND", 3),
            ("CLF UYW", 4),
        ] {
            for code in codes.split(' ') {
                assert_eq!(currency(code).exponent(), exponent, "{code}");
            }
        }
    }

    #[test]
    fn what_has_no_minor_units_is_no_currency_here() {
        for code in ["XAG", "XAU", "XBA", "XDR", "XPT", "XSU", "XTS", "XXX", "", "eur", "EURO", "EU", "ZZZ", "\u{20ac}"]
        {
            assert_eq!(Currency::from_code(code), Err(InvalidMoney::Currency), "{code}");
        }
    }

    #[test]
    fn major_units_are_read_by_the_currency_s_own_exponent() {
        for (text, code, minor) in [
            ("67.05", "USD", 6_705),
            ("10", "HKD", 1_000),
            ("1.5", "EUR", 150),
            ("500", "JPY", 500),
            ("500.00", "JPY", 500),
            ("1.234", "KWD", 1_234),
            ("1.2345", "CLF", 12_345),
            ("0.00", "EUR", 0),
            ("10000000000000.00", "EUR", Money::MINOR_MAX),
        ] {
            assert_eq!(Money::from_major(text, currency(code)).map(Money::minor), Ok(minor), "{text} {code}");
        }
    }

    #[test]
    fn what_is_not_a_plain_amount_is_refused() {
        use InvalidMoney::{NotDecimal, OutOfRange, TooFine};
        for (text, code, why) in [
            ("", "EUR", NotDecimal),
            (".5", "EUR", NotDecimal),
            ("5.", "EUR", NotDecimal),
            ("-1", "EUR", NotDecimal),
            ("+1", "EUR", NotDecimal),
            ("1e2", "EUR", NotDecimal),
            ("1_000", "EUR", NotDecimal),
            ("1,000", "EUR", NotDecimal),
            (" 1", "EUR", NotDecimal),
            ("1.2.3", "EUR", NotDecimal),
            ("NaN", "EUR", NotDecimal),
            ("\u{ff11}", "EUR", NotDecimal),
            ("0.001", "EUR", TooFine),
            ("0.5", "JPY", TooFine),
            ("10000000000000.01", "EUR", OutOfRange),
            ("99999999999999999999999999999999999999999", "EUR", OutOfRange),
        ] {
            assert_eq!(Money::from_major(text, currency(code)), Err(why), "{text} {code}");
        }
    }

    #[test]
    fn a_gateway_s_own_minor_unit_becomes_that_of_iso_4217() {
        let units = |units, exponent, code| Money::from_units(units, exponent, currency(code)).map(Money::minor);
        assert_eq!(units(500, 2, "ISK"), Ok(5));
        assert_eq!(units(501, 2, "ISK"), Err(InvalidMoney::TooFine));
        assert_eq!(units(5, 0, "MGA"), Ok(500));
        assert_eq!(units(-5, 0, "MGA"), Err(InvalidMoney::OutOfRange));
        assert_eq!(units(i64::MAX, 0, "CLF"), Err(InvalidMoney::OutOfRange));
    }

    #[test]
    fn currencies_do_not_mix_and_nothing_goes_below_zero() {
        let euro = |minor| Money::new(minor, currency("EUR")).unwrap();
        let yen = Money::new(1, currency("JPY")).unwrap();
        assert_eq!(euro(1).checked_add(yen), Err(InvalidMoney::Mixed));
        assert_eq!(euro(1).checked_sub(euro(2)), Err(InvalidMoney::OutOfRange));
        assert_eq!(euro(Money::MINOR_MAX).checked_add(euro(1)), Err(InvalidMoney::OutOfRange));
        assert_eq!(euro(3).checked_sub(euro(2)), Ok(euro(1)));
    }

    #[test]
    fn an_amount_prints_in_major_units() {
        let print = |minor, code| Money::new(minor, currency(code)).unwrap().to_string();
        assert_eq!(print(10_230, "EUR"), "102.30 EUR");
        assert_eq!(print(16_500, "JPY"), "16500 JPY");
        assert_eq!(print(1, "CLF"), "0.0001 CLF");
    }
}
