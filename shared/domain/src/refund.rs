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
    /// What was granted in all, this one with it.
    pub through: RefundTotals,
    /// When it was granted, by our clock.
    pub at: UnixMillis,
    /// Who asked.
    pub by: Origin,
}

/// What the granted refunds of an order come to. The counter that bounds them.
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
    /// A gateway reported a refund of its amount.
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

/// Granted refunds beside the refunds that gateways reported. Gateways do not name our refunds, but the shop front asks
/// them for the granted amount to the minor unit: a reported refund is the granted one of its amount, and what matches
/// none was made elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched<'a> {
    /// Each granted refund, in the order in which they were given, and where it stands.
    pub refunds: Vec<(&'a Refund, RefundState)>,
    /// What was refunded elsewhere, in minor units of the charge currency.
    pub elsewhere_minor: i64,
}

/// Matches what was granted with what was reported, in minor units of the charge currency.
pub fn matched<'a>(granted: impl IntoIterator<Item = &'a Refund>, reported: &[i64]) -> Matched<'a> {
    let mut reported = reported.to_vec();
    let mut refunds: Vec<(&Refund, RefundState)> = granted
        .into_iter()
        .map(|refund| match reported.iter().position(|minor| *minor == refund.charged.minor()) {
            Some(place) => {
                reported.swap_remove(place);
                (refund, RefundState::Settled)
            }
            None => (refund, RefundState::Requested),
        })
        .collect();
    let open = refunds.iter().filter(|(_, state)| *state == RefundState::Requested);
    let open_minor = open.fold(0_i64, |sum, (refund, _)| sum.saturating_add(refund.charged.minor()));
    let rest_minor = reported.into_iter().fold(0, i64::saturating_add);
    // A report that was lost, of a gateway that tells totals, leaves one amount for several refunds.
    if rest_minor > 0 && rest_minor == open_minor {
        refunds.iter_mut().for_each(|(_, state)| *state = RefundState::Settled);
        return Matched { refunds, elsewhere_minor: 0 };
    }
    Matched { refunds, elsewhere_minor: rest_minor }
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
    /// What was granted in all, this one with it.
    pub through: RefundTotals,
}

/// What a refund comes to in each currency.
struct Amounts {
    priced: Money,
    charged: Money,
}

/// Decides a refund beside what was granted before, and what gateways reported: sums, and what was refunded elsewhere.
///
/// What may go back is what was captured, less what was granted, less what was refunded elsewhere, less disputes that
/// were lost or are open.
pub fn grant(
    placed: &Placed,
    granted: RefundTotals,
    (sums, elsewhere_minor): (Sums, i64),
    asked: Money,
) -> Result<Granted, NoRefund> {
    let rate = placed.rate.as_ref().ok_or(NoRefund::NoRateRecord)?;
    let price = placed.content.price;
    let of_charge_currency = |minor: i64| Money::new(minor, placed.due.currency());
    let paid = of_charge_currency(sums.captured)?;
    // What was paid, in the currency of the price. The due amount is the price itself, not its way there and back.
    let paid_priced = if paid == placed.due { price } else { rate.convert_back(paid)? };
    let lost_or_disputed = of_charge_currency(sums.lost)?.checked_add(of_charge_currency(sums.disputed)?)?;
    let gone = of_charge_currency(elsewhere_minor)?.checked_add(lost_or_disputed)?;
    let charged_taken = of_charge_currency(granted.charged_minor)?.checked_add(gone)?;
    let priced_taken = Money::new(granted.priced_minor, price.currency())?.checked_add(rate.convert_back(gone)?)?;
    let (charged_left, priced_left) = (left(paid, charged_taken), left(paid_priced, priced_taken));
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
        priced_minor: granted.priced_minor.saturating_add(priced.minor()),
        charged_minor: granted.charged_minor.saturating_add(charged.minor()),
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
fn left(whole: Money, taken: Money) -> Money {
    whole.checked_sub(taken).unwrap_or(Money::zero(whole.currency()))
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
            let granted = grant(placed, totals, (sums, sums.refunded), *asked)?;
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
    fn what_went_back_elsewhere_or_is_disputed_is_not_granted() {
        let gone = Sums { captured: 10_230, refunded: 3_000, lost: 600, disputed: 400, is_disputed: true };
        let asked = [money(16_500, "JPY"), money(6_231, "EUR"), money(6_230, "EUR"), money(1, "EUR")];
        let beyond = Err(NoRefund::BeyondPaid);
        assert_eq!(grants(&incident(), gone, &asked), [beyond, beyond, Ok(6_230), beyond]);
        let in_turns = [money(6_000, "EUR"), money(230, "EUR"), money(230, "EUR")];
        assert_eq!(grants(&incident(), gone, &in_turns), [Ok(6_000), Ok(230), beyond]);
    }

    fn refund(minor: i64) -> Refund {
        let (charged, through) = (money(minor, "EUR"), RefundTotals::default());
        let id = RefundId::new("r").unwrap();
        Refund { id, asked: charged, priced: charged, charged, through, at: UnixMillis::EPOCH, by: origin() }
    }

    #[test]
    fn a_reported_refund_is_the_granted_one_of_its_amount() {
        use RefundState::{Requested, Settled};
        for (granted, reported, states, elsewhere) in [
            (vec![], vec![], vec![], 0),
            (vec![50], vec![], vec![Requested], 0),
            (vec![50], vec![50], vec![Settled], 0),
            (vec![50], vec![30], vec![Requested], 30),
            (vec![50], vec![30, 50], vec![Settled], 30),
            (vec![50, 50], vec![50], vec![Settled, Requested], 0),
            (vec![50, 20], vec![20], vec![Requested, Settled], 0),
            (vec![50, 20, 10], vec![70, 10], vec![Settled, Settled, Settled], 0),
            (vec![50, 20], vec![71], vec![Requested, Requested], 71),
        ] {
            let granted: Vec<Refund> = granted.into_iter().map(refund).collect();
            let matched = matched(&granted, &reported);
            let found: Vec<RefundState> = matched.refunds.iter().map(|(_, state)| *state).collect();
            assert_eq!((found, matched.elsewhere_minor), (states, elsewhere), "{granted:?} beside {reported:?}");
        }
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
