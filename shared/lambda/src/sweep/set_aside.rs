//! What cannot be read, kept for a person.

use adapters::ports::{NoDetail, Quarantine, Quarantined};
use protocols::marketplace::{Account, FlowControl, Malformed};

use super::{Stop, Tally};

/// Keeps what cannot be read, with its reason, under `sweep/<marketplace>/<shop>/<what>`.
pub async fn set_aside(
    account: &Account,
    what: &str,
    malformed: Malformed,
    quarantine: &impl Quarantine,
    tally: &mut Tally,
) -> Result<(), Stop> {
    let Malformed { reason, body } = malformed;
    let message_id = format!("{}{}/{}/{what}", Quarantined::OF_SWEEPS, account.marketplace().as_str(), account.shop);
    quarantine.put(&Quarantined { message_id, body, reason }).await?;
    tally.malformed += 1;
    Ok(())
}

/// One whose detail cannot be had: set aside when asking again does not help, else the run stops before it is swept, and
/// the next one asks again.
pub async fn without_detail(
    id: &str,
    no_detail: NoDetail,
    account: &Account,
    quarantine: &impl Quarantine,
    tally: &mut Tally,
) -> Result<(), Stop> {
    let malformed = match no_detail {
        NoDetail::Malformed(malformed) => malformed,
        NoDetail::Refused(refused) => match refused.flow {
            FlowControl::GiveUp => Malformed { reason: refused.to_string(), body: id.to_owned() },
            FlowControl::Retry
            | FlowControl::WaitSeconds(_)
            | FlowControl::WaitForMidnight
            | FlowControl::Reauthorise => return Err(Stop::Market(refused.into())),
        },
    };
    set_aside(account, id, malformed, quarantine, tally).await
}
