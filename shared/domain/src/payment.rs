//! Payments: what gateways reported of money that moved, and what follows for an order.
//!
//! Invariant: a ledger entry is what one gateway said of one movement. Sums and states are computed from the
//! entries when somebody reads, so that their order of arrival does not matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{InvalidText, OrderId, PaymentId, TransactionId};
use crate::money::{Currency, Money};
use crate::order::Placed;
use crate::time::UnixMillis;
use crate::view::Witness;

/// Who takes payments for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gateway {
    /// Stripe.
    Stripe,
    /// PayPal.
    Paypal,
    /// Adyen.
    Adyen,
    /// Airwallex.
    Airwallex,
    /// Alipay.
    Alipay,
    /// WeChat Pay, API v3.
    Wechatpay,
}

impl Gateway {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Stripe, Self::Paypal, Self::Adyen, Self::Airwallex, Self::Alipay, Self::Wechatpay];

    /// The name in paths, keys and the secrets document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Paypal => "paypal",
            Self::Adyen => "adyen",
            Self::Airwallex => "airwallex",
            Self::Alipay => "alipay",
            Self::Wechatpay => "wechatpay",
        }
    }

    /// The gateway of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gateway| gateway.as_str() == name)
    }
}

/// What a gateway says happened to money. Declared in the order of a payment's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MovementKind {
    /// The customer's money is ours.
    Captured,
    /// A capture came to nothing: one that was reported before, or one that was only asked for.
    CaptureFailed,
    /// This much went back, by one refund.
    Refunded,
    /// This much of the payment went back in all, so far.
    RefundedInTotal,
    /// A refund came to nothing: one that was reported before, or one that was only asked for.
    RefundFailed,
    /// The customer's bank questions the payment.
    DisputeOpened,
    /// A dispute ended, and the money is ours.
    DisputeWon,
    /// A dispute ended, or was decided so far, and the money is the customer's.
    DisputeLost,
}

impl MovementKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Captured,
        Self::CaptureFailed,
        Self::Refunded,
        Self::RefundedInTotal,
        Self::RefundFailed,
        Self::DisputeOpened,
        Self::DisputeWon,
        Self::DisputeLost,
    ];

    /// The name in keys and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::CaptureFailed => "capture_failed",
            Self::Refunded => "refunded",
            Self::RefundedInTotal => "refunded_in_total",
            Self::RefundFailed => "refund_failed",
            Self::DisputeOpened => "dispute_opened",
            Self::DisputeWon => "dispute_won",
            Self::DisputeLost => "dispute_lost",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A payment, by its gateway and the gateway's name of it. Its text form is `gateway#payment_id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentKey {
    /// Who took it.
    pub gateway: Gateway,
    /// The gateway's name of it.
    pub payment_id: PaymentId,
}

/// Why a text is not a payment's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPaymentKey {
    /// Not `gateway#payment_id`, or of a gateway that we do not know.
    #[error("not gateway#payment_id of a known gateway")]
    Form,
    /// The id is not one.
    #[error(transparent)]
    Text(#[from] InvalidText),
}

impl std::fmt::Display for PaymentKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}#{}", self.gateway.as_str(), self.payment_id)
    }
}

impl std::str::FromStr for PaymentKey {
    type Err = InvalidPaymentKey;

    fn from_str(text: &str) -> Result<Self, InvalidPaymentKey> {
        let (gateway, payment_id) = text.split_once('#').ok_or(InvalidPaymentKey::Form)?;
        let gateway = Gateway::from_name(gateway).ok_or(InvalidPaymentKey::Form)?;
        Ok(Self { gateway, payment_id: PaymentId::new(payment_id)? })
    }
}

/// One movement of money, as a gateway reported it. Kept, it is a ledger entry: immutable, under its
/// payment, kind and transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PaymentEvent {
    /// Of which payment.
    pub payment: PaymentKey,
    /// The gateway's name of the movement; of a dispute, the same from its opening to its end.
    pub transaction_id: TransactionId,
    /// What happened.
    pub kind: MovementKind,
    /// Our order, where the gateway carries it.
    pub order: Option<OrderId>,
    /// How much; of [`MovementKind::RefundedInTotal`], how much in all.
    pub money: Money,
    /// When, by the gateway's clock.
    pub occurred_at: UnixMillis,
}

/// What became of a reported movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recorded {
    /// It is in the ledger now.
    Applied,
    /// It was there already. Of two times that it was reported for, the later is kept.
    Duplicate,
    /// The ledger says otherwise of this movement. Kept beside it, and never counted.
    Conflict,
}

impl Recorded {
    /// The word in logs and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
        }
    }
}

impl PaymentEvent {
    /// What two reports of one movement must agree on: money, currency and order. The kind is in the key. The
    /// time is not part of it, because a gateway may tell of one movement in several events: the latest is kept, so that
    /// what succeeds, fails and succeeds after all has succeeded.
    pub fn fingerprint(&self) -> String {
        let order = self.order.as_ref().map(OrderId::as_str).unwrap_or_default();
        format!("{}#{}#{order}", self.money.minor(), self.money.currency())
    }

    /// What this report becomes when the ledger has `kept` under the same key.
    pub fn compare(&self, kept: &Self) -> Recorded {
        if self.fingerprint() == kept.fingerprint() { Recorded::Duplicate } else { Recorded::Conflict }
    }

    /// The order of a payment's entries: by time, then by kind and transaction.
    fn rank(&self) -> (UnixMillis, &PaymentKey, MovementKind, &TransactionId) {
        (self.occurred_at, &self.payment, self.kind, &self.transaction_id)
    }

    /// The gateway's word for it.
    fn witness(&self) -> Witness {
        let source = self.payment.gateway.as_str().to_owned();
        Witness { at: self.occurred_at, source, event_id: self.transaction_id.clone().into() }
    }
}

/// Everything that was reported of one payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFacts {
    /// The ledger's entries.
    pub entries: Vec<PaymentEvent>,
    /// Reports that contradict an entry.
    pub conflicts: Vec<PaymentEvent>,
}

impl PaymentFacts {
    /// The order that the payment is for: of those that its entries name, the one that its first capture names,
    /// else the first that any names. So one payment never counts for two orders.
    pub fn owner(&self) -> Option<&OrderId> {
        let named = self.entries.iter().filter(|entry| entry.order.is_some());
        let first = named.min_by_key(|entry| (entry.kind != MovementKind::Captured, entry.rank()));
        first.and_then(|entry| entry.order.as_ref())
    }

    /// Whether its reports contradict each other: in what one movement was, or in which order it is for.
    pub fn is_contradictory(&self) -> bool {
        let named: BTreeSet<&OrderId> = self.entries.iter().filter_map(|entry| entry.order.as_ref()).collect();
        !self.conflicts.is_empty() || named.len() > 1
    }

    /// The entries that stand: a capture or a refund that failed in the end is no movement. What failed may be
    /// done after all, under the same name, so that the later word stands; of one moment, the failure.
    fn standing(&self) -> impl Iterator<Item = &PaymentEvent> {
        let has_failed = |kind, entry: &PaymentEvent| {
            let failed = self.entries.iter().filter(move |other| other.kind == kind);
            let of_it = failed.filter(|other| other.transaction_id == entry.transaction_id);
            of_it.max_by_key(|failed| failed.occurred_at).is_some_and(|failed| failed.occurred_at >= entry.occurred_at)
        };
        self.entries.iter().filter(move |entry| match entry.kind {
            MovementKind::Captured => !has_failed(MovementKind::CaptureFailed, entry),
            MovementKind::Refunded => !has_failed(MovementKind::RefundFailed, entry),
            MovementKind::CaptureFailed | MovementKind::RefundFailed => false,
            MovementKind::RefundedInTotal
            | MovementKind::DisputeOpened
            | MovementKind::DisputeWon
            | MovementKind::DisputeLost => true,
        })
    }
}

/// Where the money of an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentState {
    /// Nothing was captured in the order's currency.
    Unpaid,
    /// Less than what is due was captured.
    PartlyPaid,
    /// What is due was captured, to the minor unit.
    Paid,
    /// More than what is due was captured.
    Overpaid,
    /// Some of what was captured went back.
    PartlyRefunded,
    /// All that was captured went back.
    Refunded,
    /// The customer's bank questions a payment, and it is not decided.
    Disputed,
}

impl PaymentState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unpaid,
        Self::PartlyPaid,
        Self::Paid,
        Self::Overpaid,
        Self::PartlyRefunded,
        Self::Refunded,
        Self::Disputed,
    ];

    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::PartlyPaid => "partly_paid",
            Self::Paid => "paid",
            Self::Overpaid => "overpaid",
            Self::PartlyRefunded => "partly_refunded",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
        }
    }
}

/// What the payments of an order come to, in the order's charge currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Captured, whatever became of it later.
    pub captured: i64,
    /// Went back by refunds.
    pub refunded: i64,
    /// Went back by disputes that were lost.
    pub lost: i64,
    /// May go back by disputes that are open.
    pub disputed: i64,
    /// A dispute is open.
    pub is_disputed: bool,
}

impl Sums {
    /// All that went back.
    pub const fn returned(self) -> i64 {
        self.refunded.saturating_add(self.lost)
    }
}

/// What creation and the ledger say of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The order was created.
    pub created: Option<Witness>,
    /// The captured money came to cover what is due.
    pub covered: Option<Witness>,
    /// All that was captured went back.
    pub returned: Option<Witness>,
    /// The charge currency; of an order that nobody created, that of its first capture.
    pub currency: Option<Currency>,
    /// What is due; absent for an order that nobody created.
    pub due: Option<Money>,
    /// What its payments come to.
    pub sums: Sums,
    /// The refunds that gateways reported, one by one, in minor units of the charge currency.
    pub reported_refunds: Vec<i64>,
    /// Where its money stands.
    pub state: PaymentState,
    /// Something was captured in another currency than the order's.
    pub is_in_wrong_currency: bool,
    /// Reports of a payment contradict each other.
    pub is_contradictory: bool,
}

impl Settlement {
    /// Whether something was captured, not all of what is due, and it is not all returned.
    pub fn is_underpaid(&self) -> bool {
        let is_short = self.due.is_some_and(|due| self.sums.captured < due.minor());
        self.sums.captured > 0 && is_short && !is_all_returned(self.sums)
    }

    /// Whether more than what is due was captured, and the excess did not go back.
    pub fn is_overpaid(&self) -> bool {
        self.due.is_some_and(|due| self.sums.captured.saturating_sub(self.sums.returned()) > due.minor())
    }
}

/// What creation and the ledger say of an order, from all payments that name it.
pub fn settle(order: &OrderId, placed: Option<&Placed>, payments: &[PaymentFacts]) -> Settlement {
    let owned = payments.iter().filter(|payment| payment.owner() == Some(order));
    let mut entries: Vec<&PaymentEvent> = owned.flat_map(PaymentFacts::standing).collect();
    entries.sort_by_key(|entry| entry.rank());
    let captures = || entries.iter().filter(|entry| entry.kind == MovementKind::Captured);
    let first_captured = captures().next().map(|entry| entry.money.currency());
    let currency = placed.map(|placed| placed.due.currency()).or(first_captured);
    let due = placed.map(|placed| placed.due);
    let total = currency.map(|currency| sums(&entries, currency)).unwrap_or_default();
    // The first entry after which it was so. Asked only of what is so in the end.
    let since = |is_so: &dyn Fn(Sums) -> bool| {
        let currency = currency.filter(|_| is_so(total))?;
        let reached =
            (1..=entries.len()).find(|count| is_so(sums(entries.get(..*count).unwrap_or_default(), currency)));
        entries.get(reached?.checked_sub(1)?).map(|entry| entry.witness())
    };
    Settlement {
        created: placed.map(Placed::witness),
        covered: due.and_then(|due| since(&|sums| sums.captured >= due.minor())),
        returned: due.and_then(|_| since(&|sums| sums.captured == total.captured && is_all_returned(sums))),
        currency,
        due,
        sums: total,
        reported_refunds: currency.map(|currency| reported_refunds(&entries, currency)).unwrap_or_default(),
        state: state(total, due),
        is_in_wrong_currency: captures().any(|entry| Some(entry.money.currency()) != currency),
        is_contradictory: payments.iter().any(PaymentFacts::is_contradictory),
    }
}

/// Whether all that was captured went back.
pub const fn is_all_returned(sums: Sums) -> bool {
    sums.captured > 0 && sums.returned() >= sums.captured
}

fn state(sums: Sums, due: Option<Money>) -> PaymentState {
    let due = due.map(Money::minor);
    match sums {
        _ if sums.is_disputed => PaymentState::Disputed,
        Sums { captured: 0, .. } => PaymentState::Unpaid,
        _ if is_all_returned(sums) => PaymentState::Refunded,
        _ if sums.returned() > 0 => PaymentState::PartlyRefunded,
        // What is due is not known: no sum can be said to cover it.
        _ if due.is_none_or(|due| sums.captured < due) => PaymentState::PartlyPaid,
        _ if due == Some(sums.captured) => PaymentState::Paid,
        _ => PaymentState::Overpaid,
    }
}

/// Standing entries in a currency, by payment.
fn by_payment<'a>(entries: &[&'a PaymentEvent], currency: Currency) -> BTreeMap<&'a PaymentKey, Vec<&'a PaymentEvent>> {
    let mut payments: BTreeMap<&PaymentKey, Vec<&PaymentEvent>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.money.currency() == currency) {
        payments.entry(&entry.payment).or_default().push(entry);
    }
    payments
}

/// What standing entries of one order come to in a currency.
fn sums(entries: &[&PaymentEvent], currency: Currency) -> Sums {
    by_payment(entries, currency).values().fold(Sums::default(), |sums, entries| {
        let of_payment = sums_of_payment(entries);
        Sums {
            captured: sums.captured.saturating_add(of_payment.captured),
            refunded: sums.refunded.saturating_add(of_payment.refunded),
            lost: sums.lost.saturating_add(of_payment.lost),
            disputed: sums.disputed.saturating_add(of_payment.disputed),
            is_disputed: sums.is_disputed || of_payment.is_disputed,
        }
    })
}

fn amounts<'a>(entries: &'a [&PaymentEvent], kind: MovementKind) -> impl Iterator<Item = i64> + 'a {
    entries.iter().filter(move |entry| entry.kind == kind).map(|entry| entry.money.minor())
}

/// The refunds that gateways reported, one by one. Of a gateway that reports their total, what each report adds.
fn reported_refunds(entries: &[&PaymentEvent], currency: Currency) -> Vec<i64> {
    let of_payment = |entries: &Vec<&PaymentEvent>| -> Vec<i64> {
        let single: Vec<i64> = amounts(entries, MovementKind::Refunded).collect();
        let mut totals: BTreeSet<i64> = amounts(entries, MovementKind::RefundedInTotal).collect();
        if totals.last() <= Some(&single.iter().copied().fold(0, i64::saturating_add)) {
            return single;
        }
        totals.insert(0);
        totals.iter().zip(totals.iter().skip(1)).map(|(before, after)| after.saturating_sub(*before)).collect()
    };
    by_payment(entries, currency).values().flat_map(of_payment).collect()
}

/// What the entries of one payment come to. A gateway that reports refunds one by one and one that reports
/// them in total are both believed: the greater is what went back.
fn sums_of_payment(entries: &[&PaymentEvent]) -> Sums {
    let total = |kind| amounts(entries, kind).fold(0, i64::saturating_add);
    let in_total = amounts(entries, MovementKind::RefundedInTotal).max().unwrap_or(0);
    let disputes = disputes(entries);
    let in_dispute = |kind| {
        let of_kind = disputes.values().filter(move |latest| latest.kind == kind);
        of_kind.map(|latest| latest.money.minor()).fold(0, i64::saturating_add)
    };
    let captured = total(MovementKind::Captured);
    let refunded = total(MovementKind::Refunded).max(in_total);
    let lost = match entries.first().map(|entry| entry.payment.gateway) {
        // PayPal tells of one loss twice: of the dispute, and of the reversal that it ends in.
        Some(Gateway::Paypal) => in_dispute(MovementKind::DisputeLost).saturating_sub(refunded),
        _ => in_dispute(MovementKind::DisputeLost),
    };
    Sums {
        captured,
        refunded,
        // A dispute takes what is still there.
        lost: lost.min(captured.saturating_sub(refunded)).max(0),
        disputed: in_dispute(MovementKind::DisputeOpened),
        is_disputed: disputes.values().any(|latest| latest.kind == MovementKind::DisputeOpened),
    }
}

/// The latest word on each dispute.
fn disputes<'a>(entries: &[&'a PaymentEvent]) -> BTreeMap<&'a TransactionId, &'a PaymentEvent> {
    let mut latest: BTreeMap<&TransactionId, &PaymentEvent> = BTreeMap::new();
    let words = entries.iter().filter(|entry| match entry.kind {
        MovementKind::DisputeOpened | MovementKind::DisputeWon | MovementKind::DisputeLost => true,
        MovementKind::Captured
        | MovementKind::CaptureFailed
        | MovementKind::Refunded
        | MovementKind::RefundedInTotal
        | MovementKind::RefundFailed => false,
    });
    for word in words {
        let kept = latest.entry(&word.transaction_id).or_insert(word);
        if (is_decided(word), word.rank()) > (is_decided(kept), kept.rank()) {
            *kept = word;
        }
    }
    latest
}

/// A decision stands whatever the clocks say of the opening.
fn is_decided(word: &PaymentEvent) -> bool {
    word.kind != MovementKind::DisputeOpened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EventId, SourceName};
    use crate::order::{OrderContent, Origin};
    use crate::rate::Rate;

    fn order(id: &str) -> OrderId {
        OrderId::new(id).unwrap()
    }

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, Currency::from_code(code).unwrap()).unwrap()
    }

    fn at(millis: i64) -> UnixMillis {
        UnixMillis::new(millis).unwrap()
    }

    /// An order of 100 euro cents.
    fn placed() -> Placed {
        let by = Origin { source: SourceName::new("shopfront").unwrap(), event_id: EventId::new("n").unwrap() };
        let content = OrderContent { price: money(100, "EUR"), charge_currency: Currency::EUR, lines: Vec::new() };
        Placed::new(content, Rate::identity(Currency::EUR, at(1)), at(1), by).unwrap()
    }

    fn event(kind: MovementKind, transaction: &str, minor: i64, millis: i64) -> PaymentEvent {
        PaymentEvent {
            payment: "adyen#P1".parse().unwrap(),
            transaction_id: TransactionId::new(transaction).unwrap(),
            kind,
            order: None,
            money: money(minor, "EUR"),
            occurred_at: at(millis),
        }
    }

    fn captured(minor: i64) -> PaymentEvent {
        PaymentEvent { order: Some(order("A-1")), ..event(MovementKind::Captured, "c", minor, 10) }
    }

    fn settled(entries: Vec<PaymentEvent>) -> Settlement {
        settle(&order("A-1"), Some(&placed()), &[PaymentFacts { entries, conflicts: Vec::new() }])
    }

    fn since(witness: &Option<Witness>) -> Option<i64> {
        witness.as_ref().map(|witness| witness.at.get())
    }

    #[test]
    fn every_payment_state_can_be_reached() {
        use MovementKind::{DisputeOpened, Refunded};
        let lives = [
            vec![],
            vec![captured(99)],
            vec![captured(100)],
            vec![captured(101)],
            vec![captured(100), event(Refunded, "r", 1, 11)],
            vec![captured(100), event(Refunded, "r", 100, 11)],
            vec![captured(100), event(DisputeOpened, "d", 100, 11)],
        ];
        let reached: Vec<PaymentState> = lives.into_iter().map(|entries| settled(entries).state).collect();
        assert_eq!(reached, PaymentState::ALL);
    }

    #[test]
    fn every_order_of_arrival_settles_the_same() {
        use MovementKind::{DisputeLost, DisputeOpened, DisputeWon, RefundFailed, Refunded, RefundedInTotal};
        let entries = [
            captured(100),
            event(Refunded, "r1", 30, 11),
            event(Refunded, "r2", 20, 12),
            event(RefundFailed, "r2", 20, 15),
            event(RefundedInTotal, "t1", 25, 13),
            event(DisputeOpened, "d", 10, 14),
            event(DisputeWon, "d", 10, 16),
        ];
        let expected = settled(entries.to_vec());
        assert_eq!((expected.sums.captured, expected.sums.refunded, expected.sums.lost), (100, 30, 0));
        assert_eq!(expected.reported_refunds, [30]);
        for first in 0..entries.len() {
            let mut rotated = entries.to_vec();
            rotated.rotate_left(first);
            assert_eq!(settled(rotated.clone()), expected);
            rotated.reverse();
            assert_eq!(settled(rotated), expected);
        }
        let lost = settled(entries.into_iter().chain([event(DisputeLost, "d", 10, 17)]).collect());
        assert_eq!((lost.sums.returned(), lost.state), (40, PaymentState::PartlyRefunded));
    }

    #[test]
    fn paid_and_refunded_are_known_since_the_movement_that_made_them_so() {
        let second = PaymentEvent { order: Some(order("A-1")), ..event(MovementKind::Captured, "c2", 40, 20) };
        let halves = settled(vec![second.clone(), captured(60), event(MovementKind::Refunded, "r", 60, 12)]);
        assert_eq!((since(&halves.covered), since(&halves.returned)), (Some(20), None));
        let gone = vec![
            event(MovementKind::Refunded, "r2", 40, 30),
            second,
            captured(60),
            event(MovementKind::Refunded, "r", 60, 12),
        ];
        assert_eq!(since(&settled(gone).returned), Some(30));
        assert_eq!(since(&settled(vec![captured(99)]).covered), None);
    }

    #[test]
    fn the_later_of_a_refund_and_its_failure_stands() {
        use MovementKind::{RefundFailed, Refunded};
        let refunded = |succeeded_at, failed_at| {
            let entries = [event(Refunded, "r", 40, succeeded_at), event(RefundFailed, "r", 40, failed_at)];
            settled(entries.into_iter().chain([captured(100)]).collect()).sums.refunded
        };
        assert_eq!([refunded(11, 12), refunded(12, 11), refunded(11, 11)], [0, 40, 0]);
    }

    #[test]
    fn what_succeeds_after_it_failed_stands_under_the_same_name() {
        use MovementKind::{CaptureFailed, DisputeLost, DisputeWon};
        // The ledger keeps the latest time of each.
        let again = PaymentEvent { occurred_at: at(12), ..captured(100) };
        assert_eq!(settled(vec![again, event(CaptureFailed, "c", 100, 11)]).state, PaymentState::Paid);
        let lost = [event(DisputeWon, "d", 30, 12), event(DisputeLost, "d", 30, 13)];
        assert_eq!(settled(lost.into_iter().chain([captured(100)]).collect()).sums.lost, 30);
    }

    #[test]
    fn one_loss_that_paypal_tells_twice_counts_once_and_an_open_dispute_binds_its_amount() {
        use MovementKind::{DisputeLost, DisputeOpened, Refunded};
        let at_paypal = |entry: PaymentEvent| PaymentEvent { payment: "paypal#P1".parse().unwrap(), ..entry };
        let told = [captured(100), event(Refunded, "reversal", 60, 11), event(DisputeLost, "d", 60, 12)];
        let sums = |entries: Vec<PaymentEvent>| settled(entries).sums;
        let twice = sums(told.clone().map(at_paypal).to_vec());
        assert_eq!((twice.refunded, twice.lost, twice.returned()), (60, 0, 60));
        let both = sums(told.to_vec());
        assert_eq!((both.refunded, both.lost), (60, 40), "elsewhere they are two, within what was captured");
        assert_eq!(sums(vec![captured(100), event(DisputeOpened, "d", 30, 12)]).disputed, 30);
    }

    #[test]
    fn refunds_that_are_told_in_total_are_told_one_by_one() {
        use MovementKind::{Refunded, RefundedInTotal};
        let reported = |entries: Vec<PaymentEvent>| settled(entries).reported_refunds;
        let totals = vec![event(RefundedInTotal, "2", 70, 12), event(RefundedInTotal, "1", 30, 11), captured(100)];
        assert_eq!(reported(totals), [30, 40]);
        assert_eq!(reported(vec![event(Refunded, "1", 30, 11), event(Refunded, "2", 30, 12)]), Vec::<i64>::new());
        assert_eq!(reported(vec![captured(100), event(Refunded, "1", 30, 11), event(Refunded, "2", 30, 12)]), [30, 30]);
    }

    #[test]
    fn a_capture_that_failed_in_the_end_covers_nothing() {
        let failed = event(MovementKind::CaptureFailed, "c", 100, 11);
        let settlement = settled(vec![failed, captured(100)]);
        assert_eq!((settlement.state, settlement.covered), (PaymentState::Unpaid, None));
    }

    #[test]
    fn a_payment_counts_for_the_order_that_its_capture_names_and_for_no_other() {
        let refund = PaymentEvent { order: Some(order("B-2")), ..event(MovementKind::Refunded, "r", 1, 5) };
        let payment = PaymentFacts { entries: vec![refund, captured(100)], conflicts: Vec::new() };
        let of = |id| settle(&order(id), Some(&placed()), std::slice::from_ref(&payment));
        assert_eq!((of("A-1").sums.captured, of("A-1").is_contradictory), (100, true));
        assert_eq!((of("B-2").sums.captured, of("B-2").is_contradictory), (0, true));
    }

    #[test]
    fn money_in_another_currency_is_no_payment() {
        let dollars = PaymentEvent { money: money(100, "USD"), ..captured(100) };
        let settlement = settled(vec![dollars]);
        assert_eq!((settlement.state, settlement.is_in_wrong_currency), (PaymentState::Unpaid, true));
    }

    #[test]
    fn a_report_agrees_with_the_ledger_or_contradicts_it() {
        let kept = captured(100);
        let later = PaymentEvent { occurred_at: at(99), ..kept.clone() };
        assert_eq!(later.compare(&kept), Recorded::Duplicate);
        for other in [
            captured(101),
            PaymentEvent { money: money(100, "USD"), ..captured(100) },
            PaymentEvent { order: Some(order("B-2")), ..captured(100) },
            PaymentEvent { order: None, ..captured(100) },
        ] {
            assert_eq!(other.compare(&kept), Recorded::Conflict, "{other:?}");
        }
    }

    #[test]
    fn a_payment_key_reads_back() {
        let key: PaymentKey = "paypal#8MC585209K746392H".parse().unwrap();
        assert_eq!(key.to_string(), "paypal#8MC585209K746392H");
        for text in ["", "paypal", "paypal#", "elsewhere#1", "paypal#a#b"] {
            assert!(text.parse::<PaymentKey>().is_err(), "{text}");
        }
    }
}
