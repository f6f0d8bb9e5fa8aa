//! What the readers of callbacks share: ids, orders, amounts, times, and what moves no money.
//!
//! Invariant: a number is read from its text, never through floating point, and a refusal repeats nothing that was
//! signed. What cannot be read is malformed; what can be read and cannot be is impossible.

use domain::money::decimal;
use domain::{
    Currency, Gateway, InvalidMoney, Money, MovementKind, OrderId, PaymentEvent, PaymentId, PaymentKey, TransactionId,
    UnixMillis,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Item, VerifiedPayment};
use crate::Refusal;
use crate::json::{self, loggable};

/// The refusal of what has not the documented shape.
pub(super) const SHAPE: Refusal = Refusal::Malformed("the callback is not of the documented shape");
const AMOUNT: Refusal = Refusal::Impossible("the amount is negative, too large, or finer than its currency");
const CURRENCY: Refusal = Refusal::Impossible("the currency is not one with minor units");

/// Reads bytes that are one JSON object.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Refusal> {
    json::object_of_bytes(text).map_err(|_| SHAPE)
}

/// Reads a part that must be there and be one JSON object.
pub(super) fn part<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<T, Refusal> {
    json::object(raw.ok_or(SHAPE)?.get()).map_err(|_| SHAPE)
}

/// Reads the object that an event is about, where the gateway puts it in `{"object": …}`.
pub(super) fn object_of<'a, T: Deserialize<'a>>(data: Option<&'a RawValue>) -> Result<T, Refusal> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        object: Option<&'a RawValue>,
    }
    part(part::<Data<'a>>(data)?.object)
}

/// A text, where there is one that is not empty. Of another type it is none: for what money does not depend on.
pub(super) fn text(raw: Option<&RawValue>) -> Option<String> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).filter(|text: &String| !text.is_empty())
}

/// A time in RFC 3339.
pub(super) fn time(text: &str) -> Result<UnixMillis, Refusal> {
    UnixMillis::from_rfc3339(text).map_err(|_| Refusal::Malformed("the time is not a time"))
}

/// An amount in major units, by its text.
pub(super) fn major(text: &str, code: &str) -> Result<Money, Refusal> {
    if decimal(text.strip_prefix('-').unwrap_or(text)) == Err(InvalidMoney::NotDecimal) {
        return Err(Refusal::Malformed("the amount is not a decimal number"));
    }
    let currency = Currency::from_code(code).map_err(|_| CURRENCY)?;
    Money::from_major(text, currency).map_err(|_| AMOUNT)
}

/// An amount in a gateway's smallest units, by its text. `own` are the currencies whose smallest unit is not that of
/// ISO 4217 at this gateway, with their decimals there.
pub(super) fn units(text: &str, code: &str, own: &[(&str, u32)]) -> Result<Money, Refusal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Malformed("the amount is not a whole number"));
    }
    let currency = Currency::from_code(code).map_err(|_| CURRENCY)?;
    let decimals = own.iter().find(|(own, _)| *own == code).map_or(currency.exponent(), |(_, decimals)| *decimals);
    let units = text.parse().map_err(|_| AMOUNT)?;
    Money::from_units(units, decimals, currency).map_err(|_| AMOUNT)
}

/// A movement as a gateway names its parts.
pub(super) struct Movement<'a> {
    pub(super) gateway: Gateway,
    pub(super) kind: MovementKind,
    pub(super) payment: &'a str,
    pub(super) transaction: &'a str,
    /// What stands where our order id belongs. What is no order id of ours is none: the money is kept all the same.
    pub(super) order: Option<String>,
    pub(super) money: Money,
    pub(super) occurred_at: UnixMillis,
}

impl Movement<'_> {
    /// The only item of a callback.
    pub(super) fn only(self) -> Result<Vec<Item>, Refusal> {
        self.item().map(|item| vec![item])
    }

    pub(super) fn item(self) -> Result<Item, Refusal> {
        let payment_id =
            PaymentId::new(self.payment).map_err(|_| Refusal::Malformed("the payment has no id that is one"))?;
        let transaction_id = TransactionId::new(self.transaction)
            .map_err(|_| Refusal::Malformed("the movement has no id that is one"))?;
        Ok(Item::Movement(VerifiedPayment(PaymentEvent {
            payment: PaymentKey { gateway: self.gateway, payment_id },
            transaction_id,
            kind: self.kind,
            order: self
                .order
                .filter(|_| names_order(self.gateway, self.kind))
                .and_then(|order| OrderId::new(order).ok()),
            money: self.money,
            occurred_at: self.occurred_at,
        })))
    }
}

/// Whether what stands beside a movement is our order. At Stripe, PayPal and Adyen a refund has references of its own,
/// which the shop may use for anything; that it is of the payment is enough. The others repeat the order's number.
const fn names_order(gateway: Gateway, kind: MovementKind) -> bool {
    match (gateway, kind) {
        (_, MovementKind::Captured | MovementKind::CaptureFailed) => true,
        (
            Gateway::Stripe | Gateway::Paypal | Gateway::Adyen,
            MovementKind::Refunded
            | MovementKind::RefundedInTotal
            | MovementKind::RefundFailed
            | MovementKind::DisputeOpened
            | MovementKind::DisputeWon
            | MovementKind::DisputeLost,
        ) => false,
        (Gateway::Airwallex | Gateway::Alipay | Gateway::Wechatpay, _) => true,
    }
}

/// A type that moves no money.
pub(super) fn silent(kind: &str) -> Item {
    Item::Silent { kind: loggable(kind) }
}

/// A type, or a word within one, that we do not know.
pub(super) fn unknown(kind: &str) -> Item {
    Item::Unknown { kind: loggable(kind) }
}

/// Types that move no money, by their names and by how their names begin.
pub(super) struct Silent {
    pub(super) names: &'static [&'static str],
    pub(super) prefixes: &'static [&'static str],
}

impl Silent {
    /// The item of a type that is none of the money's: silent when it is listed here.
    pub(super) fn item(&self, kind: &str) -> Item {
        let is_listed = self.names.contains(&kind) || self.prefixes.iter().any(|prefix| kind.starts_with(prefix));
        if is_listed { silent(kind) } else { unknown(kind) }
    }
}

/// What was read, in one line an item; a refusal is its status.
#[cfg(test)]
pub(super) fn shown(read: Result<Vec<Item>, Refusal>) -> Vec<String> {
    let line = |item| match item {
        Item::Silent { kind } => format!("silent {kind}"),
        Item::Unknown { kind } => format!("unknown {kind}"),
        Item::Movement(VerifiedPayment(event)) => {
            let PaymentEvent { payment, transaction_id, kind, order, money, occurred_at } = event;
            let order = order.map_or("-".to_owned(), String::from);
            let at = occurred_at.to_rfc3339();
            format!("{} {} {transaction_id} {money} {order} {at}", kind.as_str(), payment.payment_id)
        }
    };
    read.map_or_else(|refusal| vec![refusal.status().to_string()], |items| items.into_iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_from_their_text() {
        let malformed = |read: Result<Money, Refusal>| matches!(read, Err(Refusal::Malformed(_)));
        let impossible = |read: Result<Money, Refusal>| matches!(read, Err(Refusal::Impossible(_)));
        assert_eq!(major("67.05", "USD").map(Money::minor), Ok(6_705));
        assert_eq!(units("1099", "USD", &[]).map(Money::minor), Ok(1_099));
        assert_eq!(units("500", "ISK", &[("ISK", 2)]).map(Money::minor), Ok(5));
        assert_eq!(units("5", "ISK", &[("IDR", 0)]).map(Money::minor), Ok(5));
        for text in ["", "-", "--1", "+1", "1e2", "1E+2", "1,0", "NaN", "0x1", "\"1\"", "null", "1.", "\u{ff11}"] {
            assert!(malformed(major(text, "USD")) && malformed(units(text, "USD", &[])), "{text}");
        }
        assert!(malformed(units("1.0", "USD", &[])));
        for (text, code) in [("-1", "USD"), ("9".repeat(40).as_str(), "USD"), ("1", "usd"), ("1", "XAU"), ("1", "")] {
            assert!(impossible(major(text, code)) && impossible(units(text, code, &[])), "{text} {code}");
        }
        assert!(impossible(major("0.001", "USD")) && impossible(units("501", "ISK", &[("ISK", 2)])));
    }

    #[test]
    fn what_is_no_order_id_leaves_the_money_without_an_order() {
        let order = |order: Option<&str>| {
            let money = major("1", "EUR").unwrap();
            let (gateway, kind, occurred_at) = (Gateway::Stripe, MovementKind::Captured, UnixMillis::EPOCH);
            let order = order.map(str::to_owned);
            let item = Movement { gateway, kind, payment: "p", transaction: "t", order, money, occurred_at }.item();
            let Ok(Item::Movement(payment)) = item else { panic!("no movement") };
            payment.event().order.as_ref().map(ToString::to_string)
        };
        assert_eq!(order(Some("A-1")).as_deref(), Some("A-1"));
        for none in [None, Some(""), Some("Hello World!"), Some("a#b"), Some("x".repeat(65).as_str())] {
            assert_eq!(order(none), None, "{none:?}");
        }
    }
}
