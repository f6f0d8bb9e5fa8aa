//! The time from POST to visible: a fresh order's status is posted, and the order is asked for until it shows.

use std::time::{Duration, Instant};

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::{Context, bail};
use domain::OrderId;
use reqwest::Method;
use serde::Deserialize;

use super::plan;
use super::shop_front::ShopFront;
use crate::http::Api;
use crate::table::bar;

/// Between two questions for one order.
const ASK_MS: u64 = 5;
/// How long an order is asked for: longer than any batching window and a cold start.
const VISIBLE_MS_MAX: u128 = 60_000;
/// What a probe reports, and waits for.
const STATUS: &str = "ARRIVED";

#[derive(Deserialize)]
struct Order {
    status: String,
}

/// Measures `probes` times, one after the other. The result is sorted.
pub(super) async fn measure(
    api: &Api,
    secrets: &Secrets,
    shop_front: &ShopFront<'_>,
    probes: usize,
) -> anyhow::Result<Vec<Duration>> {
    let bar = bar("Probing", probes);
    let run = plan::tag(SystemClock.now());
    let mut took = Vec::with_capacity(probes);
    for probe in 0..probes {
        let order = OrderId::new(format!("probe-{run}-{probe}"))?;
        took.push(visible_after(api, secrets, shop_front, &order).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    took.sort_unstable();
    Ok(took)
}

async fn visible_after(
    api: &Api,
    secrets: &Secrets,
    shop_front: &ShopFront<'_>,
    order: &OrderId,
) -> anyhow::Result<Duration> {
    let now = SystemClock.now();
    let delivery = plan::probe(secrets, order, now)?.sign(secrets, now)?;
    let posted = Instant::now();
    let answer = api.send(delivery).await?;
    if !answer.is_success() {
        bail!("a probe was answered {}", answer.label());
    }
    while posted.elapsed().as_millis() < VISIBLE_MS_MAX {
        let answer = api.send(shop_front.request(Method::GET, format!("/orders/{order}"), Vec::new())).await?;
        match answer.status {
            200 if serde_json::from_slice::<Order>(&answer.body).context("an order")?.status == STATUS => {
                return Ok(posted.elapsed());
            }
            200 | 404 | 429 | 503 => tokio::time::sleep(Duration::from_millis(ASK_MS)).await,
            _ => bail!("GET /orders/{order} was answered {}", answer.label()),
        }
    }
    bail!("{order} did not become visible")
}

/// The value that so many of a hundred do not exceed, of sorted values.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).or(sorted.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let millis = |percent| percentile(&values, percent).as_millis();
        assert_eq!([millis(50), millis(99), millis(100), millis(0)], [100, 198, 200, 1]);
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
