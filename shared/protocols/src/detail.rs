//! What a trade is made of, in JSON: one form for queue messages, for items and for the answers of our API. Times are
//! RFC 3339, amounts whole minor units, other numbers decimals in texts; what is not known is `null`.

use domain::{
    Currency, InvalidMoney, InvalidTime, LineId, Money, PaymentId, Picture, ProductId, ProductName, RawStatus,
    TradeContent, TradeLine, TradePayment, UnixMillis,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::json;

/// The most bytes of this form that go with an event. A message of the queue holds 256 KiB: half of it for this, the
/// other half for the raw answer (44 KiB of base64 at most) and the longest lists of consignments and refund cases. It
/// holds about 50 lines of the longest names and pictures, and several hundred usual ones.
pub const CONTENT_BYTES_MAX: usize = 128 * 1_024;

/// A time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Moment(pub(crate) UnixMillis);

impl TryFrom<String> for Moment {
    type Error = InvalidTime;
    fn try_from(text: String) -> Result<Self, InvalidTime> {
        UnixMillis::from_rfc3339(&text).map(Self)
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.0.to_rfc3339()
    }
}

/// An amount of money.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "AmountBody", into = "AmountBody")]
pub(crate) struct Amount(pub(crate) Money);

#[derive(Serialize, Deserialize)]
struct AmountBody {
    amount_minor: i64,
    currency: String,
}

impl TryFrom<AmountBody> for Amount {
    type Error = InvalidMoney;
    fn try_from(body: AmountBody) -> Result<Self, InvalidMoney> {
        Money::new(body.amount_minor, Currency::from_code(&body.currency)?).map(Self)
    }
}

impl From<Amount> for AmountBody {
    fn from(amount: Amount) -> Self {
        Self { amount_minor: amount.0.minor(), currency: amount.0.currency().code().to_owned() }
    }
}

/// A number that is no money.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Number(Decimal);

impl TryFrom<String> for Number {
    type Error = InvalidMoney;
    fn try_from(text: String) -> Result<Self, InvalidMoney> {
        domain::money::decimal(&text).map(Self)
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.0.to_string()
    }
}

/// A [`TradeContent`] in this form.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Body {
    created_at: Option<Moment>,
    shipped_at: Option<Moment>,
    signed_at: Option<Moment>,
    finished_at: Option<Moment>,
    payment: PaymentBody,
    lines: Vec<LineBody>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PaymentBody {
    total: Option<Amount>,
    postage: Option<Amount>,
    received: Option<Amount>,
    payment_id: Option<PaymentId>,
    paid_at: Option<Moment>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LineBody {
    id: LineId,
    product: Option<ProductId>,
    sku: Option<ProductId>,
    name: Option<ProductName>,
    quantity: Option<Number>,
    unit_price: Option<Number>,
    amount: Option<Amount>,
    picture: Option<Picture>,
    status: Option<RawStatus>,
}

impl From<&TradeContent> for Body {
    fn from(content: &TradeContent) -> Self {
        let payment = &content.payment;
        Self {
            created_at: content.created_at.map(Moment),
            shipped_at: content.shipped_at.map(Moment),
            signed_at: content.signed_at.map(Moment),
            finished_at: content.finished_at.map(Moment),
            payment: PaymentBody {
                total: payment.total.map(Amount),
                postage: payment.postage.map(Amount),
                received: payment.received.map(Amount),
                payment_id: payment.payment_id.clone(),
                paid_at: payment.paid_at.map(Moment),
            },
            lines: content.lines.iter().map(LineBody::from).collect(),
        }
    }
}

impl From<&TradeLine> for LineBody {
    fn from(line: &TradeLine) -> Self {
        let TradeLine { id, product, sku, name, quantity, unit_price, amount, picture, status } = line.clone();
        let (quantity, unit_price) = (quantity.map(Number), unit_price.map(Number));
        Self { id, product, sku, name, quantity, unit_price, amount: amount.map(Amount), picture, status }
    }
}

impl From<Body> for TradeContent {
    fn from(body: Body) -> Self {
        let Body { created_at, shipped_at, signed_at, finished_at, payment, lines } = body;
        let moment = |moment: Option<Moment>| moment.map(|moment| moment.0);
        let money = |amount: Option<Amount>| amount.map(|amount| amount.0);
        Self {
            created_at: moment(created_at),
            shipped_at: moment(shipped_at),
            signed_at: moment(signed_at),
            finished_at: moment(finished_at),
            payment: TradePayment {
                total: money(payment.total),
                postage: money(payment.postage),
                received: money(payment.received),
                payment_id: payment.payment_id,
                paid_at: moment(payment.paid_at),
            },
            lines: lines.into_iter().map(TradeLine::from).collect(),
        }
    }
}

impl From<LineBody> for TradeLine {
    fn from(body: LineBody) -> Self {
        let LineBody { id, product, sku, name, quantity, unit_price, amount, picture, status } = body;
        let number = |number: Option<Number>| number.map(|number| number.0);
        let (quantity, unit_price) = (number(quantity), number(unit_price));
        Self { id, product, sku, name, quantity, unit_price, amount: amount.map(|amount| amount.0), picture, status }
    }
}

/// The text of a content.
pub fn write(content: &TradeContent) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Body::from(content))
}

/// The content in a text.
pub fn read(text: &str) -> Result<TradeContent, serde_json::Error> {
    json::object::<Body>(text).map(TradeContent::from)
}

/// The content with as many of its first lines as [`CONTENT_BYTES_MAX`] holds. The raw answer has them all.
pub fn bounded(content: TradeContent) -> TradeContent {
    let bytes = |line: &TradeLine| serde_json::to_string(&LineBody::from(line)).map_or(usize::MAX, |text| text.len());
    let bare = TradeContent { lines: Vec::new(), ..content.clone() };
    let mut left = CONTENT_BYTES_MAX.saturating_sub(write(&bare).map_or(usize::MAX, |text| text.len()));
    let fits = |line: &TradeLine| match left.checked_sub(bytes(line).saturating_add(1)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    TradeContent { lines: content.lines.into_iter().take_while(fits).collect(), ..bare }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Option<UnixMillis> {
        UnixMillis::new(millis).ok()
    }

    fn yuan(minor: i64) -> Option<Money> {
        Money::new(minor, Currency::from_code("CNY").unwrap()).ok()
    }

    fn line(id: usize) -> TradeLine {
        TradeLine {
            id: LineId::new(id.to_string()).unwrap(),
            product: ProductId::new("554456348334").ok(),
            sku: None,
            name: ProductName::new("\u{4e1d}\u{5dfe} \"<&>\"").ok(),
            quantity: Some(Decimal::new(25, 1)),
            unit_price: Some(Decimal::new(123_456, 4)),
            amount: yuan(3_086),
            picture: None,
            status: RawStatus::new("waitsellersend").ok(),
        }
    }

    fn content() -> TradeContent {
        TradeContent {
            created_at: at(1),
            shipped_at: None,
            signed_at: at(UnixMillis::MAX.get()),
            finished_at: None,
            payment: TradePayment { total: yuan(3_086), postage: yuan(0), paid_at: at(2), ..TradePayment::default() },
            lines: vec![line(1), line(2)],
        }
    }

    #[test]
    fn a_content_reads_back_as_it_was_written() {
        for content in [content(), TradeContent::default()] {
            assert_eq!(read(&write(&content).unwrap()).unwrap(), content);
        }
    }

    #[test]
    fn its_form_is_the_one_that_the_documents_show() {
        let written: serde_json::Value = serde_json::from_str(&write(&content()).unwrap()).unwrap();
        assert_eq!(
            (&written["created_at"], &written["payment"]),
            (
                &serde_json::json!("1970-01-01T00:00:00.001Z"),
                &serde_json::json!({
                    "total": {"amount_minor": 3_086, "currency": "CNY"},
                    "postage": {"amount_minor": 0, "currency": "CNY"}, "received": null, "payment_id": null,
                    "paid_at": "1970-01-01T00:00:00.002Z"
                })
            )
        );
        assert_eq!(
            written["lines"][0],
            serde_json::json!({
                "id": "1", "product": "554456348334", "sku": null, "name": "\u{4e1d}\u{5dfe} \"<&>\"",
                "quantity": "2.5", "unit_price": "12.3456", "amount": {"amount_minor": 3_086, "currency": "CNY"},
                "picture": null, "status": "waitsellersend"
            })
        );
    }

    #[test]
    fn what_is_no_such_form_is_an_error_that_repeats_nothing() {
        let good = write(&content()).unwrap();
        for bad in [
            good.replace("\"2.5\"", "2.5"),
            good.replace("\"2.5\"", "\"SECRET\""),
            good.replace("CNY", "XXX"),
            good.replace("3086", "-1"),
            good.replace("1970-01-01T00:00:00.001Z", "SECRET"),
            format!("[{good}]"),
            "{}".to_owned(),
        ] {
            let error = read(&bad).expect_err(&bad);
            assert!(!json::describe(&error).contains("SECRET"));
        }
    }

    #[test]
    fn the_first_lines_that_fit_are_kept_and_a_usual_trade_keeps_all() {
        let usual = TradeContent { lines: (0..300).map(line).collect(), ..content() };
        assert_eq!(bounded(usual.clone()), usual);
        let long = TradeContent { lines: (0..10_000).map(line).collect(), ..content() };
        let kept = bounded(long.clone());
        assert_eq!(kept.lines, long.lines[..kept.lines.len()]);
        let (written, one_more) = (write(&kept).unwrap().len(), write(&kept).unwrap().len() + 250);
        assert!(written <= CONTENT_BYTES_MAX && one_more > CONTENT_BYTES_MAX, "{written} bytes");
    }
}
