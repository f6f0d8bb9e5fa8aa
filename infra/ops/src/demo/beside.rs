//! The ledger beside the orders: what gateways truly took and gave back, what the ledger holds of it, and what an
//! order's view makes of that.

use std::collections::{BTreeMap, BTreeSet};

use adapters::ports::Ledger;
use comfy_table::Table;
use domain::{Currency, Money, OrderView, RefundState};

use super::payments::{self, Truth};
use super::plan::Order;
use crate::stack::Session;
use crate::table::{count, table};

/// One order, with what is known of its money.
#[derive(Debug)]
pub(super) struct Beside<'a> {
    pub(super) order: &'a Order,
    pub(super) view: &'a OrderView,
    truth: Truth,
    entries: usize,
    conflicts: usize,
}

impl<'a> Beside<'a> {
    /// Reads what the ledger holds under the order.
    pub(super) async fn read(session: &Session, order: &'a Order, view: &'a OrderView) -> anyhow::Result<Self> {
        let ledger = session.ledger()?;
        let (mut entries, mut conflicts) = (0, 0);
        for payment in ledger.payments_of(&order.id).await? {
            let facts = ledger.read(&payment).await?;
            entries += facts.entries.len();
            conflicts += facts.conflicts.len();
        }
        Ok(Self { order, view, truth: payments::truth(&order.told), entries, conflicts })
    }

    /// What is not as the story tells: the status, the flags, and the money.
    pub(super) fn surprises(&self) -> Vec<String> {
        let Order { id, story, .. } = self.order;
        let mut found = Vec::new();
        let status = self.view.status.as_str();
        if status != story.ends_as {
            found.push(says("the status", &status, &story.ends_as));
        }
        let raised: BTreeSet<String> = self.view.flags.iter().map(|flag| flag.as_str().to_owned()).collect();
        found.extend(story.flags.difference(&raised).map(|flag| format!("the flag {flag} is not raised")));
        found.extend(raised.difference(&story.flags).map(|flag| format!("the flag {flag} is raised")));
        let state = self.view.settlement.state.as_str();
        if state != story.money_ends_as {
            found.push(says("the payment state", &state, &story.money_ends_as));
        }
        found.extend(self.disagreements());
        found.into_iter().map(|found| format!("{id}: {found}")).collect()
    }

    /// Where ledger and view do not say what truly happened to the money.
    fn disagreements(&self) -> Vec<String> {
        let Self { order, view, truth, .. } = self;
        let settlement = &view.settlement;
        let sums = settlement.sums;
        let of = |sums: &BTreeMap<Currency, i64>| {
            settlement.currency.and_then(|currency| sums.get(&currency).copied()).unwrap_or_default()
        };
        let minors = [("paid", sums.captured, of(&truth.took)), ("returned", sums.returned(), of(&truth.gave_back))];
        let counts = [
            ("ledger entries:", self.entries, truth.movements),
            ("contradictions:", self.conflicts, truth.contradictions),
        ];
        let mut found = Vec::new();
        found.extend(minors.iter().filter(|(_, is, was)| is != was).map(|(what, is, was)| says(what, is, was)));
        found.extend(counts.iter().filter(|(_, is, was)| is != was).map(|(what, is, was)| says(what, is, was)));
        if settlement.due != order.due {
            let text = |due: Option<Money>| due.map_or("nothing".to_owned(), |due| due.to_string());
            found.push(says("due", &text(settlement.due), &text(order.due)));
        }
        let open = view.refunds.iter().filter(|(_, state)| *state == RefundState::Requested);
        found.extend(open.map(|(refund, _)| format!("{} was told of and is still requested", refund.id)));
        found
    }
}

fn says(what: &str, is: &impl std::fmt::Display, was: &impl std::fmt::Display) -> String {
    format!("{what} {is} in place of {was}")
}

/// What the columns of the table hold.
pub(super) const LEGEND: &str = "\
taken, given back: what the gateways truly did; paid, returned: what the order's view says of it
told: callbacks; kept: ledger entries; confl.: contradictions, kept beside the entries and not counted";

/// One order a row.
pub(super) fn beside_table(all: &[Beside<'_>]) -> Table {
    let mut rows =
        table(["order", "due", "taken", "given back", "paid", "returned", "told", "kept", "confl.", "agree"]);
    for beside in all {
        let Beside { order, view, truth, entries, conflicts } = beside;
        let settlement = &view.settlement;
        let of_view = |minor: i64| {
            let money = settlement.currency.and_then(|currency| Money::new(minor, currency).ok());
            amount(money.filter(|money| !money.is_zero()))
        };
        rows.add_row([
            order.story.order.clone(),
            amount(settlement.due),
            sums(&truth.took),
            sums(&truth.gave_back),
            of_view(settlement.sums.captured),
            of_view(settlement.sums.returned()),
            count(truth.callbacks),
            count(*entries),
            count(*conflicts),
            if beside.disagreements().is_empty() { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    rows
}

fn sums(sums: &BTreeMap<Currency, i64>) -> String {
    let moneys = sums.iter().map(|(currency, minor)| amount(Money::new(*minor, *currency).ok()));
    moneys.collect::<Vec<_>>().join("\n")
}

fn amount(money: Option<Money>) -> String {
    money.map(|money| money.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use domain::{Gateway, MovementKind, OrderId, OrderKnowledge, PaymentEvent, TransactionId, UnixMillis, view};

    use super::*;
    use crate::demo::payments::{NamedPayment, Told};
    use crate::demo::story;

    /// An order that must end as one that is known by a link only.
    fn order() -> Order {
        let stories = story::read().unwrap().orders;
        let story = stories.into_iter().find(|story| story.order == "known-by-link-only").unwrap();
        Order { id: OrderId::new("A-1").unwrap(), story, due: None, payments: Vec::new(), told: Vec::new() }
    }

    fn surprises(order: &Order, (entries, conflicts): (usize, usize)) -> Vec<String> {
        let view = view(&order.id, &OrderKnowledge::default());
        let truth = payments::truth(&order.told);
        Beside { order, view: &view, truth, entries, conflicts }.surprises()
    }

    #[test]
    fn a_flag_too_few_and_a_flag_too_many_are_surprises() {
        let mut order = order();
        let missing = ["A-1: the status PENDING in place of PURCHASING", "A-1: the flag moved_on_unpaid is not raised"];
        assert_eq!(surprises(&order, (0, 0)), missing);
        (order.story.ends_as, order.story.flags) = ("PENDING".to_owned(), BTreeSet::new());
        assert_eq!(surprises(&order, (0, 0)), ["A-1: the flag not_created is raised"]);
    }

    #[test]
    fn money_that_ledger_and_gateways_tell_differently_is_a_surprise() {
        let mut order = order();
        (order.story.ends_as, order.story.flags) = ("PENDING".to_owned(), BTreeSet::from(["not_created".to_owned()]));
        let payment = NamedPayment::new(Gateway::Stripe, UnixMillis::EPOCH, 1).unwrap();
        let event = PaymentEvent {
            payment: payment.key,
            transaction_id: TransactionId::new("ch_1").unwrap(),
            kind: MovementKind::Captured,
            order: Some(order.id.clone()),
            money: Money::new(100, Currency::EUR).unwrap(),
            occurred_at: UnixMillis::EPOCH,
        };
        order.told = vec![Told { event, times: 2, late: false, contradicts: false }];
        assert_eq!(surprises(&order, (1, 0)), Vec::<String>::new(), "in no currency of an order that nobody created");
        let found = surprises(&order, (0, 1));
        assert_eq!(found, ["A-1: ledger entries: 0 in place of 1", "A-1: contradictions: 1 in place of 0"]);
        order.due = Some(Money::new(100, Currency::EUR).unwrap());
        assert_eq!(surprises(&order, (1, 0)), ["A-1: due nothing in place of 1.00 EUR"]);
    }
}
