//! Exchange rates without the internet: a file of examples in the ECB's format, which the emulator's S3 serves.
//!
//! Invariant: the file that is served has the day of `up`, and always the same URL, so that new rates are no
//! change of the stack.

use std::path::Path;

use adapters::clock::{Clock, SystemClock};
use anyhow::{Context, ensure};
use aws_types::SdkConfig;
use domain::UnixMillis;

use crate::deploy;
use crate::table::step;

/// The file of examples, in the repository.
const FILE: &str = "infra/local/rates.xml";
/// Its key in the bucket: the name that the ECB gives it.
const KEY: &str = "eurofxref-daily.xml";
/// What stands before the day in the ECB's files.
const DAY_OPENS: &str = "<Cube time='";

/// Where the functions fetch rates: at the URL that was chosen, else from the examples, which are renewed.
pub(super) async fn url(
    config: &SdkConfig,
    emulator_url: &str,
    stack: &str,
    root: &Path,
    chosen: Option<&str>,
) -> anyhow::Result<String> {
    if let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty()) {
        step("Rates", "those that SAMPAN_RATES_URL names");
        return Ok(chosen.to_owned());
    }
    let file = root.join(FILE);
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let day = day(SystemClock.now());
    let text = of_day(&text, &day).with_context(|| format!("{} cannot be used", file.display()))?;
    let bucket = format!("{stack}-rates");
    publish(config, &bucket, &text).await?;
    let url = format!("{emulator_url}/{bucket}/{KEY}");
    let served = reqwest::get(&url).await.and_then(reqwest::Response::error_for_status);
    let served = served.context("the example rates were uploaded and are not served")?;
    ensure!(served.text().await? == text, "other rates are served than were uploaded");
    step("Rates", &format!("local example rates of {day}; SAMPAN_RATES_URL names others"));
    Ok(url)
}

/// Puts the file into a bucket that holds nothing else, and lets everybody read it: whoever fetches rates has no
/// credentials. The emulator guards buckets as S3 does, so it is asked in S3's way.
async fn publish(config: &SdkConfig, bucket: &str, text: &str) -> anyhow::Result<()> {
    deploy::make_bucket(config, bucket).await?;
    let client = deploy::s3(config);
    let open = client.delete_public_access_block().bucket(bucket).send().await;
    open.context("cannot open the bucket for rates")?;
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "AnybodyReadsRates", "Effect": "Allow", "Principal": "*",
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/{KEY}"),
    }]});
    let allow = client.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await;
    allow.context("cannot let the functions read the rates")?;
    let body = aws_sdk_s3::primitives::ByteStream::from(text.as_bytes().to_vec());
    let put = client.put_object().bucket(bucket).key(KEY).content_type("text/xml").body(body);
    put.send().await.context("cannot upload the example rates")?;
    Ok(())
}

/// `YYYY-MM-DD`, in UTC.
fn day(at: UnixMillis) -> String {
    at.to_rfc3339().chars().take_while(|letter| *letter != 'T').collect()
}

/// The file with another day. Refuses one that the functions could not read.
fn of_day(text: &str, day: &str) -> anyhow::Result<String> {
    let (before, after) = text.split_once(DAY_OPENS).context("it has no day")?;
    let (_, after) = after.split_once('\'').context("its day does not end")?;
    ensure!(!after.contains(DAY_OPENS), "it has more than one day");
    let text = format!("{before}{DAY_OPENS}{day}'{after}");
    protocols::ecb::read(&text).context("it holds no rates")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Currency, Money};

    const EXAMPLES: &str = include_str!("../../../local/rates.xml");

    #[test]
    fn the_examples_are_of_the_day_that_was_asked_for() {
        let at = UnixMillis::from_rfc3339("2027-01-02T23:59:59.999Z").unwrap();
        assert_eq!(day(at), "2027-01-02");
        let rates = protocols::ecb::read(&of_day(EXAMPLES, &day(at)).unwrap()).unwrap();
        let (yen, euro) = (Currency::from_code("JPY").unwrap(), Currency::EUR);
        let rate = rates.rate(yen, euro, at).unwrap();
        assert_eq!(rate.date().to_string(), "2027-01-02");
        assert_eq!(rate.convert(Money::new(16_500, yen).unwrap()), Money::new(10_230, euro));
    }

    #[test]
    fn a_file_that_no_function_could_read_is_refused() {
        let two_days = EXAMPLES.replace("</Cube>\n\t</Cube>", "</Cube><Cube time='2026-11-19'/></Cube>");
        let unfinished = EXAMPLES.replace("</gesmes:Envelope>", "");
        for text in ["", "<Cube time='2026-11-20", two_days.as_str(), unfinished.as_str()] {
            assert_ne!(text, EXAMPLES);
            assert!(of_day(text, "2026-11-21").is_err(), "{text}");
        }
        assert!(of_day(EXAMPLES, "today").is_err());
    }
}
