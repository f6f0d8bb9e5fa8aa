//! `sampan ledger`: what gateways reported of money that moved, entry by entry.

use std::collections::BTreeMap;

use adapters::ports::Ledger;
use anyhow::{bail, ensure};
use clap::Subcommand;
use comfy_table::Table;
use domain::{MovementKind, OrderId, PaymentEvent, PaymentFacts, PaymentKey};

use crate::stack::Session;
use crate::table::table;

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Show the entries of one payment, or of all payments of one order
    Show {
        /// A payment as GATEWAY#PAYMENT_ID, or an order with --order
        #[arg(required_unless_present = "order")]
        payment: Option<String>,
        /// All payments that name this order
        #[arg(long, value_name = "ID", conflicts_with = "payment")]
        order: Option<String>,
    },
    /// List payments
    List {
        /// Only payments with reports that contradict each other
        #[arg(long)]
        conflicts: bool,
        /// Only captured payments that name no order
        #[arg(long)]
        without_order: bool,
    },
}

/// Shows or lists payments.
pub async fn run(session: &Session, command: LedgerCommand) -> anyhow::Result<()> {
    let ledger = session.ledger()?;
    match command {
        LedgerCommand::Show { payment, order } => {
            let (payments, unknown) = match (payment, order) {
                (Some(payment), _) => (vec![payment.parse()?], format!("the ledger has no payment {payment}")),
                (None, Some(order)) => {
                    let payments = ledger.payments_of(&OrderId::new(order.as_str())?).await?;
                    (payments, format!("no payment names the order {order}"))
                }
                (None, None) => bail!("give a payment or --order"),
            };
            let mut found = BTreeMap::new();
            for payment in payments {
                let facts = ledger.read(&payment).await?;
                found.insert(payment, facts);
            }
            found.retain(|_, facts| !facts.entries.is_empty());
            ensure!(!found.is_empty(), "{unknown}");
            println!("{}", payments_table(&found));
            Ok(())
        }
        LedgerCommand::List { conflicts, without_order } => {
            let mut found = ledger.list().await?;
            found.retain(|_, facts| !conflicts || facts.is_contradictory());
            found.retain(|_, facts| !without_order || (has_capture(facts) && facts.owner().is_none()));
            println!("{}", payments_table(&found));
            println!("payments: {}", found.len());
            Ok(())
        }
    }
}

fn has_capture(facts: &PaymentFacts) -> bool {
    facts.entries.iter().any(|entry| entry.kind == MovementKind::Captured)
}

/// Payments as a table, one movement a row; contradictions below the entries that they contradict.
pub(crate) fn payments_table(payments: &BTreeMap<PaymentKey, PaymentFacts>) -> Table {
    let mut rows = table(["payment", "movement", "amount", "order", "at", "transaction"]);
    for (key, facts) in payments {
        let mut entries: Vec<(&PaymentEvent, &str)> = facts.entries.iter().map(|entry| (entry, "")).collect();
        entries.extend(facts.conflicts.iter().map(|conflict| (conflict, " (CONFLICT, not counted)")));
        entries.sort_by_key(|(event, note)| (event.occurred_at, event.kind, note.len()));
        for (event, note) in entries {
            rows.add_row([
                key.to_string(),
                format!("{}{note}", event.kind.as_str()),
                event.money.to_string(),
                event.order.as_ref().map(ToString::to_string).unwrap_or_default(),
                event.occurred_at.to_rfc3339(),
                event.transaction_id.to_string(),
            ]);
        }
    }
    rows
}
