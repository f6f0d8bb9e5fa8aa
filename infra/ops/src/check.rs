//! `sampan check`: order-check, invoked now and not by its schedule, until it went through all.

use std::collections::BTreeMap;

use adapters::ports::LedgerPlace;
use anyhow::ensure;
use domain::{Concern, OrderId};
use protocols::checks::{Answer, Found, Request, UNREADABLE};

use crate::invoke::Function;
use crate::stack::Session;
use crate::table::{spinner, table};

/// What to do about a concern, by its name.
const ADVICE: [(&str, &str); 3] = [
    (
        Concern::PaidTooLong.as_str(),
        "paid, and nothing was bought: buy it and link the trade, or see why the purchase was not reported",
    ),
    (UNREADABLE, "what is kept of it cannot be read: the runbook, under `…-order-damaged`"),
    (
        Concern::PaidNotCreated.as_str(),
        "paid, and nobody created it: create it as the shop front would have, or send the money back",
    ),
];

/// Checks, and tells.
pub(crate) async fn run(session: &Session) -> anyhow::Result<()> {
    let function = Function::new(session, "order-check")?;
    let (mut checked, mut unnamed, mut after) = (0, 0, None);
    // An order that was paid in parts may be met by two runs.
    let mut found: BTreeMap<OrderId, Found> = BTreeMap::new();
    let bar = spinner("Check");
    loop {
        bar.set_message(format!("{checked} orders"));
        let answer: Answer<LedgerPlace> = function.call(&Request { after }).await?;
        checked += answer.checked;
        unnamed += answer.count.saturating_sub(answer.found.len());
        found.extend(answer.found.into_iter().map(|order| (order.order_id.clone(), order)));
        after = answer.next;
        if after.is_none() {
            break;
        }
    }
    bar.finish_and_clear();
    let count = found.len() + unnamed;
    if count == 0 {
        println!("{checked} orders that money was captured for; none asks for a person.");
        return Ok(());
    }
    let mut rows = table(["order", "since", "what is wrong, and what to do"]);
    for order in found.values() {
        let advice = ADVICE.iter().find(|(concern, _)| *concern == order.concern).map(|(_, advice)| *advice);
        let since = order.since.as_deref().unwrap_or_default();
        rows.add_row([order.order_id.as_str(), since, advice.unwrap_or(&order.concern)]);
    }
    println!("{rows}");
    if unnamed > 0 {
        println!("{unnamed} more are in the log of order-check: `event` = `order.found`.");
    }
    ensure!(count == 0, "{count} of {checked} orders ask for a person");
    Ok(())
}
