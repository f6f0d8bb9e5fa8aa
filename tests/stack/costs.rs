//! What the promises cost, counted on the wire and in the tables.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use adapters::aws::dynamodb::{DynamoLedger, DynamoOrders, DynamoProducts, DynamoTrades};
use adapters::aws::{DynamoClient, SqsClient, SqsQuarantine};
use adapters::certificates::CertificateCache;
use adapters::clock::SystemClock;
use adapters::knowledge::read_order;
use adapters::secrets::SecretCache;
use adapters::testing::{MemoryCertificates, MemorySecrets};
use anyhow::{Context, ensure};
use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_types::SdkConfig;
use domain::{Currency, Money, MovementKind, OrderId, PaymentEvent, TransactionId, UnixMillis};
use lambda::deadline::Deadline;
use lambda::log::MemoryLog;
use reqwest::Method;
use simulators::invocations;

use crate::stage::{Stage, fresh_trade, links, now};

/// Counts calls by operation on their way to AWS.
#[derive(Debug, Clone, Default)]
struct Counter(Arc<Mutex<BTreeMap<String, usize>>>);

#[derive(Debug)]
struct Counting {
    inner: SharedHttpConnector,
    counter: Counter,
}

impl HttpConnector for Counting {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        *self.counter.0.lock().unwrap().entry(operation).or_default() += 1;
        self.inner.call(request)
    }
}

impl Counter {
    /// The same configuration, with every call counted.
    fn watch(&self, config: &SdkConfig) -> SdkConfig {
        let (inner, counter) = (config.http_client().unwrap(), self.clone());
        let client: SharedHttpClient = http_client_fn(move |settings, components| {
            let inner = inner.http_connector(settings, components);
            SharedHttpConnector::new(Counting { inner, counter: counter.clone() })
        });
        config.clone().into_builder().http_client(client).build()
    }

    fn calls(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub async fn batch(stage: Arc<Stage>) -> anyhow::Result<()> {
    let counter = Counter::default();
    let config = counter.watch(&stage.session.config);
    let dynamodb = DynamoClient::new(&config);
    let stack = &stage.session.stack;
    let orders = DynamoOrders::new(&dynamodb, stack.table("orders")?.to_owned());
    let trades = DynamoTrades::new(&dynamodb, stack.table("trades")?.to_owned());
    let products = DynamoProducts::new(&dynamodb, stack.table("images")?.to_owned());
    let quarantine = SqsQuarantine::new(&SqsClient::new(&config), stack.queue("quarantine")?.to_owned());
    let (order, other) = (format!("costs-{}", stage.run), format!("costs-other-{}", stage.run));
    let event = invocations::batch_of_ten(&order, &other, &fresh_trade().to_string(), now());
    let event: SqsEvent = serde_json::from_value(event)?;
    let deadline = Deadline::from_lambda(u64::MAX);
    let mut counted = Vec::new();
    for event in [event.clone(), event] {
        let log = MemoryLog::default();
        let answer = status_writer::handler::handle(
            event,
            deadline,
            &orders,
            &trades,
            &products,
            &quarantine,
            (&SystemClock, &log),
        );
        ensure!(answer.await?.batch_item_failures.is_empty(), "a record failed");
        counted.push(counter.calls());
    }
    let one_write_an_item = BTreeMap::from([("UpdateItem".to_owned(), 4)]);
    ensure!(counted == [one_write_an_item.clone(), one_write_an_item], "{counted:?}");
    println!("ten records on four items, then again: {counted:?}");
    Ok(())
}

pub async fn order(stage: Arc<Stage>) -> anyhow::Result<()> {
    let order = format!("reading-{}", stage.run);
    let trades: Vec<u64> = (0..3).map(|_| fresh_trade()).collect();
    let linked = stage.ask(Method::PUT, &format!("/orders/{order}/trades"), &links(&trades)).await?;
    ensure!(linked.status == 200, "{}", linked.label());
    let capture = captured(&order)?;
    ensure!(stage.pay(&capture).await?.status == 200, "the callback was refused");
    let counter = Counter::default();
    let config = counter.watch(&stage.session.config);
    let dynamodb = DynamoClient::new(&config);
    let stack = &stage.session.stack;
    let orders = DynamoOrders::new(&dynamodb, stack.table("orders")?.to_owned());
    let trades = DynamoTrades::new(&dynamodb, stack.table("trades")?.to_owned());
    let ledger = DynamoLedger::new(&dynamodb, stack.table("payments")?.to_owned());
    let known =
        read_order(&orders, &trades, &ledger, &OrderId::new(order)?).await?.context("the order is not there")?;
    ensure!(known.payments.len() == 1 && known.payments[0].entries == [capture], "{known:?}");
    let counted = counter.calls();
    let expected = BTreeMap::from([("BatchGetItem".to_owned(), 1), ("Query".to_owned(), 3)]);
    ensure!(counted == expected, "{counted:?}");
    println!("an order with three trades and one payment: {counted:?}");
    Ok(())
}

fn captured(order: &str) -> anyhow::Result<PaymentEvent> {
    Ok(PaymentEvent {
        payment: format!("stripe#pi_{order}").parse()?,
        transaction_id: TransactionId::new("ch_1")?,
        kind: MovementKind::Captured,
        order: Some(OrderId::new(order)?),
        money: Money::new(10_230, Currency::EUR)?,
        occurred_at: UnixMillis::from_seconds(now().seconds())?,
    })
}

pub async fn callback(stage: Arc<Stage>) -> anyhow::Result<()> {
    let counter = Counter::default();
    let config = counter.watch(&stage.session.config);
    let dynamodb = DynamoClient::new(&config);
    let ledger = DynamoLedger::new(&dynamodb, stage.session.stack.table("payments")?.to_owned());
    let secrets = MemorySecrets::new(stage.secrets.clone());
    let (cache, certificates, kept) = <(SecretCache, MemoryCertificates, CertificateCache)>::default();
    let capture = captured(&format!("counted-{}", stage.run))?;
    let dearer = PaymentEvent { money: Money::new(10_231, Currency::EUR)?, ..capture.clone() };
    let mut counted = Vec::new();
    for event in [&capture, &capture, &dearer] {
        let sent = simulators::gateway::callback(&stage.gateways, event, None, now()).context("not a callback")?;
        let request = lambda::http::Request {
            method: "POST".to_owned(),
            path: sent.path,
            query: String::new(),
            headers: sent.headers,
            body: Ok(sent.body),
            request_id: "r".to_owned(),
        };
        let (deadline, log) = (Deadline::from_lambda(u64::MAX), MemoryLog::default());
        let keys = (&secrets, &cache, &certificates, &kept);
        let answer = payment_callback::handler::handle(request, deadline, &ledger, keys, &SystemClock, &log).await;
        ensure!(answer.status_code == 200, "{}", answer.body);
        counted.push(counter.calls());
    }
    let puts = |count| BTreeMap::from([("PutItem".to_owned(), count)]);
    ensure!(counted == [puts(1), puts(1), puts(2)], "{counted:?}");
    println!("a callback, a duplicate, a contradiction: {counted:?}");
    Ok(())
}

/// The bytes that DynamoDB counts of an attribute, at most.
fn bytes(name: &str, value: &AttributeValue) -> usize {
    let of_value = match value.as_n() {
        Ok(digits) => digits.len().div_ceil(2) + 2,
        Err(text) => text.as_s().map_or(usize::MAX, String::len),
    };
    name.len().saturating_add(of_value)
}

pub async fn item_sizes(stage: Arc<Stage>) -> anyhow::Result<()> {
    let client = stage.session.dynamodb();
    let (mut largest, mut count) = (0, 0);
    for table in ["orders", "trades"] {
        let mut pages = client.scan().table_name(stage.session.stack.table(table)?).into_paginator().items().send();
        while let Some(item) = pages.next().await {
            let item = item?;
            if item.get("sk").and_then(|sk| sk.as_s().ok()).is_some_and(|sk| sk == "status") {
                largest = largest.max(item.iter().map(|(name, value)| bytes(name, value)).sum());
                count += 1;
            }
        }
    }
    ensure!(count >= 900, "only {count} status items: the load did not run");
    ensure!(largest <= 1_024, "{largest} bytes");
    println!("{count} status items, the largest of {largest} bytes");
    Ok(())
}
