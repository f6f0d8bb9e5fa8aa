//! What no image host has: looking at its counts from another process, and letting things happen.

use std::time::Duration;

use serde_json::{Value, json};

use super::conduct::{Answer, Conduct};
use super::departures::Bytes;
use super::host::Site;
use super::picture::Body;
use super::wire::Request;

pub(super) fn answer(site: &Site, request: &Request) -> Answer {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/simulator/state") => said(200, &state(site)),
        ("POST", "/simulator/forget") => {
            site.forget();
            said(200, &state(site))
        }
        ("POST", "/simulator/change") => change(site, request),
        ("POST", "/simulator/conduct") => conduct(site, request),
        _ => Answer::page(404),
    }
}

fn said(status: u16, value: &Value) -> Answer {
    Answer::of(status, "application/json", Body::of(value.to_string().into_bytes()))
}

fn state(site: &Site) -> Value {
    let (totals, departures) = (site.totals(), site.departures());
    let asked = totals.asked;
    json!({
        "connections": totals.connections,
        "connections_at_once_max": totals.connections_at_once_max,
        "answers_at_once_max": totals.answers_at_once_max,
        "requests": asked.requests(),
        "conditional": asked.conditional,
        "not_modified": asked.not_modified,
        "body_bytes": departures.total(Bytes::OfBodies),
        "bytes": departures.total(Bytes::All),
        "worst_second_bytes": departures.worst_window(Bytes::All, Duration::from_secs(1)),
        "mean_bytes_per_second": departures.mean(Bytes::All)
    })
}

/// Changes the picture at `path`, or so many `percent` of what is there.
fn change(site: &Site, request: &Request) -> Answer {
    let percent = request.parameter("percent").and_then(|text| text.parse().ok()).filter(|percent| *percent <= 100);
    match (request.parameter("path"), percent) {
        (Some(path), _) => said(200, &json!({"changes": u64::from(site.change(&path))})),
        (None, Some(percent)) => said(200, &json!({"changes": site.change_some(percent)})),
        (None, None) => said(400, &json!({"error": "neither a path nor a percentage"})),
    }
}

/// From now on what is `below` a path is answered as `name` says; without a name nothing goes wrong any more.
fn conduct(site: &Site, request: &Request) -> Answer {
    let Some(name) = request.parameter("name") else {
        site.clear();
        return said(200, &json!({"conduct": null}));
    };
    let every = Conduct::every();
    let Some((name, conduct)) = every.into_iter().find(|(known, _)| *known == name) else {
        let names: Vec<_> = Conduct::every().into_iter().map(|(name, _)| name).collect();
        return said(400, &json!({"error": "there is no such conduct", "known": names}));
    };
    let below = request.parameter("below").unwrap_or_else(|| "/".to_owned());
    site.rule(&below, conduct);
    said(200, &json!({"conduct": name, "below": below}))
}
