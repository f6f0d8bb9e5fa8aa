//! What 1688's status words mean in common words.
//!
//! Order statuses are those of the buyer's order detail (`baseInfo.status`); the words of ORDER_BATCH_PAY
//! are the results of a payment run. The set is open: what is not listed is `unrecognised`, and kept.

use domain::TradeStatus;

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
    STATUSES.iter().find(|(known, _)| *known == word).map_or(TradeStatus::Unrecognised, |(_, status)| *status)
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
}
