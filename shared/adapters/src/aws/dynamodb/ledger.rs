//! The payments table: `<kind>#<transaction_id>` entries under `gateway#payment_id`, and
//! `conflict#<kind>#<transaction_id>#<fingerprint>` beside them; the sparse index `by_order`.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::{MovementKind, OrderId, PaymentEvent, PaymentFacts, PaymentKey, Recorded, TransactionId, UnixMillis};
use protocols::gateway::VerifiedPayment;

use super::super::error::classify;
use super::attributes::{Item, money, number, string, text, time};
use super::items::{item_key, items, pages, query};
use crate::error::PortError;
use crate::ports::{CapturedPage, Ledger, LedgerPlace};

const CONFLICT_PREFIX: &str = "conflict#";
/// The hash key of the index `by_order`; only entries that name an order have it.
const ORDER: &str = "order_id";

const RECORD: &str = "ledger.record";
const READ: &str = "ledger.read";
const PAYMENTS_OF: &str = "ledger.payments_of";
const CAPTURED: &str = "ledger.captured";
const LIST: &str = "ledger.list";

/// The payments table.
#[derive(Debug, Clone)]
pub struct DynamoLedger {
    client: Client,
    table: String,
}

impl DynamoLedger {
    /// The table of that name.
    pub fn new(client: &Client, table: String) -> Self {
        Self { client: client.clone(), table }
    }

    /// Puts a report under its key, if there is none, or the same one of an earlier time: so the latest time is kept,
    /// whatever the order of arrival.
    async fn put(&self, event: &PaymentEvent, sk: String) -> Result<Put, PortError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(event, sk)))
            .condition_expression("attribute_not_exists(pk) OR (fingerprint = :fingerprint AND #at < :at)")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":fingerprint", AttributeValue::S(event.fingerprint()))
            .expression_attribute_values(":at", AttributeValue::N(event.occurred_at.get().to_string()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(done) if done.attributes().is_none_or(HashMap::is_empty) => Ok(Put::New),
            Ok(_) => Ok(Put::Later),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                    let kept = lost.item().and_then(read_event).ok_or(PortError::unreadable(RECORD))?;
                    Ok(Put::Lost(Box::new(kept)))
                }
                _ => Err(classify(RECORD, error)),
            },
        }
    }

    /// Keeps one movement, or the contradiction that it is. No yes before whichever it is is durable.
    async fn keep(&self, event: &PaymentEvent) -> Result<Recorded, PortError> {
        let kept = match self.put(event, entry_key(event)).await? {
            Put::New => return Ok(Recorded::Applied),
            Put::Later => return Ok(Recorded::Duplicate),
            Put::Lost(kept) => kept,
        };
        let recorded = event.compare(&kept);
        if recorded == Recorded::Conflict {
            let sk = format!("{CONFLICT_PREFIX}{}#{}", entry_key(event), event.fingerprint());
            self.put(event, sk).await?;
        }
        Ok(recorded)
    }
}

/// What became of a put.
enum Put {
    /// Nothing was there.
    New,
    /// The same report of an earlier time was there.
    Later,
    /// This was there, and stays.
    Lost(Box<PaymentEvent>),
}

fn entry_key(event: &PaymentEvent) -> String {
    format!("{}#{}", event.kind.as_str(), event.transaction_id)
}

fn item(event: &PaymentEvent, sk: String) -> Item {
    let fields = [
        string("pk", event.payment.to_string()),
        string("sk", sk),
        number("minor", event.money.minor()),
        string("currency", event.money.currency().code()),
        number("at", event.occurred_at.get()),
        string("fingerprint", event.fingerprint()),
    ];
    let order = event.order.as_ref().map(|order| string(ORDER, order.to_string()));
    fields.into_iter().chain(order).collect()
}

/// An entry or a conflict as it was written. `None` when it does not read so.
fn read_event(item: &Item) -> Option<PaymentEvent> {
    let sk = text(item, "sk")?;
    let mut parts = sk.strip_prefix(CONFLICT_PREFIX).unwrap_or(sk).splitn(3, '#');
    let (kind, transaction_id) = (parts.next()?, parts.next()?);
    let order = match text(item, ORDER) {
        Some(order) => Some(OrderId::new(order).ok()?),
        None => None,
    };
    Some(PaymentEvent {
        payment: text(item, "pk")?.parse().ok()?,
        transaction_id: TransactionId::new(transaction_id).ok()?,
        kind: MovementKind::from_name(kind)?,
        order,
        money: money(item, "minor", "currency")?,
        occurred_at: time(item, "at")?,
    })
}

/// Takes an item into the facts of its payment.
fn take(item: &Item, facts: &mut PaymentFacts) -> Option<()> {
    let event = read_event(item)?;
    let is_conflict = text(item, "sk")?.starts_with(CONFLICT_PREFIX);
    if is_conflict {
        facts.conflicts.push(event)
    } else {
        facts.entries.push(event)
    }
    Some(())
}

/// The place behind the item of this key.
fn place(key: &Item) -> Result<LedgerPlace, PortError> {
    let (payment, entry) = text(key, "pk").zip(text(key, "sk")).ok_or(PortError::unreadable(CAPTURED))?;
    Ok(LedgerPlace { payment: payment.to_owned(), entry: entry.to_owned() })
}

impl Ledger for DynamoLedger {
    async fn record(&self, payment: &VerifiedPayment) -> Result<Recorded, PortError> {
        self.keep(payment.event()).await
    }

    async fn read(&self, payment: &PaymentKey) -> Result<PaymentFacts, PortError> {
        let mut facts = PaymentFacts::default();
        for item in query(&self.client, READ, &self.table, &payment.to_string()).await? {
            take(&item, &mut facts).ok_or(PortError::unreadable(READ))?;
        }
        Ok(facts)
    }

    async fn payments_of(&self, order: &OrderId) -> Result<Vec<PaymentKey>, PortError> {
        let by_order = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_order")
            .key_condition_expression("order_id = :order_id")
            .expression_attribute_values(":order_id", AttributeValue::S(order.to_string()));
        let entries = pages(PAYMENTS_OF, by_order).await?;
        let payments: Option<Vec<PaymentKey>> = entries.iter().map(|item| text(item, "pk")?.parse().ok()).collect();
        let mut payments = payments.ok_or(PortError::unreadable(PAYMENTS_OF))?;
        payments.sort();
        payments.dedup();
        Ok(payments)
    }

    async fn captured(&self, since: UnixMillis, after: Option<&LedgerPlace>) -> Result<CapturedPage, PortError> {
        let kind = format!("{}#", MovementKind::Captured.as_str());
        let scan = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("begins_with(sk, :kind) AND #at >= :since AND attribute_exists(order_id)")
            .projection_expression(ORDER)
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":kind", AttributeValue::S(kind))
            .expression_attribute_values(":since", AttributeValue::N(since.get().to_string()))
            .set_exclusive_start_key(after.map(|place| item_key(place.payment.clone(), &place.entry)));
        let page = scan.send().await.map_err(|error| classify(CAPTURED, error))?;
        let orders = page.items().iter().map(|item| OrderId::new(text(item, ORDER)?).ok()).collect::<Option<_>>();
        let next = page.last_evaluated_key().map(place).transpose()?;
        Ok(CapturedPage { orders: orders.ok_or(PortError::unreadable(CAPTURED))?, next })
    }

    async fn list(&self) -> Result<BTreeMap<PaymentKey, PaymentFacts>, PortError> {
        let mut payments: BTreeMap<PaymentKey, PaymentFacts> = BTreeMap::new();
        for item in items(&self.client, LIST, &self.table).await? {
            let payment = text(&item, "pk").and_then(|pk| pk.parse().ok()).ok_or(PortError::unreadable(LIST))?;
            take(&item, payments.entry(payment).or_default()).ok_or(PortError::unreadable(LIST))?;
        }
        Ok(payments)
    }
}

#[cfg(test)]
mod tests {
    use domain::{Currency, Money};
    use serde_json::{Value, json};

    use super::super::super::stub::{Answer, Script};
    use super::*;
    use crate::error::Disposition;

    fn captured(minor: i64) -> PaymentEvent {
        PaymentEvent {
            payment: "stripe#pi_1".parse().unwrap(),
            transaction_id: TransactionId::new("ch_1").unwrap(),
            kind: MovementKind::Captured,
            order: None,
            money: Money::new(minor, Currency::EUR).unwrap(),
            occurred_at: UnixMillis::from_seconds(1_795_248_000).unwrap(),
        }
    }

    fn kept(minor: i64) -> Value {
        json!({"pk": {"S": "stripe#pi_1"}, "sk": {"S": "captured#ch_1"}, "minor": {"N": minor.to_string()},
               "currency": {"S": "EUR"}, "at": {"N": "1795248000000"}})
    }

    fn done(attributes: Value) -> Answer {
        Answer::Text(200, json!({ "Attributes": attributes }).to_string())
    }

    fn lost(item: Value) -> Answer {
        let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        Answer::Text(400, json!({"__type": kind, "Item": item}).to_string())
    }

    async fn recorded(script: &Script) -> Result<Recorded, PortError> {
        DynamoLedger::new(&script.dynamodb(), "payments".to_owned()).keep(&captured(100)).await
    }

    #[tokio::test]
    async fn a_movement_is_one_conditional_put_whether_it_is_new_the_same_or_of_a_later_time() {
        for (answer, outcome) in [
            (done(Value::Null), Recorded::Applied),
            (done(kept(100)), Recorded::Duplicate),
            (lost(kept(100)), Recorded::Duplicate),
        ] {
            let script = Script::new([answer]);
            assert_eq!(recorded(&script).await.unwrap(), outcome);
            let asked = script.asked();
            assert_eq!((asked.len(), asked[0].0.as_str()), (1, "PutItem"));
            let condition = "attribute_not_exists(pk) OR (fingerprint = :fingerprint AND #at < :at)";
            assert_eq!(asked[0].1["ConditionExpression"], condition);
        }
    }

    #[tokio::test]
    async fn a_contradiction_is_no_yes_before_it_is_kept_itself() {
        let script = Script::new([lost(kept(99)), done(Value::Null)]);
        assert_eq!(recorded(&script).await.unwrap(), Recorded::Conflict);
        assert_eq!(script.asked()[1].1["Item"]["sk"]["S"], "conflict#captured#ch_1#100#EUR#");
        let cut_off = Script::new([lost(kept(99)), Answer::Lost]);
        assert_eq!(recorded(&cut_off).await.unwrap_err().disposition(), Disposition::Reconcile);
        assert_eq!(cut_off.asked().len(), 2);
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_read_is_no_yes() {
        let script = Script::new([lost(json!({"pk": {"S": "stripe#pi_1"}}))]);
        assert_eq!(recorded(&script).await.unwrap_err().disposition(), Disposition::Reject);
    }
}
