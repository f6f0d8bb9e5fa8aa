//! What Taobao's status words mean in common words. Sets are open: what is not listed is `unrecognised`, and kept.

use domain::{AfterSaleState, TradeStatus};

/// The word of a line that nothing is asked back of.
const NO_REFUND: &str = "NO_REFUND";

/// Source: `Trade.status`.
const STATUSES: [(&str, TradeStatus); 12] = [
    ("TRADE_NO_CREATE_PAY", TradeStatus::AwaitingPayment),
    ("WAIT_BUYER_PAY", TradeStatus::AwaitingPayment),
    ("PAY_PENDING", TradeStatus::AwaitingPayment),
    ("WAIT_PRE_AUTH_CONFIRM", TradeStatus::AwaitingPayment),
    ("WAIT_SELLER_SEND_GOODS", TradeStatus::AwaitingShipment),
    ("PAID_FORBID_CONSIGN", TradeStatus::AwaitingShipment),
    ("SELLER_CONSIGNED_PART", TradeStatus::PartlyShipped),
    ("WAIT_BUYER_CONFIRM_GOODS", TradeStatus::Shipped),
    ("TRADE_BUYER_SIGNED", TradeStatus::Signed),
    ("TRADE_FINISHED", TradeStatus::Finished),
    ("TRADE_CLOSED", TradeStatus::Closed),
    ("TRADE_CLOSED_BY_TAOBAO", TradeStatus::Closed),
];

/// Source: `Order.refund_status`.
const REFUNDS: [(&str, AfterSaleState); 6] = [
    ("WAIT_SELLER_AGREE", AfterSaleState::Requested),
    ("SELLER_REFUSE_BUYER", AfterSaleState::Refused),
    ("WAIT_BUYER_RETURN_GOODS", AfterSaleState::AwaitingReturn),
    ("WAIT_SELLER_CONFIRM_GOODS", AfterSaleState::Returning),
    ("SUCCESS", AfterSaleState::Refunded),
    ("CLOSED", AfterSaleState::Closed),
];

/// The common status of a word.
pub fn of_word(word: &str) -> TradeStatus {
    STATUSES.iter().find(|(known, _)| *known == word).map_or(TradeStatus::Unrecognised, |(_, status)| *status)
}

/// The common state of a refund's word; `None` for the word that there is none.
pub fn after_sale(word: &str) -> Option<AfterSaleState> {
    if word == NO_REFUND {
        return None;
    }
    let known = REFUNDS.iter().find(|(known, _)| *known == word);
    Some(known.map_or(AfterSaleState::Unrecognised, |(_, state)| *state))
}
