//! What a million of each unit of work costs on AWS: counts and times that were measured, times prices of one file.
//!
//! Not in it: what a stack costs when nothing happens (alarms, metrics, the secret), storage, and traffic to the internet;
//! `infra/README.md` has the sums.
#![allow(clippy::float_arithmetic, reason = "an estimate in dollars, of which no money depends")]

use std::fmt;

use anyhow::Context;
use comfy_table::Table;
use serde::Deserialize;

use crate::functions::{Work, Works};

const PRICES: &str = include_str!("../prices.json");
/// Events in a batch of the queues: `EventsBatchSize` and `ImagesBatchSize` of infra/template.yaml.
const EVENTS_PER_BATCH: f64 = 10.0;
/// Bytes of the line that image-sync logs for a picture, its metrics included.
const IMAGE_LOG_BYTES: f64 = 900.0;

#[derive(Debug, Deserialize)]
struct Prices {
    of: String,
    date: String,
    lambda_million_requests: f64,
    lambda_gb_second: f64,
    http_api_million_requests: f64,
    sqs_million_requests: f64,
    dynamodb_million_write_units: f64,
    dynamodb_million_read_units: f64,
    s3_million_puts: f64,
    s3_million_gets: f64,
    logs_gb_ingested: f64,
    assumed: Assumed,
}

#[derive(Debug, Deserialize)]
struct Assumed {
    service_call_ms: f64,
    megabytes_of_a_whole_processor: f64,
    function_megabytes: f64,
    image_function_megabytes: f64,
    image_ms_per_picture: f64,
    images_at_once: f64,
}

/// What one unit of work needs.
#[derive(Debug, Default)]
struct Needs {
    http_requests: f64,
    invocations: f64,
    gb_seconds: f64,
    queue_requests: f64,
    write_units: f64,
    read_units: f64,
    puts: f64,
    gets: f64,
    logged_bytes: f64,
}

/// A unit of work and what a million of it costs, in dollars, by what it is paid for.
#[derive(Debug)]
struct Cost {
    what: &'static str,
    parts: [(&'static str, f64); 6],
}

/// The costs of all units.
#[derive(Debug)]
pub struct Costs {
    prices: Prices,
    costs: Vec<Cost>,
}

impl Prices {
    fn of_a_million(&self, what: &'static str, needs: &Needs) -> Cost {
        let storage = needs.puts * self.s3_million_puts + needs.gets * self.s3_million_gets;
        let table =
            needs.write_units * self.dynamodb_million_write_units + needs.read_units * self.dynamodb_million_read_units;
        let compute =
            needs.invocations * self.lambda_million_requests + needs.gb_seconds * self.lambda_gb_second * 1_000_000.0;
        // A million bytes are a thousandth of a GB.
        let logs = needs.logged_bytes * self.logs_gb_ingested / 1_000.0;
        let parts = [
            ("HTTP API", needs.http_requests * self.http_api_million_requests),
            ("Lambda", compute),
            ("SQS", needs.queue_requests * self.sqs_million_requests),
            ("DynamoDB", table),
            ("S3", storage),
            ("logs", logs),
        ];
        Cost { what, parts }
    }

    /// GB-seconds of one invocation: its processor time, stretched by the part of a processor that it has, and its calls.
    fn gb_seconds(&self, work: Work, calls: f64) -> f64 {
        let Assumed { service_call_ms, megabytes_of_a_whole_processor, function_megabytes, .. } = self.assumed;
        let stretched = work.cpu.as_secs_f64() * megabytes_of_a_whole_processor / function_megabytes;
        (stretched + calls * service_call_ms / 1_000.0) * function_megabytes / 1_024.0
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "bytes of a line")]
fn bytes(work: Work) -> f64 {
    work.logged_bytes as f64
}

impl Costs {
    /// From what was measured.
    pub fn of(works: Works) -> anyhow::Result<Self> {
        let prices: Prices = serde_json::from_str(PRICES).context("prices.json")?;
        let webhook = Needs {
            http_requests: 1.0,
            invocations: 1.0,
            gb_seconds: prices.gb_seconds(works.webhook, 1.0),
            queue_requests: 1.0,
            logged_bytes: bytes(works.webhook),
            ..Needs::default()
        };
        // Received and deleted ten at a time; one write at most an event; a batch's writes go side by side.
        let status = Needs {
            invocations: 1.0 / EVENTS_PER_BATCH,
            gb_seconds: prices.gb_seconds(works.batch, 1.0) / EVENTS_PER_BATCH,
            queue_requests: 2.0 / EVENTS_PER_BATCH,
            write_units: 1.0,
            logged_bytes: bytes(works.batch) / EVENTS_PER_BATCH,
            ..Needs::default()
        };
        // The entry, and its place in the index by order.
        let callback = Needs {
            http_requests: 1.0,
            invocations: 1.0,
            gb_seconds: prices.gb_seconds(works.callback, 1.0),
            write_units: 2.0,
            logged_bytes: bytes(works.callback),
            ..Needs::default()
        };
        let seconds = prices.assumed.image_ms_per_picture / 1_000.0 / prices.assumed.images_at_once;
        let gb = prices.assumed.image_function_megabytes / 1_024.0;
        // Queued, received and deleted ten at a time; looked up in the manifest.
        let unchanged = || Needs {
            invocations: 1.0 / EVENTS_PER_BATCH,
            gb_seconds: seconds * gb,
            queue_requests: 3.0 / EVENTS_PER_BATCH,
            read_units: 1.0,
            logged_bytes: IMAGE_LOG_BYTES,
            ..Needs::default()
        };
        // A HEAD; the original and two thumbnails; the manifest.
        let stored = Needs { write_units: 1.0, puts: 3.0, gets: 1.0, ..unchanged() };
        let costs = vec![
            prices.of_a_million("webhooks, verified and queued", &webhook),
            prices.of_a_million("status changes, written", &status),
            prices.of_a_million("payment callbacks", &callback),
            prices.of_a_million("pictures, new, with thumbnails", &stored),
            prices.of_a_million("pictures, unchanged", &unchanged()),
        ];
        Ok(Self { prices, costs })
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        let names = self.costs.first().map(|cost| cost.parts.map(|(name, _)| name.to_owned())).unwrap_or_default();
        table.set_header(["a million of".to_owned()].into_iter().chain(names).chain(["together, $".to_owned()]));
        for Cost { what, parts } in &self.costs {
            let sum: f64 = parts.iter().map(|(_, dollars)| dollars).sum();
            let dollars = parts.iter().map(|(_, dollars)| *dollars).chain([sum]);
            table.add_row([(*what).to_owned()].into_iter().chain(dollars.map(|dollars| format!("{dollars:.2}"))));
        }
        writeln!(formatter, "{table}")?;
        let Assumed { service_call_ms, function_megabytes, .. } = self.prices.assumed;
        writeln!(
            formatter,
            "{} ({}). Counts and processor time are measured; assumed: {service_call_ms} ms a call, {function_megabytes} MB \
             a function; all of it in tests/bench/prices.json.",
            self.prices.of, self.prices.date
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_million_webhooks_cost_their_requests_and_their_time() {
        let work = Work { cpu: Duration::from_micros(100), logged_bytes: 1_000, ..Work::default() };
        let costs = Costs::of(Works { webhook: work, batch: work, callback: work }).unwrap();
        let webhook = &costs.costs[0];
        let part = |wanted: &str| webhook.parts.iter().find(|(name, _)| *name == wanted).unwrap().1;
        assert!((part("HTTP API") - 1.0).abs() < 1e-9 && (part("SQS") - 0.4).abs() < 1e-9);
        assert!((part("logs") - 0.5).abs() < 1e-9 && part("DynamoDB") == 0.0);
        // 0.1 ms of a whole processor is 0.691 ms of 256 MB's part, and the call takes 8 ms.
        let expected = 0.2 + 0.008_691 * 0.25 * 16.666_7;
        assert!((part("Lambda") - expected).abs() < 1e-4, "{}", part("Lambda"));
        assert!(costs.to_string().contains("together, $"));
    }
}
