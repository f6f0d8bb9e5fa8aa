//! Real messages of 1688, and events of a source, with ids and times of one's own put in.

use anyhow::Context;
use domain::{MessageId, OrderId, ReportedStatus, TradeId, UnixMillis};
use protocols::Credentials;
use serde_json::{Value, json};

macro_rules! pushes {
    ($($name:literal),+ $(,)?) => {
        /// A message of each push type, by its type. Origin: `infra/local/demo/README.md`.
        pub const PUSHES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../local/demo/push/", $name, ".json")))),+];
    };
}

pushes![
    "LOGISTICS_BUYER_VIEW_TRACE",
    "LOGISTICS_MAIL_NO_CHANGE",
    "ORDER_BATCH_PAY",
    "ORDER_BUYER_VIEW_ANNOUNCE_SENDGOODS",
    "ORDER_BUYER_VIEW_BUYER_MAKE",
    "ORDER_BUYER_VIEW_ORDER_BOPS_CLOSE",
    "ORDER_BUYER_VIEW_ORDER_BUYER_CLOSE",
    "ORDER_BUYER_VIEW_ORDER_BUYER_REFUND_IN_SALES",
    "ORDER_BUYER_VIEW_ORDER_COMFIRM_RECEIVEGOODS",
    "ORDER_BUYER_VIEW_ORDER_PAY",
    "ORDER_BUYER_VIEW_ORDER_PRICE_MODIFY",
    "ORDER_BUYER_VIEW_ORDER_REFUND_AFTER_SALES",
    "ORDER_BUYER_VIEW_ORDER_SELLER_CLOSE",
    "ORDER_BUYER_VIEW_ORDER_SUCCESS",
    "ORDER_BUYER_VIEW_PART_PART_SENDGOODS",
    "PRODUCT_PRODUCT_INVENTORY_CHANGE",
    "PRODUCT_RELATION_VIEW_PRODUCT_CHANGE",
    "PRODUCT_RELATION_VIEW_PRODUCT_EXPIRE",
];

/// A captured request body of a paid order, signed with the secret of the local stack's shop.
pub const CAPTURED_BODY: &str = include_str!("../../local/demo/push/http_body_ORDER_PAY.txt");
/// The id of the message in it.
pub const CAPTURED_MESSAGE_ID: &str = "92705609220";

/// A message of 1688 about these trades. A message that names more trades than are given names the last
/// one again.
pub fn push(name: &str, trades: &[TradeId], id: &MessageId, at: UnixMillis) -> anyhow::Result<String> {
    let sample = PUSHES.iter().find(|(known, _)| *known == name);
    let (_, text) = sample.with_context(|| format!("there is no sample {name}"))?;
    let mut message: Value = serde_json::from_str(text).with_context(|| format!("the sample {name} is not JSON"))?;
    let mut slots = Slots { trades, next: 0, id, at };
    slots.fill(&mut message);
    Ok(message.to_string())
}

/// What is put into a sample.
struct Slots<'a> {
    trades: &'a [TradeId],
    next: usize,
    id: &'a MessageId,
    at: UnixMillis,
}

impl Slots<'_> {
    fn fill(&mut self, value: &mut Value) {
        if let Some(fields) = value.as_object_mut() {
            for (name, field) in fields {
                match self.value_of(name) {
                    Some(text) => put(field, text),
                    None => self.fill(field),
                }
            }
        } else if let Some(items) = value.as_array_mut() {
            items.iter_mut().for_each(|item| self.fill(item));
        }
    }

    fn value_of(&mut self, name: &str) -> Option<String> {
        match name {
            "orderId" => {
                let trade = self.trades.get(self.next).or(self.trades.last());
                self.next += 1;
                trade.map(TradeId::to_string)
            }
            // One consignment a message of a trade.
            "logisticsId" => self.trades.first().map(|trade| format!("LP{trade}")),
            "msgId" => Some(self.id.to_string()),
            "gmtBorn" => Some(self.at.get().to_string()),
            _ => None,
        }
    }
}

/// Numbers stay numbers, as the vendor writes them; ids are below 2^64.
fn put(field: &mut Value, text: String) {
    *field = match text.parse::<u64>() {
        Ok(number) if field.is_number() => Value::from(number),
        _ => Value::from(text),
    };
}

/// A source's report, in the form that goes with its scheme.
pub fn report(credentials: &Credentials, order: &OrderId, status: ReportedStatus, at: UnixMillis) -> String {
    let status = status.status().as_str().to_ascii_lowercase();
    let body = match credentials {
        Credentials::FlatHmac(_) => json!({"order_id": order, "new_status": status, "timestamp": at.seconds()}),
        Credentials::StandardWebhooks(_) | Credentials::Ali1688(_) => json!({
            "type": "order.status",
            "timestamp": at.to_rfc3339(),
            "data": {"order_id": order, "status": status},
        }),
    };
    body.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ShopId;
    use domain::{Event, TradeKey};
    use protocols::ali1688;

    fn trades_named_by(name: &str, trades: &[TradeId]) -> Vec<TradeKey> {
        let id = MessageId::new("77").unwrap();
        let message = push(name, trades, &id, UnixMillis::new(1_700_000_000_123).unwrap()).unwrap();
        let push = ali1688::push::read(&message, &ShopId::new("demo").unwrap()).unwrap();
        assert_eq!((push.kind.as_str(), push.message_id), (name, id));
        let trade = |event| match event {
            Event::Trade(change) => change.trade,
            Event::Order(_) => panic!("a push speaks of trades"),
        };
        push.events.into_iter().map(trade).collect()
    }

    #[test]
    fn every_sample_reads_as_a_push_about_the_given_trades() {
        let trades = ["176376000000000001", "9007199254740993"].map(|id| TradeId::new(id).unwrap());
        for (name, _) in PUSHES {
            let expected = match *name {
                "ORDER_BATCH_PAY" => 2,
                name if name.starts_with("PRODUCT_") => 0,
                _ => 1,
            };
            let named = trades_named_by(name, &trades);
            let named: Vec<_> = named.into_iter().map(|trade| trade.trade_id).collect();
            assert_eq!(named, trades[..expected], "{name}");
        }
    }
}
