//! Messages that wait: `taobao.tmc.messages.consume` and `.confirm`. Source: TOP, "TMC"; the topics `taobao_trade_*` and
//! `taobao_refund_*`.

use domain::{AfterSaleId, AfterSaleState, LineId, MessageId, RawStatus, TradeId, UnixMillis};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{answer, status};
use crate::answers::{self, Reason, Scalar, china_time, given, yuan};
use crate::json::{Object, loggable};
use crate::marketplace::reading::clipped;
use crate::marketplace::{Answer, FlowControl, Malformed, Message, MessageContent, NotRead, Refused, ToldCase};

const TRADES: &str = "taobao_trade_";
const REFUNDS: &str = "taobao_refund_";

/// What the topics of refunds say where the content has no status.
const REFUND_TOPICS: [(&str, AfterSaleState); 7] = [
    ("RefundCreated", AfterSaleState::Requested),
    ("RefundBuyerModifyAgreement", AfterSaleState::Requested),
    ("RefundSellerRefuseAgreement", AfterSaleState::Refused),
    ("RefundSellerAgreeAgreement", AfterSaleState::AwaitingReturn),
    ("RefundBuyerReturnGoods", AfterSaleState::Returning),
    ("RefundSuccess", AfterSaleState::Refunded),
    ("RefundClosed", AfterSaleState::Closed),
];

/// Topics of refunds that say nothing of where one stands: a note was left or hidden, or time runs out.
const REFUND_NOTES: [&str; 3] = ["RefundCreateMessage", "RefundBlockMessage", "RefundTimeoutRemind"];

#[derive(Deserialize)]
struct Consumed<'a> {
    #[serde(borrow)]
    tmc_messages_consume_response: Object<ConsumedFields<'a>>,
}

#[derive(Deserialize)]
struct ConsumedFields<'a> {
    #[serde(borrow)]
    messages: Option<Object<Rows<'a>>>,
}

#[derive(Deserialize, Default)]
struct Rows<'a> {
    #[serde(borrow, default)]
    tmc_message: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Confirmed {
    tmc_messages_confirm_response: Object<ConfirmedFields>,
}

#[derive(Deserialize)]
struct ConfirmedFields {
    is_success: Option<Scalar>,
}

#[derive(Deserialize)]
struct Row {
    id: Option<Scalar>,
    topic: Option<Scalar>,
    content: Option<String>,
    pub_time: Option<Scalar>,
    outtime: Option<Scalar>,
    user_nick: Option<Scalar>,
}

#[derive(Deserialize, Default)]
struct Content {
    tid: Option<Scalar>,
    oid: Option<Scalar>,
    status: Option<Scalar>,
    seller_nick: Option<Scalar>,
    refund_id: Option<Scalar>,
    refund_fee: Option<Scalar>,
}

/// Reads the messages of a pull. One without an id can be neither told from others nor confirmed: it stays where it is,
/// and makes the pull unreadable only when there is nothing else, so that it keeps no other back and is heard of.
pub fn read(text: &str) -> Result<Vec<Answer<Message>>, NotRead> {
    let Consumed { tmc_messages_consume_response: Object(fields) } = answer(text)?;
    let rows = fields.messages.map(|Object(rows)| rows.tmc_message).unwrap_or_default();
    let read: Vec<_> = rows.into_iter().map(|row| read_message(row.get())).collect();
    if read.iter().any(Result::is_ok) { Ok(read.into_iter().flatten().collect()) } else { read.into_iter().collect() }
}

/// Reads the answer to a confirmation.
pub fn read_confirmation(text: &str) -> Result<(), NotRead> {
    let Confirmed { tmc_messages_confirm_response: Object(fields) } = answer(text)?;
    match given(fields.is_success.as_ref()) {
        Some("true") => Ok(()),
        Some(_) => Err(NotRead::Refused(Refused { flow: FlowControl::Retry, code: "not_confirmed".to_owned() })),
        None => Err(NotRead::Unreadable("a confirmation that does not say whether it is one".to_owned())),
    }
}

/// Reads one message, as a pull or a push brings it.
pub fn read_message(text: &str) -> Result<Answer<Message>, NotRead> {
    let unreadable = |reason: Reason| NotRead::Unreadable(reason.to_owned());
    let row: Row = answers::object(text, "a message is not of the documented form").map_err(unreadable)?;
    let id = given(row.id.as_ref())
        .and_then(|id| MessageId::new(id).ok())
        .ok_or_else(|| unreadable("a message has no id"))?;
    let at = given(row.outtime.as_ref()).or(given(row.pub_time.as_ref())).and_then(sent_at);
    let content: Result<Content, Reason> =
        answers::object(row.content.as_deref().unwrap_or_default(), "the content is not an object");
    let owner = content.as_ref().ok().and_then(|content| given(content.seller_nick.as_ref()));
    let owner = owner.or(given(row.user_nick.as_ref())).map(str::to_owned);
    let topic = given(row.topic.as_ref()).unwrap_or_default();
    let is_note = topic.strip_prefix(REFUNDS).is_some_and(|kind| REFUND_NOTES.contains(&kind));
    let is_ours = topic.starts_with(TRADES) || (topic.starts_with(REFUNDS) && !is_note);
    let said = match (is_ours, at, content) {
        (false, ..) => Ok(MessageContent::Other(loggable(topic))),
        (true, None, _) => Err("the message has no time"),
        (true, Some(_), Err(reason)) => Err(reason),
        (true, Some(_), Ok(content)) => read_content(topic, &content),
    };
    let content = said.unwrap_or_else(|reason| {
        MessageContent::Malformed(Malformed { reason: format!("malformed: {reason}"), body: text.to_owned() })
    });
    Ok(Answer::new(Message { id, at: at.unwrap_or(UnixMillis::EPOCH), content, json: text.to_owned() }, owner))
}

/// `2026-10-01T11:21:00+0800`, or China's time without a zone.
fn sent_at(text: &str) -> Option<UnixMillis> {
    let with_colon = text.len().checked_sub(2).and_then(|place| {
        Some(format!("{}:{}", text.get(..place)?, text.get(place..)?)).filter(|_| text.contains('T'))
    });
    let rfc3339 = UnixMillis::from_rfc3339(text).ok().or_else(|| UnixMillis::from_rfc3339(&with_colon?).ok());
    rfc3339.or_else(|| china_time(text))
}

fn read_content(topic: &str, content: &Content) -> Result<MessageContent, Reason> {
    let tid = given(content.tid.as_ref()).ok_or("the message names no trade")?;
    let trade = TradeId::new(tid).map_err(|_| "tid is not the id of a trade")?;
    if let Some(kind) = topic.strip_prefix(REFUNDS) {
        return Ok(MessageContent::Case(trade, read_case(kind, content)?));
    }
    match given(content.status.as_ref()) {
        Some(word) => {
            let raw = clipped(word, RawStatus::BYTES_MAX, RawStatus::new, "the status is not a status word")?;
            Ok(MessageContent::Status(trade, status::of_word(word), raw))
        }
        // Such as a memo that was changed: it says nothing of where the trade stands.
        None => Ok(MessageContent::Other(loggable(topic))),
    }
}

fn read_case(kind: &str, content: &Content) -> Result<ToldCase, Reason> {
    let id = given(content.refund_id.as_ref()).ok_or("the message names no refund")?;
    let by_topic = REFUND_TOPICS.iter().find(|(known, _)| *known == kind);
    let by_topic = by_topic.map_or(AfterSaleState::Unrecognised, |(_, state)| *state);
    let word = given(content.status.as_ref()).unwrap_or(kind);
    let by_word = given(content.status.as_ref()).and_then(status::after_sale);
    Ok(ToldCase {
        id: AfterSaleId::new(id).map_err(|_| "refund_id is not the id of a refund")?,
        state: by_word.unwrap_or(by_topic),
        raw: clipped(word, RawStatus::BYTES_MAX, RawStatus::new, "the status is not a status word")?,
        line: given(content.oid.as_ref()).and_then(|oid| LineId::new(oid).ok()),
        money: yuan(content.refund_fee.as_ref())?,
    })
}
