//! The status as a page: one file of XHTML with its plots in it, to look at and to send. Nothing is loaded from anywhere.

use std::fmt::Write;

use super::activity::{Activity, PARTS, halves};
use super::{Status, lag_ms_max};
use crate::days;

/// The size of a plot, and of one part of the time in it, in pixels.
const HEIGHT: u64 = 80;
const BAR_WIDTH: usize = 8;
/// Colours of outcomes, in turn; what could not be done is red in any case.
const COLOURS: [&str; 6] = ["#2a6f97", "#61a5c2", "#a9d6e5", "#8d99ae", "#adb5bd", "#ced4da"];
const TROUBLE: &str = "#c1121f";

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><meta charset="UTF-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/><style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; margin: 2em auto; max-width: 62em; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse } td, th { padding: .2em 1.2em .2em 0; text-align: left; border-bottom: 1px solid #dde3e8 }
figure { margin: 1em 0 } figcaption b { font-weight: 600 } svg { background: #f5f7f9; display: block; max-width: 100% }
.key { margin-right: 1em; white-space: nowrap } .key i { display: inline-block; width: .8em; height: .8em; margin-right: .3em }
.attention { border-left: 4px solid #c1121f; padding-left: 1em } .well { border-left: 4px solid #2a9d63; padding-left: 1em }
</style>"#;

/// Writes the page.
pub(super) fn write(status: &Status) -> String {
    let mut page = HEAD.to_owned();
    let (stack, at) = (escaped(&status.stack), days::moment(status.at));
    // A String takes everything that is written to it.
    write!(page, "<title>{stack}, {at}</title></head><body><h1>{stack}</h1><p>{at}</p>").ok();
    page.push_str(&attention(&status.attention()));
    page.push_str("<h2>What waits</h2><table><tr><th>queue</th><th>waiting</th><th>at work</th></tr>");
    for (name, depth) in &status.queues {
        write!(page, "<tr><td>{name}</td><td>{}</td><td>{}</td></tr>", depth.visible, depth.held).ok();
    }
    write!(page, "</table><h2>The last {} minutes</h2>", status.minutes).ok();
    for (folder, activity) in &status.functions {
        page.push_str(&figure(folder, activity));
    }
    page.push_str("<h2>Sweeps</h2><table><tr><th>sweep</th><th>read to</th><th>behind</th></tr>");
    for (key, read_to) in &status.sweeps {
        let behind_ms = read_to.map(|read_to| status.at.ms_since(read_to));
        let is_late = behind_ms.zip(lag_ms_max(key.kind)).is_some_and(|(behind, most)| behind > most);
        let (opens, closes) = if is_late { ("<b>", "</b>") } else { ("", "") };
        let read_to = read_to.map_or_else(|| "never ran".to_owned(), days::moment);
        let behind = behind_ms.map(days::span).unwrap_or_default();
        write!(
            page,
            "<tr><td>{}</td><td>{read_to}</td><td>{opens}{behind}{closes}</td></tr>",
            escaped(&key.to_string())
        )
        .ok();
    }
    page.push_str("</table></body></html>\n");
    page
}

fn attention(lines: &[String]) -> String {
    if lines.is_empty() {
        return r#"<p class="well">Nothing asks for a person.</p>"#.to_owned();
    }
    let lines: String = lines.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
    format!(r#"<div class="attention"><b>What asks for a person</b><ul>{lines}</ul></div>"#)
}

/// What a function did over the time: a bar for each part of it, divided by outcome.
fn figure(folder: &str, activity: &Activity) -> String {
    let coloured: Vec<(&String, &[u64; PARTS], &str)> = activity
        .outcomes
        .iter()
        .zip(COLOURS.iter().cycle())
        .map(|((outcome, counts), colour)| {
            let colour = if matches!(outcome.as_str(), "failed" | "unavailable") { TROUBLE } else { colour };
            (outcome, counts, colour)
        })
        .collect();
    let sum_of = |part: usize| coloured.iter().filter_map(|(_, counts, _)| counts.get(part)).sum::<u64>();
    let most = (0..PARTS).map(sum_of).max().unwrap_or_default();
    let mut bars = String::new();
    for part in 0..PARTS {
        let mut top = HEIGHT;
        for (_, counts, colour) in &coloured {
            let count = counts.get(part).copied().unwrap_or_default();
            let height = (count * HEIGHT).checked_div(most).unwrap_or_default().max(u64::from(count > 0)).min(top);
            if height > 0 {
                top -= height;
                let (x, width) = (part * BAR_WIDTH, BAR_WIDTH - 1);
                write!(bars, r#"<rect x="{x}" y="{top}" width="{width}" height="{height}" fill="{colour}"/>"#).ok();
            }
        }
    }
    let keys: String = coloured
        .iter()
        .map(|(outcome, counts, colour)| {
            let sum = counts.iter().sum::<u64>();
            format!(r#"<span class="key"><i style="background: {colour}"></i>{} {sum}</span>"#, escaped(outcome))
        })
        .collect();
    let measured = |what: &str, values: &[i64]| match halves(values) {
        none if none.is_empty() => String::new(),
        halves => format!("{what} {halves} ms (half, 99 %). "),
    };
    let (took, age) = (measured("Took", &activity.took_ms), measured("Age of facts", &activity.age_ms));
    let bytes = if activity.bytes > 0 { format!("{} bytes of pictures. ", activity.bytes) } else { String::new() };
    let (width, folder) = (PARTS * BAR_WIDTH, escaped(folder));
    format!(
        r#"<figure><figcaption><b>{folder}</b> {took}{age}{bytes}At most {most} in a bar.</figcaption>
<svg viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" role="img" aria-label="{folder}" xmlns="http://www.w3.org/2000/svg">{bars}</svg>
<div>{keys}</div></figure>"#
    )
}

/// Text as it may stand in a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use domain::UnixMillis;

    use super::*;
    use crate::queues::Depth;

    #[test]
    fn a_page_is_well_formed_holds_its_figures_and_loads_nothing() {
        let at = UnixMillis::new(1_795_248_000_000).unwrap();
        let line = |outcome: &str| format!(r#"{{"event":"record.processed","outcome":"{outcome}","duration_ms":3}}"#);
        let lines =
            (0..30).map(|nth| (at.get() - nth * 100_000, line(if nth % 3 == 0 { "failed" } else { "<applied>" })));
        let activity = Activity::of(lines.collect(), (at.saturating_add_ms(-3_600_000), at));
        let key = |shop: &str| adapters::ports::SweepKey {
            kind: domain::sweep::SweepKind::Incremental,
            marketplace: domain::Marketplace::Taobao,
            shop: domain::ShopId::new(shop).unwrap(),
        };
        let status = Status {
            stack: "a&b".to_owned(),
            at,
            minutes: 60,
            queues: vec![("events", Depth { visible: 3, held: 1 }), ("quarantine", Depth { visible: 2, held: 0 })],
            functions: vec![("status-writer".to_owned(), activity), ("orders-api".to_owned(), Activity::default())],
            sweeps: vec![(key("late"), Some(at.saturating_add_ms(-3_600_000))), (key("never"), None)],
        };
        let page = write(&status);
        let parsed = roxmltree::Document::parse(&page).unwrap();
        let count = |name: &str| {
            parsed.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", name))).count()
        };
        assert_eq!(count("svg"), 2);
        assert!(count("rect") >= 20, "{}", count("rect"));
        for text in [
            "a&amp;b",
            "&lt;applied&gt; 20",
            "failed 10",
            "status-writer: 10 x failed or unavailable",
            "2 in quarantine",
            "never ran",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
        assert!(page.contains("<b>1 h") || page.contains("<b>60 min"), "the late sweep stands out: {page}");
        for loads in ["<script", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(loads), "{loads}");
        }
    }
}
