//! Quotes and new orders. A quote may be minutes old; an order captures its rate afresh and keeps it for ever.

use adapters::ports::{Ledger, OrderBook, OrderStore, RateSource, TradeStore};
use adapters::quotes::QuoteCache;
use adapters::{Certainty, PortError, error::Cause};
use domain::{Currency, Money, NoRate, NotPlaced, OrderContent, Origin, Placed, Rate, UnixMillis};
use lambda::http::{NotAnswered, Response};
use protocols::Refusal;
use protocols::orders_api::{self, OrderRequest};
use rust_decimal::Decimal;

use crate::reading::show_order;

const CONFLICT: Refusal = Refusal::Conflict("an order of this id was created with other content");

/// What an amount would come to in another currency.
pub(crate) async fn quote(
    amount: Money,
    to: Currency,
    now: UnixMillis,
    (source, cache): (&impl RateSource, &QuoteCache),
) -> Result<Response, NotAnswered> {
    let rate = match amount.currency() == to {
        true => Rate::identity(to, now),
        false => {
            let (rates, fetched_at) = cache.rates(source, now).await?;
            rates.rate(amount.currency(), to, fetched_at).map_err(no_rate)?
        }
    };
    let converted = rate.convert(amount).map_err(orders_api::impossible)?;
    Ok(Response::json(200, &orders_api::quote(&rate, amount, converted)))
}

/// Creates an order with its rate in one write: 201. The same again is 200, other content under its id 409.
pub(crate) async fn create(
    request: OrderRequest,
    now: UnixMillis,
    by: Origin,
    facts: (&(impl OrderStore + OrderBook), &impl TradeStore, &impl Ledger),
    (rates, tolerance_percent): (&impl RateSource, Decimal),
) -> Result<Response, NotAnswered> {
    let OrderRequest { id, content, shown } = request;
    // An order that is there needs no rate, and must not fail for want of one.
    if let Some(kept) = facts.0.read(&id).await?.placed {
        return if kept.content == content { show_order(200, id, facts).await } else { Err(CONFLICT.into()) };
    }
    let rate = captured_rate(&content, now, rates).await?;
    if shown.is_some_and(|shown| !rate.is_within(shown, tolerance_percent)) {
        let converted = rate.convert(content.price).map_err(orders_api::impossible)?;
        let quote = orders_api::quote(&rate, content.price, converted);
        return Ok(Response::refused_with(Refusal::RateMoved, "quote", &quote));
    }
    let placed = Placed::new(content, rate, now, by).map_err(not_placed)?;
    match facts.0.place(&id, &placed).await? {
        None => show_order(201, id, facts).await,
        // The answer to our own write was lost on the way, and it was done again.
        Some(kept) if kept == placed => show_order(201, id, facts).await,
        Some(kept) if kept.content == placed.content => show_order(200, id, facts).await,
        Some(_) => Err(CONFLICT.into()),
    }
}

/// The rate of this moment, from its source and from no cache.
async fn captured_rate(content: &OrderContent, now: UnixMillis, rates: &impl RateSource) -> Result<Rate, NotAnswered> {
    let (from, to) = (content.price.currency(), content.charge_currency);
    if from == to {
        return Ok(Rate::identity(to, now));
    }
    rates.rates().await?.rate(from, to, now).map_err(no_rate)
}

/// A currency that is not listed will not be by trying again; stale rates will be replaced.
fn no_rate(no_rate: NoRate) -> NotAnswered {
    match no_rate {
        NoRate::Unlisted => Refusal::Impossible("there is no reference rate between these currencies").into(),
        NoRate::Stale => {
            let error = PortError::new("rates.rates", Cause::Away, Certainty::Determinate);
            PortError { source: Some(Box::new(no_rate)), ..error }.into()
        }
    }
}

const fn not_placed(not_placed: NotPlaced) -> Refusal {
    match not_placed {
        NotPlaced::Nothing => Refusal::Impossible("the price comes to nothing in the charge currency"),
        NotPlaced::Amount(invalid) => orders_api::impossible(invalid),
    }
}
