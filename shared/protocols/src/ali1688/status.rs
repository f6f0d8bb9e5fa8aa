//! What 1688's status words mean in common words.
//!
//! Order statuses are those of the buyer's order detail (`baseInfo.status`); the words of ORDER_BATCH_PAY
//! are the results of a payment run. The set is open: what is not listed is `unrecognised`, and kept.

use domain::{AfterSaleState, TradeStatus};

/// The push that says that a part of the goods was sent. The order's own word stays `waitsellersend`.
const PARTLY_SENT: &str = "ORDER_BUYER_VIEW_PART_PART_SENDGOODS";

/// 1688's word and its meaning.
const STATUSES: [(&str, TradeStatus); 11] = [
    ("waitbuyerpay", TradeStatus::AwaitingPayment),
    ("waitsellersend", TradeStatus::AwaitingShipment),
    ("waitlogisticstakein", TradeStatus::AwaitingShipment),
    ("waitbuyerreceive", TradeStatus::Shipped),
    ("waitbuyersign", TradeStatus::Shipped),
    ("signinsuccess", TradeStatus::Signed),
    ("confirm_goods", TradeStatus::Signed),
    ("success", TradeStatus::Finished),
    ("cancel", TradeStatus::Closed),
    ("terminated", TradeStatus::Closed),
    // ORDER_BATCH_PAY: the trade was paid. That a payment run failed (ACCOUNT_FROZEN …) is not listed: it says
    // nothing of where the trade stands, which may have been paid before.
    ("successed", TradeStatus::AwaitingShipment),
];

/// The common status of a word that a push of this type brought.
pub fn common(push_type: &str, word: &str) -> TradeStatus {
    if push_type == PARTLY_SENT && word == "waitsellersend" {
        return TradeStatus::PartlyShipped;
    }
    of_word(word)
}

/// The common status of an order's own word, wherever it stands.
pub fn of_word(word: &str) -> TradeStatus {
    STATUSES.iter().find(|(known, _)| *known == word).map_or(TradeStatus::Unrecognised, |(_, status)| *status)
}

/// Where a refund stands, in the word of an order and in that of an item. A refund whose word is "the buyer has to
/// modify" was refused. Source: the documents of getBuyerOrderList and get.buyerView, `refundStatus`.
const AFTER_SALES: [(&str, &str, AfterSaleState); 6] = [
    ("waitselleragree", "WAIT_SELLER_AGREE", AfterSaleState::Requested),
    ("waitbuyermodify", "WAIT_BUYER_MODIFY", AfterSaleState::Refused),
    ("waitbuyersend", "WAIT_BUYER_SEND", AfterSaleState::AwaitingReturn),
    ("waitsellerreceive", "WAIT_SELLER_RECEIVE", AfterSaleState::Returning),
    ("refundsuccess", "REFUND_SUCCESS", AfterSaleState::Refunded),
    ("refundclose", "REFUND_CLOSED", AfterSaleState::Closed),
];

/// The common state of a refund case, from the word of an order or of an item.
pub fn after_sale(word: &str) -> AfterSaleState {
    let known = AFTER_SALES.iter().find(|(of_order, of_item, _)| [*of_order, *of_item].contains(&word));
    known.map_or(AfterSaleState::Unrecognised, |(_, _, state)| *state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_status_has_a_word() {
        let mut met: Vec<_> = STATUSES.iter().map(|(_, status)| *status).collect();
        met.extend([common(PARTLY_SENT, "waitsellersend"), common("ORDER_NEW", "a word of tomorrow")]);
        for status in TradeStatus::ALL {
            assert!(met.contains(&status), "{status:?}");
        }
    }

    #[test]
    fn an_order_and_an_item_say_every_state_of_a_refund_in_words_of_their_own() {
        for state in AfterSaleState::ALL.into_iter().filter(|state| *state != AfterSaleState::Unrecognised) {
            let words: Vec<_> = AFTER_SALES.iter().filter(|(_, _, known)| *known == state).collect();
            assert_eq!(words.len(), 1, "{state:?}");
            assert!(words.iter().all(|(order, item, _)| after_sale(order) == state && after_sale(item) == state));
        }
        for word in ["", "refund_success", "RefundSuccess", "a word of tomorrow"] {
            assert_eq!(after_sale(word), AfterSaleState::Unrecognised, "{word}");
        }
    }
}
