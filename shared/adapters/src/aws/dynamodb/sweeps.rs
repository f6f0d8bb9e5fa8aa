//! The sweeps table: one item a sweep, replaced whole by compare-and-set on its version.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use domain::LeaseToken;
use domain::sweep::{Lease, SweepState, Window};

use super::super::error::classify;
use super::attributes::{Item, checked, integer, moment, optional, time};
use crate::error::PortError;
use crate::ports::{SweepKey, Sweeps};

const READ: &str = "sweeps.read";
const REPLACE: &str = "sweeps.replace";

const VERSION: &str = "version";
const WATERMARK: &str = "watermark";
const GOAL_START: &str = "goal_start";
const GOAL_END: &str = "goal_end";
const LEASE_TOKEN: &str = "lease_token";
const LEASE_BEAT: &str = "lease_beat";
const PAUSED_UNTIL: &str = "paused_until";
const LISTED: &str = "listed";
const CHANGED: &str = "changed";

/// The sweeps table.
#[derive(Debug, Clone)]
pub struct DynamoSweeps {
    client: Client,
    table: String,
}

impl DynamoSweeps {
    /// The table of that name.
    pub fn new(client: &Client, table: String) -> Self {
        Self { client: client.clone(), table }
    }
}

/// The attributes of a state; what it has not is absent.
fn item(key: &SweepKey, state: &SweepState) -> Item {
    let number = |number: u64| Some(AttributeValue::N(number.to_string()));
    let lease = state.lease.as_ref();
    let attributes = [
        ("pk", Some(AttributeValue::S(key.to_string()))),
        (VERSION, number(state.version)),
        (WATERMARK, state.watermark.map(moment)),
        (GOAL_START, state.goal.map(|goal| moment(goal.start()))),
        (GOAL_END, state.goal.map(|goal| moment(goal.end()))),
        (LEASE_TOKEN, lease.map(|lease| AttributeValue::S(lease.token.to_string()))),
        (LEASE_BEAT, lease.and_then(|lease| number(lease.beat))),
        (PAUSED_UNTIL, state.paused_until.map(moment)),
        (LISTED, number(state.listed)),
        (CHANGED, number(state.changed)),
    ];
    attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The state in an item. `None` when it does not read as we wrote it.
fn read_state(item: &Item) -> Option<SweepState> {
    let goal = |item: &Item, start: &str| Window::new(time(item, start)?, time(item, GOAL_END)?);
    let lease = |item: &Item, token: &str| {
        Some(Lease { token: checked(item, token, LeaseToken::try_from)?, beat: integer(item, LEASE_BEAT)? })
    };
    Some(SweepState {
        version: integer(item, VERSION)?,
        watermark: optional(item, WATERMARK, time)?,
        goal: optional(item, GOAL_START, goal)?,
        lease: optional(item, LEASE_TOKEN, lease)?,
        paused_until: optional(item, PAUSED_UNTIL, time)?,
        listed: integer(item, LISTED)?,
        changed: integer(item, CHANGED)?,
    })
}

fn read_kept(operation: &'static str, item: Option<Item>) -> Result<SweepState, PortError> {
    let Some(item) = item.filter(|item| !item.is_empty()) else { return Ok(SweepState::default()) };
    read_state(&item).ok_or(PortError::unreadable(operation))
}

impl Sweeps for DynamoSweeps {
    async fn read(&self, key: &SweepKey) -> Result<SweepState, PortError> {
        let call = self.client.get_item().table_name(&self.table).key("pk", AttributeValue::S(key.to_string()));
        let answer = call.consistent_read(true).send().await.map_err(|error| classify(READ, error))?;
        read_kept(READ, answer.item)
    }

    async fn replace(&self, key: &SweepKey, next: &SweepState) -> Result<Option<SweepState>, PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item(key, next)));
        let put = match next.version {
            1 => put.condition_expression("attribute_not_exists(pk)"),
            version => put
                .condition_expression("#version = :before")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":before", AttributeValue::N(version.saturating_sub(1).to_string())),
        };
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(None) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                // It may be there because an earlier try put it, whose answer was lost.
                let kept = read_kept(REPLACE, lost.item().cloned())?;
                Ok((kept != *next).then_some(kept))
            }
            _ => Err(classify(REPLACE, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::stub::{Answer, Script};
    use super::*;
    use crate::error::Disposition;
    use domain::sweep::SweepKind;
    use domain::{Marketplace, ShopId, UnixMillis};

    fn key() -> SweepKey {
        SweepKey { kind: SweepKind::Incremental, marketplace: Marketplace::Taobao, shop: ShopId::new("demo").unwrap() }
    }

    fn claimed(version: u64, token: &str) -> SweepState {
        SweepState { version: version - 1, ..SweepState::default() }.claimed(&LeaseToken::new(token).unwrap())
    }

    /// DynamoDB's answer to a put whose condition was lost to this state.
    fn lost_to(state: &SweepState) -> Answer {
        let json = |value: &AttributeValue| match value.as_n() {
            Ok(number) => serde_json::json!({ "N": number }),
            Err(text) => serde_json::json!({ "S": text.as_s().unwrap() }),
        };
        let item: serde_json::Map<_, _> =
            item(&key(), state).iter().map(|(name, of)| (name.clone(), json(of))).collect();
        let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        Answer::Text(400, serde_json::json!({"__type": kind, "message": "lost", "Item": item}).to_string())
    }

    #[tokio::test]
    async fn a_replacement_whose_answer_was_lost_is_found_done_when_it_is_done_again() {
        let next = claimed(7, "ours");
        let script = Script::new([Answer::Lost, lost_to(&next)]);
        let sweeps = DynamoSweeps::new(&script.dynamodb(), "sweeps".to_owned());
        let first = sweeps.replace(&key(), &next).await.unwrap_err();
        assert_eq!(first.disposition(), Disposition::Reconcile);
        assert_eq!(sweeps.replace(&key(), &next).await.unwrap(), None);
        let asked = script.asked();
        assert_eq!((asked.len(), &asked[0]), (2, &asked[1]));
        assert_eq!(asked[0].1["ConditionExpression"], "#version = :before");
        assert_eq!(asked[0].1["ExpressionAttributeValues"][":before"]["N"], "6");
    }

    #[test]
    fn a_state_of_which_something_does_not_read_is_none_and_not_that_of_a_shop_that_was_never_swept() {
        let goal = Window::new(UnixMillis::EPOCH, UnixMillis::MAX);
        let (watermark, paused_until) = (Some(UnixMillis::EPOCH), Some(UnixMillis::MAX));
        let state = SweepState { watermark, goal, paused_until, ..claimed(3, "ours") };
        let whole = item(&key(), &state);
        assert_eq!(read_state(&whole), Some(state));
        for name in whole.keys().filter(|name| *name != "pk") {
            let mut damaged = whole.clone();
            damaged.insert(name.clone(), AttributeValue::Bool(true));
            assert_eq!(read_state(&damaged), None, "{name}");
        }
    }

    #[tokio::test]
    async fn a_replacement_that_another_overtook_brings_what_is_there() {
        let theirs = claimed(7, "theirs");
        let script = Script::new([lost_to(&theirs), lost_to(&SweepState::default())]);
        let sweeps = DynamoSweeps::new(&script.dynamodb(), "sweeps".to_owned());
        assert_eq!(sweeps.replace(&key(), &claimed(7, "ours")).await.unwrap(), Some(theirs));
        sweeps.replace(&key(), &claimed(1, "ours")).await.unwrap();
        assert_eq!(script.asked()[1].1["ConditionExpression"], "attribute_not_exists(pk)");
    }
}
