//! A trade in the words that are common to the marketplaces: what a reader that understood everything would tell.

use domain::money::decimal;
use domain::{
    AfterSaleId, Carrier, Currency, LineId, LogisticsId, Marketplace, Money, PaymentId, Picture, ProductId,
    ProductName, RawStatus, TradeContent, TradeId, TradeLine, TradePayment, UnixMillis, Waybill,
};
use protocols::marketplace::{Told, ToldCase, ToldPackage};

use super::order::{Case, Line, Order};

/// The carriers that a waybill may be of: code and name.
const CARRIERS: [(&str, &str); 4] =
    [("ZTO", "中通快递(ZTO)"), ("YTO", "圆通速递(YTO)"), ("SF", "顺丰速运(SF)"), ("STO", "申通快递(STO)")];

/// The code and the name of a waybill's carrier.
pub(super) fn carrier(waybill: u64) -> (&'static str, &'static str) {
    let place = usize::try_from(waybill % 4).unwrap_or_default();
    CARRIERS.get(place).copied().unwrap_or_default()
}

/// Fen as yuan with two places.
pub(super) fn yuan(fen: i64) -> String {
    format!("{}{}.{:02}", if fen < 0 { "-" } else { "" }, fen.abs() / 100, fen.abs() % 100)
}

/// The address of a line's picture, whole.
pub(super) fn picture(marketplace: Marketplace, line: &Line) -> String {
    let Line { product, picture, .. } = line;
    match marketplace {
        Marketplace::Alibaba1688 => format!("http://cbu01.alicdn.com/img/ibank/2026/{picture}/{product}.jpg"),
        Marketplace::Taobao => format!("https://img.alicdn.com/bao/uploaded/i1/{picture}/{product}.jpg"),
    }
}

pub(super) fn trade_id(id: u64) -> TradeId {
    TradeId::new(id.to_string()).expect("a number of at most 20 digits")
}

fn money(fen: i64) -> Option<Money> {
    Money::new(fen, Currency::CNY).ok()
}

fn line(marketplace: Marketplace, order: &Order, line: &Line) -> TradeLine {
    TradeLine {
        id: LineId::new(line.id.to_string()).expect("a number"),
        product: ProductId::new(line.product.to_string()).ok(),
        sku: ProductId::new(line.sku.to_string()).ok(),
        name: ProductName::new(line.name()).ok(),
        quantity: decimal(&line.quantity.to_string()).ok(),
        unit_price: decimal(&yuan(line.price)).ok(),
        amount: money(line.amount()),
        picture: Picture::new(picture(marketplace, line)).ok(),
        status: RawStatus::new(order.line_stage(line).word(marketplace)).ok(),
    }
}

/// A refund case, with what is asked back in fen where that is told.
pub(super) fn case(marketplace: Marketplace, line: u64, case: Case, fen: Option<i64>) -> ToldCase {
    ToldCase {
        id: AfterSaleId::new(case.name(marketplace)).expect("a number"),
        state: case.stage.common(),
        raw: RawStatus::new(case.stage.word(marketplace)).expect("one of our words"),
        line: LineId::new(line.to_string()).ok(),
        money: fen.and_then(money),
    }
}

fn package(marketplace: Marketplace, order: &Order, (waybill, sent): (u64, UnixMillis)) -> ToldPackage {
    // Taobao has no number of a consignment, no code of a carrier, and does not tell when something was received.
    let (code, name) = carrier(waybill);
    let (id, carrier, signed_at) = match marketplace {
        Marketplace::Alibaba1688 => (format!("LP{waybill}"), code, order.signed),
        Marketplace::Taobao => (waybill.to_string(), name, None),
    };
    let number = Waybill::new(waybill.to_string()).expect("a number");
    ToldPackage {
        id: LogisticsId::new(id).expect("a number"),
        waybill: Carrier::new(carrier).ok().map(|carrier| (carrier, number)),
        shipped_at: Some(sent),
        signed_at,
    }
}

/// The trade as its marketplace tells of it, with this JSON as the answer that it came in.
pub(super) fn told(marketplace: Marketplace, order: &Order, json: String) -> Told {
    // A buyer is not told what the seller received, a seller not when the goods were, nor, with the trade, what is asked
    // back.
    let (received, signed_at) = match marketplace {
        Marketplace::Alibaba1688 => (None, order.signed),
        Marketplace::Taobao => (money(order.received()), None),
    };
    let asked_back = |line: &Line| match marketplace {
        Marketplace::Alibaba1688 => Some(line.amount()),
        Marketplace::Taobao => None,
    };
    Told {
        trade_id: trade_id(order.id),
        modified_at: order.modified,
        status: order.common(),
        raw_status: RawStatus::new(order.word(marketplace)).expect("one of our words"),
        content: TradeContent {
            created_at: Some(order.created),
            shipped_at: order.shipped,
            signed_at,
            finished_at: order.finished,
            payment: TradePayment {
                total: money(order.total()),
                postage: money(order.postage),
                received,
                payment_id: order.payment_id().and_then(|id| PaymentId::new(id).ok()),
                paid_at: order.paid,
            },
            lines: order.lines.iter().map(|each| line(marketplace, order, each)).collect(),
        },
        packages: order.waybills().into_iter().map(|waybill| package(marketplace, order, waybill)).collect(),
        cases: order
            .lines
            .iter()
            .filter_map(|line| Some(case(marketplace, line.id, line.case?, asked_back(line))))
            .collect(),
        json,
    }
}
