//! What the template's alarms and dashboard watch, against what the code tells CloudWatch: the same names, the same
//! dimensions, and nothing that nobody watches.

use std::collections::BTreeSet;

use adapters::testing::{Fault, FaultPlan};
use lambda::log::{WideEvent, event, field, metric};
use protocols::cloudevents;
use serde_json::{Value, json};

use crate::support::*;

const TEMPLATE: &str = include_str!("../../infra/template.yaml");
const RUNBOOK: &str = include_str!("../../infra/README.md");
/// Metrics of AWS that are watched, with their dimension. Sources: SQS developer guide, "Available CloudWatch metrics";
/// Lambda developer guide, "Types of metrics for Lambda functions"; API Gateway developer guide, "Work with metrics for HTTP
/// APIs".
const OF_AWS: [(&str, &str, &[&str]); 5] = [
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", &["QueueName"]),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", &["QueueName"]),
    ("AWS/Lambda", "Throttles", &["FunctionName"]),
    ("AWS/Lambda", "Errors", &["FunctionName"]),
    ("AWS/ApiGateway", "5xx", &["ApiId"]),
];

/// A metric with the names of its dimensions.
type Named = (String, String, Vec<String>);

fn named(namespace: &str, name: &str, dimensions: &[&str]) -> Named {
    (namespace.to_owned(), name.to_owned(), dimensions.iter().map(|name| (*name).to_owned()).collect())
}

/// The value behind a key of a block, up to the end of its line.
fn value<'a>(block: &'a str, key: &str) -> &'a str {
    let line = block.lines().find_map(|line| line.trim().strip_prefix(key));
    line.unwrap_or_else(|| panic!("no {key} in {block}")).trim()
}

/// The resources of a type, by their text.
fn resources(of_type: &str) -> Vec<&'static str> {
    let kind = format!("    Type: {of_type}\n");
    let ends = |rest: &str| rest.find("\n\n").unwrap_or(rest.len());
    TEMPLATE.split(&kind).skip(1).map(|rest| &rest[..ends(rest)]).collect()
}

fn of_alarms() -> Vec<Named> {
    let of_alarm = |block: &&str| {
        let dimensions = value(block, "Dimensions:").split("Name: ").skip(1);
        let dimensions: Vec<&str> = dimensions.map(|rest| rest.split(',').next().unwrap()).collect();
        named(value(block, "Namespace:"), value(block, "MetricName:"), &dimensions)
    };
    resources("AWS::CloudWatch::Alarm").iter().map(of_alarm).collect()
}

/// The text with the names of what stands in its place on a stack, and of a number 1.
fn substituted(text: &str) -> String {
    let mut parts = text.replace("${ImageBytesPerSecond}", "1");
    while let Some((before, rest)) = parts.split_once("${") {
        let (name, after) = rest.split_once('}').unwrap();
        parts = format!("{before}{name}{after}");
    }
    parts
}

fn of_dashboard() -> Vec<Named> {
    let [dashboard] = resources("AWS::CloudWatch::Dashboard")[..] else { panic!("one dashboard") };
    let body = dashboard.split("DashboardBody: !Sub |\n").nth(1).unwrap();
    let body: Value = serde_json::from_str(&substituted(body)).unwrap();
    let widgets = body["widgets"].as_array().unwrap();
    widgets
        .iter()
        .flat_map(|widget| widget["properties"]["metrics"].as_array().unwrap())
        .filter_map(of_widget)
        .collect()
}

/// A metric of a widget; a search for metrics is of what it searches.
fn of_widget(metric: &Value) -> Option<Named> {
    let metric = metric.as_array().unwrap();
    if let Some(expression) = metric[0]["expression"].as_str() {
        let (_, search) = expression.split_once("SEARCH('{")?;
        let (schema, rest) = search.split_once('}').unwrap();
        let schema: Vec<&str> = schema.split(',').map(|name| name.trim_matches('"')).collect();
        let name = rest.split("MetricName=\"").nth(1).unwrap().split('"').next().unwrap();
        return Some(named(schema[0], name, &schema[1..]));
    }
    let words: Vec<&str> = metric.iter().filter_map(Value::as_str).collect();
    let dimensions: Vec<&str> = words[2..].iter().step_by(2).copied().collect();
    Some(named(words[0], words[1], &dimensions))
}

fn watched() -> BTreeSet<Named> {
    of_alarms().into_iter().chain(of_dashboard()).collect()
}

/// What the code can tell, by its tables.
fn told() -> BTreeSet<Named> {
    let counters = metric::COUNTERS.map(|name| named(metric::NAMESPACE, name, &[field::FUNCTION]));
    let of_events = metric::OF_EVENTS.iter().flat_map(|of_event| {
        of_event.dimensions.iter().map(|dimensions| named(metric::NAMESPACE, of_event.name, dimensions))
    });
    counters.into_iter().chain(of_events).collect()
}

#[test]
fn what_alarms_and_dashboard_watch_is_told_by_the_code_with_the_same_dimensions_and_all_of_it_is_watched() {
    let (watched, told) = (watched(), told());
    let of_aws = OF_AWS.map(|(namespace, name, dimensions)| named(namespace, name, dimensions)).into();
    let known: BTreeSet<Named> = told.union(&of_aws).cloned().collect();
    assert_eq!(watched.difference(&known).collect::<Vec<_>>(), Vec::<&Named>::new(), "watched, and told by nobody");
    let unwatched: BTreeSet<&str> = told.difference(&watched).map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(unwatched, metric::UNWATCHED.into(), "told, and watched by nobody");
    assert!(of_alarms().len() >= 43 && of_dashboard().len() >= 45);
}

#[test]
fn every_alarm_has_its_steps_in_the_runbook_names_a_command_and_tells_whoever_is_to_be_told() {
    for block in resources("AWS::CloudWatch::Alarm") {
        let name = value(block, "AlarmName: !Sub ${AWS::StackName}");
        assert!(RUNBOOK.contains(&format!("`\u{2026}{name}`")), "infra/README.md says nothing of {name}");
        assert!(block.contains("`sampan"), "{name} names no command");
        assert!(value(block, "AlarmActions:").contains("AlarmTopicArn"), "{name}");
        // What only a check of the next night can take back has no end that anybody is told of.
        let is_told_each_night = ["-paid-too-long", "-paid-not-created"].contains(&name);
        let tells_its_end =
            block.lines().any(|line| line.trim().starts_with("OKActions:") && line.contains("AlarmTopicArn"));
        assert_ne!(tells_its_end, is_told_each_night, "{name}");
    }
}

/// What CloudWatch makes of a line: names, dimensions, and the value.
fn embedded(event: &WideEvent) -> Vec<(Named, Value)> {
    let line = event.clone().with_embedded_metrics("f", adapters::clock::Clock::now(&adapters::clock::SystemClock));
    let line: Value = serde_json::from_str(&line.to_string()).unwrap();
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().cloned().unwrap_or_default();
    let mut metrics = Vec::new();
    for directive in directives {
        for dimensions in directive["Dimensions"].as_array().unwrap() {
            let dimensions: Vec<&str> =
                dimensions.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            // The format wants each dimension to be a text of the line.
            assert!(dimensions.iter().all(|name| line[name].is_string()), "{dimensions:?} of {line}");
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                assert!(line[name].is_number(), "{name} of {line}");
                metrics.push((named(directive["Namespace"].as_str().unwrap(), name, &dimensions), line[name].clone()));
            }
        }
    }
    metrics
}

/// What is logged of all that is counted, by the real functions over twins.
async fn counted() -> Vec<WideEvent> {
    let shop = Shop::new();
    shop.deliver(push(&status_push(7, "a word of tomorrow", NOW - 1_500, 1))).await.unwrap();
    shop.deliver(request("POST", "/webhooks/events/scanner", &[("x-signature", "00")], "{}")).await.unwrap();
    shop.pay(request("POST", "/payments/stripe", &[("stripe-signature", "t=1,v1=00")], "{}")).await.unwrap();
    // Both are signed, and say nothing that can be taken.
    assert_eq!(shop.deliver(warehouse("msg_2", NOW, "{}")).await.unwrap().status_code, 400);
    assert_eq!(shop.pay(stripe("payment_intent.succeeded", NOW, &json!({}))).await.unwrap().status_code, 400);
    let queued = shop.events.all().into_iter().map(|event| cloudevents::write(&event).unwrap());
    shop.write(batch(queued)).await.unwrap();
    let mut lines = shop.log.all();
    lines.extend(unavailable().await);
    lines.extend(crate::payments::counted().await);
    lines.extend(crate::refunds::counted().await);
    lines
}

/// What is logged when the first thing that a request needs is away.
async fn unavailable() -> Vec<WideEvent> {
    let away = || Shop::under(FaultPlan::at([(0, Fault::TimedOut)]));
    let (delivered, paid, asked) = (away(), away(), away());
    let status = status_event("A-1", "arrived", NOW);
    assert_eq!(delivered.deliver(warehouse("msg_1", NOW, &status)).await.unwrap().status_code, 503);
    assert_eq!(paid.pay(stripe("payout.paid", NOW, &json!({}))).await.unwrap().status_code, 503);
    assert_eq!(asked.ask(client("GET", "/orders/A-1", "nonce", NOW, "")).await.unwrap().status_code, 503);
    [delivered, paid, asked].iter().flat_map(|shop| shop.log.all()).collect()
}

/// Which function logs events of this kind, by its name in the template.
fn function_of(event: &WideEvent) -> &'static str {
    match event.get(field::EVENT).and_then(Value::as_str).unwrap() {
        event::WEBHOOK_RECEIVED => "WebhookIntake",
        event::RECORD_PROCESSED => "StatusWriter",
        event::CALLBACK_RECEIVED => "PaymentCallback",
        event::REQUEST_ANSWERED => "OrdersApi",
        other => panic!("whose is {other}?"),
    }
}

/// A metric of a function, with the outcome that it is of, when it is kept by outcome.
type Emitted = (String, Named, Option<String>);

/// Every metric that was made of a line, with the function whose line it was.
async fn emitted() -> BTreeSet<Emitted> {
    let mut lines: Vec<(&str, WideEvent)> =
        counted().await.into_iter().map(|event| (function_of(&event), event)).collect();
    lines.extend(crate::sweeps::counted().await.into_iter().map(|event| ("OrderSweep", event)));
    lines.extend(crate::product_sweeps::counted().await.into_iter().map(|event| ("ProductSweep", event)));
    lines.extend(crate::checks::counted().await.into_iter().map(|event| ("OrderCheck", event)));
    lines.extend(crate::images::counted().await.into_iter().map(|event| ("ImageSync", event)));
    let made = |(function, event): (&str, WideEvent)| {
        let outcome = event.get(field::OUTCOME).and_then(Value::as_str).map(str::to_owned);
        let of = |named: &Named| outcome.clone().filter(|_| named.2.iter().any(|name| name == field::OUTCOME));
        let metrics = embedded(&event).into_iter();
        metrics.map(|(named, _)| (function.to_owned(), named.clone(), of(&named))).collect::<Vec<_>>()
    };
    lines.into_iter().flat_map(made).collect()
}

/// What alarms watch of our own, with the function that they watch, and the outcome.
fn of_alarms_by_function() -> Vec<Emitted> {
    let blocks = resources("AWS::CloudWatch::Alarm").into_iter().zip(of_alarms());
    let ours = blocks.filter(|(_, (namespace, ..))| namespace == metric::NAMESPACE);
    ours.map(|(block, named)| {
        let dimensions = value(block, "Dimensions:");
        let of = |before: &str| dimensions.split(before).nth(1).map(|rest| rest.split(' ').next().unwrap().to_owned());
        (of("!Ref ").unwrap(), named, of("Name: outcome, Value: "))
    })
    .collect()
}

#[tokio::test]
async fn the_functions_emit_every_metric_of_the_tables_and_each_alarm_s_function_the_one_that_it_watches() {
    let emitted = emitted().await;
    let names: BTreeSet<Named> = emitted.iter().map(|(_, named, _)| named.clone()).collect();
    assert_eq!(names, told());
    let alarms = of_alarms_by_function();
    assert!(alarms.len() >= 23 && alarms.iter().filter(|(.., outcome)| outcome.is_some()).count() >= 5);
    for alarm in alarms {
        assert!(emitted.contains(&alarm), "{alarm:?} is watched, and that function never emits it");
    }
}

fn value_of(metrics: &[(Named, Value)], name: &str) -> Value {
    metrics.iter().find(|((_, other, _), _)| other == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_delivery_its_record_a_callback_and_a_stranger_are_counted_and_the_age_of_a_fact_is_measured() {
    let shop = Shop::new();
    let status = status_event("A-1", "arrived", NOW - 1_500);
    shop.deliver(warehouse("msg_1", NOW, &status)).await.unwrap();
    shop.deliver(warehouse("msg_2", NOW, "{}")).await.unwrap();
    shop.deliver(request("POST", "/webhooks/events/scanner", &[("x-signature", "00")], "{}")).await.unwrap();
    shop.pay(stripe("payout.paid", NOW, &json!({}))).await.unwrap();
    shop.pay(request("POST", "/payments/stripe", &[("stripe-signature", "t=1,v1=00")], "{}")).await.unwrap();
    let queued = shop.events.all().into_iter().map(|event| cloudevents::write(&event).unwrap());
    shop.write(batch(queued)).await.unwrap();
    let all: Vec<Vec<(Named, Value)>> = shop.log.all().iter().map(embedded).collect();
    let count = |name: &str| all.iter().filter(|metrics| value_of(metrics, name) == json!(1)).count();
    assert_eq!((count("webhooks"), count("callbacks"), count("records")), (3, 2, 1));
    let refused = shop.log.all().iter().filter(|event| event.get(field::HTTP_STATUS) == Some(&json!(401))).count();
    // A stranger's are not among those with a good signature.
    assert_eq!((refused, count(metric::SIGNED_REFUSED)), (2, 1));
    let ages: Vec<Value> = all.iter().map(|metrics| value_of(metrics, "event_age")).filter(Value::is_number).collect();
    assert_eq!(ages, [json!(1_500)]);
}
