//! What cannot be read, kept for a person.

use adapters::ports::{Quarantine, Quarantined};
use protocols::marketplace::{Account, Malformed};

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
