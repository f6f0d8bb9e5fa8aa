//! Orders and trades as they stand, and the links between them.

use adapters::knowledge::read_order;
use adapters::ports::{Ledger, OrderStore, TradeStore};
use domain::{Link, OrderId, TradeKey, view};
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda::http::{NotAnswered, Response};
use protocols::{Refusal, orders_api};

/// Links written side by side.
const LINKS_AT_ONCE_MAX: usize = 8;

/// The order, under this HTTP status.
pub(crate) async fn show_order(
    status: u16,
    id: OrderId,
    (orders, trades, ledger): (&impl OrderStore, &impl TradeStore, &impl Ledger),
) -> Result<Response, NotAnswered> {
    let known = read_order(orders, trades, ledger, &id).await?.ok_or(Refusal::Unknown("order"))?;
    let view = view(&id, &known);
    Ok(Response::json(status, &orders_api::order(id, view)))
}

/// Links trades to an order, and shows it.
pub(crate) async fn link(
    id: OrderId,
    links: Vec<Link>,
    facts: (&impl OrderStore, &impl TradeStore, &impl Ledger),
) -> Result<Response, NotAnswered> {
    let writes = stream::iter(&links).map(|link| facts.0.link(&id, link));
    writes.buffer_unordered(LINKS_AT_ONCE_MAX).try_collect::<Vec<_>>().await?;
    show_order(200, id, facts).await
}

/// A trade, with the orders that it is linked from.
pub(crate) async fn show_trade(
    key: TradeKey,
    orders: &impl OrderStore,
    trades: &impl TradeStore,
) -> Result<Response, NotAnswered> {
    let facts = trades.read(&key).await?;
    let linked_from = orders.orders_of(&key).await?;
    if facts.is_empty() && linked_from.is_empty() {
        return Err(Refusal::Unknown("trade").into());
    }
    Ok(Response::json(200, &orders_api::trade_detail(key, &facts, linked_from)))
}
