//! Refunds: granted by the pinned rate, within what was paid, and never by the rate of the day.

use std::time::Duration;

use adapters::knowledge::read_order;
use adapters::ports::{Ledger, OrderBook, OrderStore, Refunded, TradeStore};
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
        let settlement = settle(&order, known.order.placed.as_ref(), &known.payments);
        let Matched { refunds, elsewhere_minor } = matched(known.order.refunds_in_turn(), &settlement.reported_refunds);
        if let Some((kept, state)) = refunds.into_iter().find(|(refund, _)| refund.id == id) {
            return repeated(order, kept.clone(), state, asked);
        }
        // A refund that is being written at this moment may be this very one: nothing is decided before it is seen whole.
        if known.order.has_all_refunds() {
            let gone = (settlement.sums, elsewhere_minor);
            let refund = decide(&known, gone, (id.clone(), asked), now, &by)?;
            match orders.refund(&order, &refund).await? {
                Refunded::Granted => return Ok(answer(201, order, refund, RefundState::Requested)),
                // Written since it was looked for, by another try of this request: no gateway can have told of it.
                Refunded::Kept(kept) => return repeated(order, *kept, RefundState::Requested, asked),
                Refunded::Moved => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(round * ROUND_WAIT_MS)).await;
    }
    Err(PortError::new("orders.refund", Cause::Contended, Certainty::Determinate).into())
}

/// The refund by what is known now.
fn decide(
    known: &OrderKnowledge,
    gone: (Sums, i64),
    (id, asked): (RefundId, Money),
    at: UnixMillis,
    by: &Origin,
) -> Result<Refund, Refusal> {
    let placed = known.order.placed.as_ref().ok_or(Refusal::Conflict("nobody created this order"))?;
    let Granted { priced, charged, through } =
        grant(placed, known.order.refund_totals, gone, asked).map_err(refusal)?;
    Ok(Refund { id, asked, priced, charged, through, at, by: by.clone() })
}

/// A refund of this id was granted before.
fn repeated(order: OrderId, kept: Refund, state: RefundState, asked: Money) -> Result<Response, NotAnswered> {
    if kept.asked != asked {
        return Err(Refusal::Conflict("a refund of this id was granted for another amount").into());
    }
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
