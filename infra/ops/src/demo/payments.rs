//! What gateways tell of the story's payments, and the truth behind it: what they took and gave back.
//!
//! Invariant: one list of movements is both what is sent and what the ledger is compared with.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use domain::{Currency, Gateway, Money, MovementKind, PaymentEvent, PaymentId, PaymentKey, TransactionId, UnixMillis};

use super::plan::{Act, Order, Planned};
use super::tally::otherwise;
use crate::samples;

/// A payment, and the digits that its gateway's names for it and for its movements have in common.
#[derive(Debug, Clone)]
pub(super) struct NamedPayment {
    pub(super) key: PaymentKey,
    digits: String,
}

/// A movement as its gateway tells of it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) event: PaymentEvent,
    /// How often.
    pub(super) times: usize,
    /// When all the rest has settled.
    pub(super) late: bool,
    /// It did not happen; the ledger knows better.
    pub(super) contradicts: bool,
}

/// What a gateway's names begin with: of payments, captures, refunds and disputes. Where the first two are the same,
/// a capture goes by its payment's name.
const fn prefixes(gateway: Gateway) -> [&'static str; 4] {
    match gateway {
        Gateway::Stripe => ["pi_", "ch_", "re_", "dp_"],
        Gateway::Paypal => ["8MC", "8MC", "5RF", "PP-D-"],
        Gateway::Adyen => ["8815", "8825", "8835", "8845"],
        Gateway::Airwallex => ["int_hk", "int_hk", "rfd_hk", "dis_hk"],
        Gateway::Alipay => ["2200", "2200", "2201", "2202"],
        Gateway::Wechatpay => ["4200", "4200", "5030", "5031"],
    }
}

impl NamedPayment {
    /// The payment of that number in a run.
    pub(super) fn new(gateway: Gateway, run: UnixMillis, number: usize) -> anyhow::Result<Self> {
        let [prefix, ..] = prefixes(gateway);
        let digits = format!("{}{number:03}", run.get());
        let payment_id = PaymentId::new(format!("{prefix}{digits}"))?;
        Ok(Self { key: PaymentKey { gateway, payment_id }, digits })
    }

    /// The gateway's name of a movement. A refund is one of several; of the others a payment has one each.
    fn transaction(&self, kind: MovementKind, refund: usize) -> anyhow::Result<TransactionId> {
        let [_, capture, refunded, dispute] = prefixes(self.key.gateway);
        let digits = &self.digits;
        Ok(TransactionId::new(match kind {
            MovementKind::Captured | MovementKind::CaptureFailed => format!("{capture}{digits}"),
            MovementKind::Refunded | MovementKind::RefundedInTotal | MovementKind::RefundFailed => {
                format!("{refunded}{digits}{refund:02}")
            }
            MovementKind::DisputeOpened | MovementKind::DisputeWon | MovementKind::DisputeLost => {
                format!("{dispute}{digits}")
            }
        })?)
    }
}

/// What gateways tell of an order by themselves.
pub(super) fn told(order: &Order, run: UnixMillis) -> anyhow::Result<Vec<Told>> {
    let mut all = Vec::new();
    for (payment, story) in order.payments.iter().zip(&order.story.payments) {
        for movement in &story.movements {
            let event = PaymentEvent {
                payment: payment.key.clone(),
                transaction_id: payment.transaction(movement.kind, 0)?,
                kind: movement.kind,
                order: Some(order.id.clone()),
                money: movement.amount.money(order.due)?,
                occurred_at: run.saturating_add_ms(-movement.minutes_ago * 60_000),
            };
            let (times, late, contradicts) = (movement.times, movement.late, movement.contradicts);
            all.push(Told { event, times, late, contradicts });
        }
    }
    Ok(all)
}

/// What the gateway of the order's first payment tells when it gave this much back at the shop front's word: Alipay
/// what it gave back in all, the others this refund.
pub(super) fn refund_told(
    order: &Order,
    (number, times): (usize, usize),
    charged: Money,
    at: UnixMillis,
) -> anyhow::Result<Told> {
    let payment = order.payments.first().context("a refund goes back through the first payment, and there is none")?;
    let (kind, money) = match payment.key.gateway {
        Gateway::Alipay => {
            let told = order.told.iter().filter(|told| told.event.kind == MovementKind::RefundedInTotal);
            let before = told.map(|told| told.event.money.minor()).max().unwrap_or(0);
            let in_total = Money::new(before.saturating_add(charged.minor()), charged.currency())?;
            (MovementKind::RefundedInTotal, in_total)
        }
        Gateway::Stripe | Gateway::Paypal | Gateway::Adyen | Gateway::Airwallex | Gateway::Wechatpay => {
            (MovementKind::Refunded, charged)
        }
    };
    let event = PaymentEvent {
        payment: payment.key.clone(),
        transaction_id: payment.transaction(kind, number)?,
        kind,
        order: Some(order.id.clone()),
        money,
        occurred_at: at,
    };
    Ok(Told { event, times, late: false, contradicts: false })
}

impl Told {
    /// Its callbacks, one for each time.
    pub(super) fn callbacks(&self) -> impl Iterator<Item = Planned> {
        let PaymentEvent { payment, transaction_id, kind, .. } = &self.event;
        let (gateway, kind) = (payment.gateway, kind.as_str());
        let (row, name) = (format!("{}: {kind}", gateway.as_str()), format!("{kind}#{transaction_id}"));
        let (row, name) = match self.contradicts {
            true => (format!("{row}, contradicted"), otherwise(&name)),
            false => (row, name),
        };
        let planned = Planned {
            kind: row,
            act: Act::Callback(self.event.clone()),
            events: vec![(payment.to_string(), name)],
            expected: samples::accepted(gateway),
        };
        std::iter::repeat_n(planned, self.times)
    }
}

/// What gateways truly took and gave back for an order, in minor units by currency, and how they told of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) took: BTreeMap<Currency, i64>,
    pub(super) gave_back: BTreeMap<Currency, i64>,
    /// Movements that happened: what the ledger must have an entry of.
    pub(super) movements: usize,
    /// Movements that were told of otherwise.
    pub(super) contradictions: usize,
    /// Callbacks in all.
    pub(super) callbacks: usize,
}

/// The truth of everything that was told.
pub(super) fn truth(told: &[Told]) -> Truth {
    let happened = || told.iter().filter(|told| !told.contradicts).map(|told| &told.event);
    let keys = |events: &mut dyn Iterator<Item = &PaymentEvent>| {
        let keys: BTreeSet<_> = events.map(|event| (&event.payment, event.kind, &event.transaction_id)).collect();
        keys.len()
    };
    let stands = |event: &PaymentEvent, failed: MovementKind| {
        !happened().any(|other| other.kind == failed && other.transaction_id == event.transaction_id)
    };
    let mut truth = Truth {
        movements: keys(&mut happened()),
        contradictions: keys(&mut told.iter().filter(|told| told.contradicts).map(|told| &told.event)),
        callbacks: told.iter().map(|told| told.times).sum(),
        ..Truth::default()
    };
    let mut in_total: BTreeMap<&PaymentKey, Money> = BTreeMap::new();
    for event in happened() {
        match event.kind {
            MovementKind::Captured if stands(event, MovementKind::CaptureFailed) => add(&mut truth.took, event.money),
            MovementKind::Refunded if stands(event, MovementKind::RefundFailed) => {
                add(&mut truth.gave_back, event.money);
            }
            MovementKind::DisputeLost => add(&mut truth.gave_back, event.money),
            MovementKind::RefundedInTotal => {
                let greatest = in_total.entry(&event.payment).or_insert(event.money);
                *greatest = event.money.max(*greatest);
            }
            MovementKind::Captured
            | MovementKind::Refunded
            | MovementKind::CaptureFailed
            | MovementKind::RefundFailed
            | MovementKind::DisputeOpened
            | MovementKind::DisputeWon => {}
        }
    }
    in_total.into_values().for_each(|money| add(&mut truth.gave_back, money));
    truth
}

fn add(sums: &mut BTreeMap<Currency, i64>, money: Money) {
    let sum = sums.entry(money.currency()).or_default();
    *sum = sum.saturating_add(money.minor());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(gateway: Gateway, kind: MovementKind, minor: i64, refund: usize) -> Told {
        let payment = NamedPayment::new(gateway, UnixMillis::EPOCH, 1).unwrap();
        let event = PaymentEvent {
            transaction_id: payment.transaction(kind, refund).unwrap(),
            payment: payment.key,
            kind,
            order: None,
            money: Money::new(minor, Currency::EUR).unwrap(),
            occurred_at: UnixMillis::EPOCH,
        };
        Told { event, times: 3, late: false, contradicts: false }
    }

    fn sums(told: &[Told]) -> (i64, i64) {
        let truth = truth(told);
        let of = |sums: &BTreeMap<Currency, i64>| sums.get(&Currency::EUR).copied().unwrap_or_default();
        (of(&truth.took), of(&truth.gave_back))
    }

    #[test]
    fn the_truth_counts_each_movement_once_and_only_what_happened() {
        use MovementKind::{Captured, RefundFailed, Refunded};
        let otherwise = Told { contradicts: true, ..told(Gateway::Stripe, Captured, 101, 0) };
        let all = [
            told(Gateway::Stripe, Captured, 100, 0),
            otherwise,
            told(Gateway::Stripe, Refunded, 30, 0),
            told(Gateway::Stripe, RefundFailed, 30, 0),
            told(Gateway::Stripe, Refunded, 20, 1),
        ];
        let truth = truth(&all);
        assert_eq!((truth.movements, truth.contradictions, truth.callbacks), (4, 1, 15));
        assert_eq!(sums(&all), (100, 20));
    }

    #[test]
    fn what_went_back_in_total_is_the_greatest_that_was_told() {
        use MovementKind::{Captured, DisputeLost, RefundedInTotal};
        let all = [
            told(Gateway::Alipay, Captured, 100, 0),
            told(Gateway::Alipay, RefundedInTotal, 50, 2),
            told(Gateway::Alipay, RefundedInTotal, 20, 1),
        ];
        assert_eq!(sums(&all), (100, 50));
        assert_eq!(sums(&[told(Gateway::Adyen, DisputeLost, 40, 0)]), (0, 40));
    }
}
