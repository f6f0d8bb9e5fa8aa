//! What all tables together know of one order.

use std::collections::BTreeMap;

use domain::{OrderId, OrderKnowledge, PaymentFacts, TradeKey};
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::error::PortError;
use crate::ports::{Ledger, OrderStore, TradeStore};

/// Payments of one order that are read side by side.
const PAYMENTS_AT_ONCE_MAX: usize = 8;

/// Everything that [`domain::view()`] asks for: one query of the order, one of the index of payments, one batch read
/// when the order has links, and one query a payment. `None` for an order of which nothing is known.
pub async fn read_order(
    orders: &impl OrderStore,
    trades: &impl TradeStore,
    ledger: &impl Ledger,
    id: &OrderId,
) -> Result<Option<OrderKnowledge>, PortError> {
    let (order, payments) = futures::try_join!(orders.read(id), ledger.payments_of(id))?;
    if order.is_empty() && payments.is_empty() {
        return Ok(None);
    }
    let linked: Vec<TradeKey> = order.links().map(|link| link.trade.clone()).collect();
    let statuses = async { if linked.is_empty() { Ok(BTreeMap::new()) } else { trades.statuses(&linked).await } };
    let reads = stream::iter(&payments).map(|payment| ledger.read(payment));
    let (trades, payments) =
        futures::try_join!(statuses, reads.buffered(PAYMENTS_AT_ONCE_MAX).try_collect::<Vec<PaymentFacts>>())?;
    Ok(Some(OrderKnowledge { order, trades, payments }))
}
