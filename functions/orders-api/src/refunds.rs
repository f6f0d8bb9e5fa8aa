//! Refunds: granted by the pinned rate, within what was paid, and never by the rate of the day.

use std::collections::BTreeMap;
use std::time::Duration;

use adapters::ports::{Ledger, OrderBook, OrderStore, Refunded, TradeStore, read_order};
use adapters::{Certainty, PortError, error::Cause};
use domain::payment::settle;
use domain::refund::{grant, matched};
use domain::{
    Granted, Matched, Money, NoRefund, OrderId, OrderKnowledge, Origin, Refund, RefundId, RefundState, Sums, UnixMillis,
};
use lambda::http::{NotAnswered, Response};
use protocols::{Refusal, orders_api};

/// How often a refund is decided anew because others of its order were granted meanwhile. Each time one of those
/// that compete is granted; who is overtaken more often is asked to try again.
const ROUNDS_MAX: u64 = 20;
/// The wait before the next round grows by this, in milliseconds.
const ROUND_WAIT_MS: u64 = 5;

/// Grants a refund: 201. The same again is 200, another amount under its id 409.
pub(crate) async fn refund(
    order: OrderId,
    (id, asked): (RefundId, Money),
    now: UnixMillis,
    by: Origin,
    (orders, trades, ledger): (&(impl OrderStore + OrderBook), &impl TradeStore, &impl Ledger),
) -> Result<Response, NotAnswered> {
    for round in 0..ROUNDS_MAX {
        let known = read_order(orders, trades, ledger, &order).await?.ok_or(Refusal::Unknown("order"))?;
        let beside = Beside::of(&order, &known);
        if let Some(kept) = known.order.refunds.get(&id) {
            return repeated(order, kept.clone(), asked, &beside);
        }
        // A refund that is being written at this moment may be this very one: nothing is decided before it is seen whole.
        if known.order.has_all_refunds() {
            let refund = decide(&known, &beside, (id.clone(), asked), now, &by)?;
            match orders.refund(&order, &refund).await? {
                Refunded::Granted => return Ok(answer(201, order, refund, RefundState::Requested)),
                Refunded::Kept(kept) => return repeated(order, *kept, asked, &beside),
                Refunded::Moved => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(round * ROUND_WAIT_MS)).await;
    }
    Err(PortError::new("orders.refund", Cause::Contended, Certainty::Determinate).into())
}

/// What gateways say beside the refunds of an order.
struct Beside {
    sums: Sums,
    elsewhere_minor: i64,
    states: BTreeMap<RefundId, RefundState>,
}

impl Beside {
    fn of(order: &OrderId, known: &OrderKnowledge) -> Self {
        let settlement = settle(order, known.order.placed.as_ref(), &known.payments);
        let refunds = known.order.refunds_in_turn();
        let granted: Vec<i64> = refunds.iter().map(|refund| refund.charged.minor()).collect();
        let Matched { states, elsewhere_minor } = matched(&granted, &settlement.reported_refunds);
        let states = refunds.into_iter().map(|refund| refund.id.clone()).zip(states).collect();
        Self { sums: settlement.sums, elsewhere_minor, states }
    }
}

/// The refund by what is known now.
fn decide(
    known: &OrderKnowledge,
    beside: &Beside,
    (id, asked): (RefundId, Money),
    at: UnixMillis,
    by: &Origin,
) -> Result<Refund, Refusal> {
    let placed = known.order.placed.as_ref().ok_or(Refusal::Conflict("nobody created this order"))?;
    let reported = (beside.sums, beside.elsewhere_minor);
    let Granted { priced, charged, through } =
        grant(placed, known.order.refund_totals, reported, asked).map_err(refusal)?;
    Ok(Refund { id, asked, priced, charged, through, at, by: by.clone() })
}

/// A refund of this id was granted before.
fn repeated(order: OrderId, kept: Refund, asked: Money, beside: &Beside) -> Result<Response, NotAnswered> {
    if kept.asked != asked {
        return Err(Refusal::Conflict("a refund of this id was granted for another amount").into());
    }
    let state = beside.states.get(&kept.id).copied().unwrap_or(RefundState::Requested);
    Ok(answer(200, order, kept, state))
}

fn answer(status: u16, order: OrderId, refund: Refund, state: RefundState) -> Response {
    Response::json(status, &orders_api::refund(order, refund, state))
}

const fn refusal(no_refund: NoRefund) -> Refusal {
    match no_refund {
        NoRefund::NoRateRecord => {
            Refusal::Damaged("the order has no record of its rate, and no other rate may be used")
        }
        NoRefund::Currency => Refusal::Impossible("the refund is in neither currency of the order"),
        NoRefund::Nothing => Refusal::Impossible("the refund comes to nothing in the charge currency"),
        NoRefund::BeyondPaid => Refusal::Impossible("the refund is more than what was paid and is not refunded yet"),
        NoRefund::Amount(invalid) => orders_api::impossible(invalid),
    }
}
