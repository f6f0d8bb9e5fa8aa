//! Refunds: how much may go back, and how much of which currency that is.
//!
//! Invariant: refunds that were decided one after another never exceed what was paid, and the one that takes the
//! last of the price takes the remainder of the charge, so that their sum is what was paid to the minor unit.

use crate::id::RefundId;
use crate::money::{InvalidMoney, Money};
use crate::order::{Origin, Placed};
use crate::payment::Sums;
use crate::time::UnixMillis;

/// A refund that the shop front asked for, and that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The shop front's name of it.
    pub id: RefundId,
    /// What was asked for, in either currency of the order.
    pub asked: Money,
    /// What that is in the currency of the price.
    pub priced: Money,
    /// What goes back to the customer, in the charge currency.
    pub charged: Money,
    /// What goes back in all, this one with it.
    pub through: RefundTotals,
    /// When it was granted, by our clock.
    pub at: UnixMillis,
    /// Who asked.
    pub by: Origin,
}

/// How much of an order goes back in all: what was granted here, and what was known to have gone back at the gateways
/// besides when the last refund was granted. The counter that bounds refunds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefundTotals {
    /// How many were granted.
    pub count: u32,
    /// In minor units of the price's currency.
    pub priced_minor: i64,
    /// In minor units of the charge currency.
    pub charged_minor: i64,
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    /// It was granted; no gateway reported it yet.
    Requested,
    /// Gateways reported at least so much money back as goes back in all with this refund.
    Settled,
}

impl RefundState {
    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Settled => "settled",
        }
    }
}

impl Refund {
    /// Where it stands beside what gateways reported. Gateways do not name our refunds, so the oldest settle first.
    pub const fn state(&self, sums: Sums) -> RefundState {
        if sums.refunded >= self.through.charged_minor { RefundState::Settled } else { RefundState::Requested }
    }
}

/// Why a refund is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRefund {
    /// The order's record holds no rate, so that no amount can be converted. A person must look.
    #[error("the order has no rate record")]
    NoRateRecord,
    /// The currency is neither that of the price nor that of the charge.
    #[error("the refund is in neither currency of the order")]
    Currency,
    /// Nothing, or so little that it is less than half a minor unit of the charge currency.
    #[error("the refund comes to nothing in the charge currency")]
    Nothing,
    /// More than is left of what was paid.
    #[error("the refund is more than what was paid and is not refunded yet")]
    BeyondPaid,
    /// The conversion overflows.
    #[error(transparent)]
    Amount(#[from] InvalidMoney),
}

/// What a refund comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// In the currency of the price.
    pub priced: Money,
    /// In the charge currency.
    pub charged: Money,
    /// What goes back in all, this one with it.
    pub through: RefundTotals,
}

/// What a refund comes to in each currency.
struct Amounts {
    priced: Money,
    charged: Money,
}

/// Decides a refund beside what was granted before and what gateways reported.
///
/// What may go back is what was captured, less disputes that were lost, less what goes back already: the greater of
/// the counter and of what gateways reported. So a refund made at a gateway counts, one that was granted here and then
/// reported counts once, and what was granted beside one made elsewhere is remembered in the counter.
pub fn grant(placed: &Placed, granted: RefundTotals, sums: Sums, asked: Money) -> Result<Granted, NoRefund> {
    let rate = placed.rate.as_ref().ok_or(NoRefund::NoRateRecord)?;
    let price = placed.content.price;
    let of_charge_currency = |minor: i64| Money::new(minor, placed.due.currency());
    let paid = of_charge_currency(sums.captured)?;
    // What was paid, in the currency of the price. The due amount is the price itself, not its way there and back.
    let paid_priced = if paid == placed.due { price } else { rate.convert_back(paid)? };
    let taken = granted.charged_minor.max(sums.refunded);
    let elsewhere = rate.convert_back(of_charge_currency(taken.saturating_sub(granted.charged_minor))?)?;
    let priced_taken = granted.priced_minor.saturating_add(elsewhere.minor());
    let lost = rate.convert_back(of_charge_currency(sums.lost)?)?;
    let charged_left = left(paid, taken.saturating_add(sums.lost));
    let priced_left = left(paid_priced, priced_taken.saturating_add(lost.minor()));
    if asked.is_zero() {
        return Err(NoRefund::Nothing);
    }
    let Amounts { priced, charged } = match asked.currency() {
        currency if currency == placed.due.currency() => {
            of_charge(asked, charged_left, priced_left, || rate.convert_back(asked))?
        }
        currency if currency == price.currency() => of_price(asked, charged_left, priced_left, || rate.convert(asked))?,
        _ => return Err(NoRefund::Currency),
    };
    if charged.is_zero() {
        return Err(NoRefund::Nothing);
    }
    let through = RefundTotals {
        count: granted.count.saturating_add(1),
        priced_minor: priced_taken.saturating_add(priced.minor()),
        charged_minor: taken.saturating_add(charged.minor()),
    };
    Ok(Granted { priced, charged, through })
}

/// Asked in the charge currency.
fn of_charge(
    asked: Money,
    charged_left: Money,
    priced_left: Money,
    converted: impl FnOnce() -> Result<Money, InvalidMoney>,
) -> Result<Amounts, NoRefund> {
    match asked.cmp(&charged_left) {
        std::cmp::Ordering::Greater => Err(NoRefund::BeyondPaid),
        std::cmp::Ordering::Equal => Ok(Amounts { priced: priced_left, charged: charged_left }),
        std::cmp::Ordering::Less => Ok(Amounts { priced: converted()?.min(priced_left), charged: asked }),
    }
}

/// Asked in the currency of the price.
fn of_price(
    asked: Money,
    charged_left: Money,
    priced_left: Money,
    converted: impl FnOnce() -> Result<Money, InvalidMoney>,
) -> Result<Amounts, NoRefund> {
    match asked.cmp(&priced_left) {
        std::cmp::Ordering::Greater => Err(NoRefund::BeyondPaid),
        std::cmp::Ordering::Equal => Ok(Amounts { priced: asked, charged: charged_left }),
        std::cmp::Ordering::Less => Ok(Amounts { priced: asked, charged: converted()?.min(charged_left) }),
    }
}

/// What is left of an amount; nothing when more than it was taken.
fn left(whole: Money, taken: i64) -> Money {
    let left = whole.minor().saturating_sub(taken).max(0);
    Money::new(left, whole.currency()).unwrap_or(Money::zero(whole.currency()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EventId, SourceName};
    use crate::money::Currency;
    use crate::order::{Line, OrderContent};
    use crate::rate::{Rate, RateSource};
    use time::macros::date;

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, Currency::from_code(code).unwrap()).unwrap()
    }

    fn origin() -> Origin {
        Origin { source: SourceName::new("shopfront").unwrap(), event_id: EventId::new("n").unwrap() }
    }

    /// The order of the incident: 16,500 yen, charged as 102.30 euros.
    fn incident() -> Placed {
        placed(money(16_500, "JPY"), "EUR", "0.0062")
    }

    fn placed(price: Money, charge: &str, rate: &str) -> Placed {
        let charge_currency = Currency::from_code(charge).unwrap();
        let content = OrderContent { price, charge_currency, lines: Vec::<Line>::new() };
        let source = (RateSource::Ecb, date!(2026 - 11 - 20));
        let rate = Rate::kept((price.currency(), charge_currency), rate, source, UnixMillis::EPOCH).unwrap();
        Placed::new(content, rate, UnixMillis::EPOCH, origin()).unwrap()
    }

    fn captured(minor: i64) -> Sums {
        Sums { captured: minor, ..Sums::default() }
    }

    /// Grants in turn: what each comes to in the charge currency, or why not.
    fn grants(placed: &Placed, sums: Sums, asked: &[Money]) -> Vec<Result<i64, NoRefund>> {
        let mut totals = RefundTotals::default();
        let mut grant_one = |asked: &Money| {
            let granted = grant(placed, totals, sums, *asked)?;
            totals = granted.through;
            Ok(granted.charged.minor())
        };
        asked.iter().map(&mut grant_one).collect()
    }

    #[test]
    fn the_incident_s_refund_is_what_was_paid() {
        assert_eq!(grants(&incident(), captured(10_230), &[money(16_500, "JPY")]), [Ok(10_230)]);
        assert_eq!(grants(&incident(), captured(10_230), &[money(10_230, "EUR")]), [Ok(10_230)]);
    }

    #[test]
    fn the_last_refund_takes_the_remainder() {
        let thirds = placed(money(100, "CNY"), "EUR", "0.333");
        assert_eq!(thirds.due.minor(), 33);
        let asked = [money(33, "CNY"), money(33, "CNY"), money(34, "CNY")];
        assert_eq!(grants(&thirds, captured(33), &asked), [Ok(11), Ok(11), Ok(11)]);
        let mixed = [money(50, "CNY"), money(10, "EUR"), money(20, "CNY")];
        assert_eq!(grants(&thirds, captured(33), &mixed), [Ok(17), Ok(10), Ok(6)]);
    }

    #[test]
    fn nothing_goes_back_beyond_what_was_paid() {
        let beyond = Err(NoRefund::BeyondPaid);
        assert_eq!(grants(&incident(), captured(10_230), &[money(16_501, "JPY")]), [beyond]);
        assert_eq!(grants(&incident(), captured(0), &[money(1, "EUR")]), [beyond]);
        assert_eq!(
            grants(&incident(), captured(5_000), &[money(16_500, "JPY"), money(5_000, "EUR")]),
            [beyond, Ok(5_000)]
        );
        let twice = [money(10_230, "EUR"), money(1, "EUR")];
        assert_eq!(grants(&incident(), captured(10_230), &twice), [Ok(10_230), beyond]);
        let overpaid = [money(16_500, "JPY"), money(770, "EUR"), money(1, "EUR")];
        assert_eq!(grants(&incident(), captured(11_000), &overpaid), [Ok(10_230), Ok(770), beyond]);
    }

    #[test]
    fn what_went_back_at_the_gateway_counts() {
        let outside = Sums { captured: 10_230, refunded: 3_000, lost: 1_000, is_disputed: false };
        let asked = [money(16_500, "JPY"), money(6_231, "EUR"), money(6_230, "EUR"), money(1, "EUR")];
        let beyond = Err(NoRefund::BeyondPaid);
        assert_eq!(grants(&incident(), outside, &asked), [beyond, beyond, Ok(6_230), beyond]);
        let in_turns = [money(6_000, "EUR"), money(230, "EUR"), money(230, "EUR")];
        assert_eq!(grants(&incident(), outside, &in_turns), [Ok(6_000), Ok(230), beyond]);
        let totals = RefundTotals { count: 1, priced_minor: 8_250, charged_minor: 5_115 };
        let reported = Sums { captured: 10_230, refunded: 5_115, ..Sums::default() };
        let granted = grant(&incident(), totals, reported, money(8_250, "JPY"));
        assert_eq!(
            granted.map(|granted| granted.charged.minor()),
            Ok(5_115),
            "a granted refund that was reported counts once"
        );
    }

    #[test]
    fn an_order_without_a_rate_refunds_nothing() {
        let damaged = Placed { rate: None, ..incident() };
        assert_eq!(grants(&damaged, captured(10_230), &[money(1, "EUR")]), [Err(NoRefund::NoRateRecord)]);
    }

    #[test]
    fn a_refund_of_nothing_or_in_a_foreign_currency_is_refused() {
        let asked = [money(0, "EUR"), money(0, "JPY"), money(100, "USD")];
        let refused = [Err(NoRefund::Nothing), Err(NoRefund::Nothing), Err(NoRefund::Currency)];
        assert_eq!(grants(&incident(), captured(10_230), &asked), refused);
        let coarse = placed(money(1_000_000, "IDR"), "KWD", "0.00002");
        assert_eq!(grants(&coarse, captured(200), &[money(2_499, "IDR")]), [Err(NoRefund::Nothing)]);
    }
}
