//! What criterion found of what is pure (`benches/pure.rs`), for the table.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::table::{Budget, Figures, Row, Unit};

#[derive(Debug, Deserialize)]
struct Estimates {
    mean: Estimate,
}

/// In nanoseconds.
#[derive(Debug, Deserialize)]
struct Estimate {
    point_estimate: serde_json::Number,
}

/// The means of criterion's last run, which left them below this directory; none without a run.
pub fn figures(directory: &Path) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let Ok(entries) = fs::read_dir(directory) else { return Ok(figures) };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path().join("new");
        if let Ok(estimates) = fs::read_to_string(path.join("estimates.json")) {
            let estimates: Estimates = serde_json::from_str(&estimates).context("criterion's estimates")?;
            found.push((title(&path)?, nanoseconds(&estimates.mean)?));
        }
    }
    found.sort();
    for (what, figure) in found {
        figures.add(Row { what, who: "criterion", figure, unit: Unit::Nanos, budget: Budget::None, of: None });
    }
    Ok(figures)
}

/// The whole nanoseconds of an estimate.
fn nanoseconds(estimate: &Estimate) -> anyhow::Result<u64> {
    let text = estimate.point_estimate.to_string();
    text.split('.').next().unwrap_or_default().parse().with_context(|| format!("{text} is not a time"))
}

/// What was measured there, by its name.
fn title(path: &Path) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Benchmark {
        title: String,
    }
    let text = fs::read_to_string(path.join("benchmark.json")).context("criterion's benchmark")?;
    Ok(serde_json::from_str::<Benchmark>(&text).context("criterion's benchmark")?.title)
}
