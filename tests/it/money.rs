//! Seeded histories of money: conversions, partial refunds, and everything that may come after a rate is pinned.

use std::collections::BTreeMap;

use domain::refund::grant;
use domain::{
    Currency, Link, Money, MovementKind, NoRefund, OrderContent, OrderFacts, OrderId, OrderKnowledge, Origin,
    PaymentEvent, PaymentFacts, Placed, Rate, RateSource, RefundTotals, Sums, TransactionId, UnixMillis, view,
};

use crate::support::{Dice, rounds, seed};

/// Currencies of every exponent that ISO 4217 has: 0, 2, 3 and 4 decimals.
const CURRENCIES: [&str; 12] = ["JPY", "KRW", "VND", "EUR", "USD", "CNY", "IDR", "KWD", "BHD", "TND", "CLF", "UYW"];

/// Choices of money.
trait MoneyDice {
    fn up_to(&mut self, max: i64) -> i64;
    fn currency(&mut self) -> Currency;
    fn rate(&mut self, from: Currency, to: Currency) -> Rate;
}

impl MoneyDice for Dice {
    /// A number from 1 to `max`, as often small as large.
    fn up_to(&mut self, max: i64) -> i64 {
        let number = self.number() >> (1 + self.below(63));
        i64::try_from(number % u64::try_from(max).unwrap()).unwrap() + 1
    }

    fn currency(&mut self) -> Currency {
        Currency::from_code(CURRENCIES[self.below(CURRENCIES.len())]).unwrap()
    }

    /// A rate of up to fifteen digits and up to twenty decimals.
    fn rate(&mut self, from: Currency, to: Currency) -> Rate {
        let (mantissa, scale) = (self.up_to(999_999_999_999_999), self.below(21));
        let digits = format!("{mantissa:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let text = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
        let day = time::macros::date!(2026 - 11 - 20);
        Rate::kept((from, to), &text, (RateSource::Ecb, day), UnixMillis::new(7).unwrap()).unwrap()
    }
}

fn origin() -> Origin {
    Origin { source: "shopfront".to_owned().try_into().unwrap(), event_id: "n".to_owned().try_into().unwrap() }
}

/// `true` when `converted` is the nearest minor unit, and of two the even one: checked without dividing.
fn is_nearest(amount: Money, rate: &Rate, converted: Money) -> Option<bool> {
    let ten = |power: u32| 10_i128.checked_pow(power);
    let over = rate.value().mantissa().checked_mul(ten(rate.to().exponent())?)?;
    let under = ten(rate.value().scale() + rate.from().exponent())?;
    let exact = i128::from(amount.minor()).checked_mul(over)?;
    let twice_off = exact.checked_sub(i128::from(converted.minor()).checked_mul(under)?)?.checked_mul(2)?.abs();
    Some(twice_off < under || (twice_off == under && converted.minor() % 2 == 0))
}

#[test]
fn a_conversion_is_the_nearest_minor_unit_or_an_error_and_never_overflows() {
    let mut dice = Dice::seeded(seed("conversions"));
    let (mut converted, mut refused) = (0_u64, 0_u64);
    let cases = rounds(50_000, 500_000);
    for case in 0..cases {
        let (from, to) = (dice.currency(), dice.currency());
        let rate = dice.rate(from, to);
        let amount = Money::new(dice.up_to(Money::MINOR_MAX) - 1, from).unwrap();
        match rate.convert(amount) {
            Ok(result) => {
                assert_eq!(result.currency(), to);
                assert_ne!(
                    is_nearest(amount, &rate, result),
                    Some(false),
                    "case {case}: {amount} by {rate:?}: {result}"
                );
                converted += 1;
            }
            Err(_) => refused += 1,
        }
        rate.convert_back(Money::new(amount.minor(), to).unwrap()).ok();
    }
    println!("conversions: {converted} converted, {refused} out of range");
    assert!(converted > cases / 4, "most cases say nothing: {converted} of {cases}");
}

/// A history of refunds: in which currency, how much, until nothing is left or the dice are tired.
#[test]
fn refunds_never_exceed_what_was_captured_and_the_last_takes_the_remainder() {
    let mut dice = Dice::seeded(seed("refunds"));
    let (mut complete, mut refunds) = (0_u64, 0_u64);
    let cases = rounds(50_000, 500_000);
    for case in 0..cases {
        let (from, to) = (dice.currency(), dice.currency());
        let rate = if from == to { Rate::identity(from, UnixMillis::EPOCH) } else { dice.rate(from, to) };
        let price = Money::new(dice.up_to(1_000_000_000), from).unwrap();
        let content = OrderContent { price, charge_currency: to, lines: Vec::new() };
        let Ok(placed) = Placed::new(content, rate, UnixMillis::EPOCH, origin()) else { continue };
        // Mostly what is due; sometimes less or more.
        let captured = match dice.below(4) {
            0 => dice.up_to(placed.due.minor().saturating_mul(2).min(Money::MINOR_MAX)),
            _ => placed.due.minor(),
        };
        let sums = Sums { captured, ..Sums::default() };
        let mut totals = RefundTotals::default();
        for _ in 0..=dice.below(12) {
            let whole = if dice.below(2) == 0 { price } else { placed.due };
            let asked = Money::new(dice.up_to(whole.minor()), whole.currency()).unwrap();
            take(&placed, &mut totals, sums, asked, case);
            refunds += 1;
        }
        // The remainder, asked for in either currency.
        let in_charge = dice.below(2) == 0 || captured != placed.due.minor();
        let left = match in_charge {
            true => Money::new(captured - totals.charged_minor, to).unwrap(),
            false => Money::new(price.minor() - totals.priced_minor, from).unwrap(),
        };
        if !left.is_zero() && take(&placed, &mut totals, sums, left, case) {
            assert_eq!(totals.charged_minor, captured, "case {case}: the remainder is not what was left");
            complete += 1;
        }
    }
    println!("refunds: {refunds} asked for, {complete} histories refunded to the minor unit");
    assert!(complete > cases / 8, "most histories say nothing: {complete} of {cases}");
}

/// Grants what may be granted, and checks the bound. Whether it was granted.
fn take(placed: &Placed, totals: &mut RefundTotals, sums: Sums, asked: Money, case: u64) -> bool {
    match grant(placed, *totals, (sums, 0), asked) {
        Ok(granted) => {
            assert!(granted.charged.minor() > 0, "case {case}: a refund of nothing");
            assert_eq!(granted.through.charged_minor, totals.charged_minor + granted.charged.minor(), "case {case}");
            *totals = granted.through;
            assert!(totals.charged_minor <= sums.captured, "case {case}: {totals:?} of {}", sums.captured);
            true
        }
        Err(NoRefund::BeyondPaid | NoRefund::Nothing | NoRefund::Amount(_)) => false,
        Err(other) => panic!("case {case}: {other}"),
    }
}

#[test]
fn nothing_that_comes_after_creation_changes_the_rate_or_what_is_due() {
    let mut dice = Dice::seeded(seed("pinned rates"));
    for case in 0..rounds(20_000, 200_000) {
        let (from, to) = (dice.currency(), dice.currency());
        let rate = dice.rate(from, to);
        let price = Money::new(dice.up_to(1_000_000_000), from).unwrap();
        let content = OrderContent { price, charge_currency: to, lines: Vec::new() };
        let Ok(placed) = Placed::new(content, rate.clone(), UnixMillis::EPOCH, origin()) else { continue };
        let id = OrderId::new("A-1").unwrap();
        let due = placed.due;
        let mut order = OrderFacts::default();
        order.placed = Some(placed);
        let trade = format!("1688#demo#{case}").parse().unwrap();
        order.link(Link { trade, at: UnixMillis::new(9).unwrap(), by: origin() });
        let entries = (0..dice.below(8)).map(|number| PaymentEvent {
            payment: "stripe#pi_1".parse().unwrap(),
            transaction_id: TransactionId::new(format!("t{}", number % 3)).unwrap(),
            kind: MovementKind::ALL[dice.below(8)],
            order: (dice.below(3) > 0).then(|| id.clone()),
            money: Money::new(dice.up_to(1_000_000_000), if dice.below(4) == 0 { from } else { to }).unwrap(),
            occurred_at: UnixMillis::new(dice.up_to(1_000)).unwrap(),
        });
        let payments = vec![PaymentFacts { entries: entries.collect(), conflicts: Vec::new() }];
        let seen = view(&id, &OrderKnowledge { order, trades: BTreeMap::new(), payments });
        assert_eq!((seen.rate, seen.settlement.due), (Some(rate), Some(due)), "case {case}");
        assert!(seen.settlement.sums.captured >= 0 && seen.settlement.sums.returned() >= 0, "case {case}");
    }
}
