//! The conformance suites on the real tables, and what only real tables can show.

use std::sync::Arc;

use adapters::aws::dynamodb::{DynamoManifest, DynamoNonces, DynamoProducts};
use adapters::aws::{S3Images, SecretsManager, SqsEventQueue, SqsImageQueue, SqsQuarantine};
use adapters::ports::{Manifest, OrderStore, Quarantined, TradeStore};
use adapters::testing::conformance;
use anyhow::{Context, anyhow, ensure};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_sqs::types::Message;
use domain::{
    EventId, Format, ImageDigest, ImageEntry, ImageKey, ImageRecord, ImageUrl, OrderFacts, OrderId, OrderReport,
    Origin, Original, Position, ReportedStatus, SourceName, TradeKey, TradeReport, TradeStatus, TradeStatuses,
    Validators,
};
use futures::future::join_all;

use crate::stage::{Stage, now};

pub async fn orders(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::orders(&stage.session.orders()?, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn trades(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::trades(&stage.session.trades()?, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn details(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::details(&stage.session.trades()?, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn raw_details(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::raw_details(&stage.session.raw_details()?, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn sweeps(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::sweeps(&stage.session.sweeps()?, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn book(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::book(&stage.session.orders()?, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn ledger(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::ledger(&stage.session.ledger()?, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn nonces(stage: Arc<Stage>) -> anyhow::Result<()> {
    let table = stage.session.stack.table("nonces")?.to_owned();
    let nonces = DynamoNonces::new(&stage.session.dynamodb(), table);
    conformance::nonces(&nonces, &stage.run).await.map_err(|breach| anyhow!(breach))
}

/// A queue of its own, because the writer empties the stack's.
async fn scratch_queue(stage: &Stage, name: &str) -> anyhow::Result<String> {
    let call = stage.session.sqs().create_queue().queue_name(format!("{name}-{}", stage.run));
    call.send().await?.queue_url.context("the queue has no URL")
}

/// Takes this many messages out.
async fn take(stage: &Stage, queue: &str, count: usize) -> conformance::Taken<Message> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let call = stage.session.sqs().receive_message().queue_url(queue).max_number_of_messages(10);
        let messages = call.message_attribute_names("All").wait_time_seconds(5).send().await?.messages;
        let messages = messages.filter(|messages| !messages.is_empty()).ok_or("the queue is empty too soon")?;
        taken.extend(messages);
    }
    Ok(taken)
}

pub async fn events(stage: Arc<Stage>) -> anyhow::Result<()> {
    let url = scratch_queue(&stage, "events").await?;
    let queue = SqsEventQueue::new(&stage.session.sqs(), url.clone());
    let take = async |count| {
        let messages = take(&stage, &url, count).await?;
        Ok(messages.into_iter().filter_map(|message| message.body).collect())
    };
    conformance::events(&queue, take).await.map_err(|breach| anyhow!(breach))
}

pub async fn products(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::products(&images_table(&stage)?.0, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn manifest(stage: Arc<Stage>) -> anyhow::Result<()> {
    let (products, manifest) = images_table(&stage)?;
    conformance::manifest(&manifest, &products, &stage.run).await.map_err(|breach| anyhow!(breach))
}

fn images_table(stage: &Stage) -> anyhow::Result<(DynamoProducts, DynamoManifest)> {
    let (client, table) = (stage.session.dynamodb(), stage.session.stack.table("images")?);
    Ok((DynamoProducts::new(&client, table.to_owned()), DynamoManifest::new(&client, table.to_owned())))
}

pub async fn image_bucket(stage: Arc<Stage>) -> anyhow::Result<()> {
    let (config, name) = (&stage.session.config, stage.session.stack.bucket("images")?);
    let settings = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
    let client = aws_sdk_s3::Client::from_conf(settings);
    let read = async |key: String| match client.get_object().bucket(name).key(key).send().await {
        Ok(object) => Ok(Some(object.body.collect().await?.to_vec())),
        Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
        Err(error) => Err(error.into()),
    };
    let bucket = S3Images::new(config, name.to_owned());
    conformance::image_bucket(&bucket, &stage.run, read).await.map_err(|breach| anyhow!(breach))
}

pub async fn image_queue(stage: Arc<Stage>) -> anyhow::Result<()> {
    let url = scratch_queue(&stage, "images").await?;
    let queue = SqsImageQueue::new(&stage.session.sqs(), url.clone());
    let take = async |count| {
        let messages = take(&stage, &url, count).await?;
        Ok(messages.into_iter().filter_map(|message| message.body).collect())
    };
    conformance::image_queue(&queue, take).await.map_err(|breach| anyhow!(breach))
}

pub async fn quarantine(stage: Arc<Stage>) -> anyhow::Result<()> {
    let url = scratch_queue(&stage, "quarantine").await?;
    let queue = SqsQuarantine::new(&stage.session.sqs(), url.clone());
    let take = async |count| {
        let messages = take(&stage, &url, count).await?;
        let attribute = |message: &Message, name: &str| {
            let attribute = message.message_attributes().and_then(|all| all.get(name));
            attribute.and_then(|attribute| attribute.string_value()).unwrap_or_default().to_owned()
        };
        let kept = messages.into_iter().map(|message| Quarantined {
            message_id: attribute(&message, SqsQuarantine::MESSAGE_ID),
            reason: attribute(&message, SqsQuarantine::REASON),
            body: message.body.unwrap_or_default(),
        });
        Ok(kept.collect())
    };
    conformance::quarantine(&queue, take).await.map_err(|breach| anyhow!(breach))
}

pub async fn secrets(stage: Arc<Stage>) -> anyhow::Result<()> {
    let at = |id: &str| SecretsManager::new(&stage.session.config, id.to_owned());
    let (set, unset) = (at(&stage.session.stack.secret_id), at("no-such-secret"));
    conformance::secrets(&set, &unset).await.map_err(|breach| anyhow!(breach))
}

/// Forty writers of one order and one trade at once: what is kept is what the domain keeps of all.
pub async fn race(stage: Arc<Stage>) -> anyhow::Result<()> {
    let (orders, trades) = (stage.session.orders()?, stage.session.trades()?);
    let order = OrderId::new(format!("race-{}", stage.run))?;
    let trade: TradeKey = format!("1688#race#{}", stage.run).parse()?;
    let base = now();
    let mut expected = (OrderFacts::default(), TradeStatuses::default());
    let mut reports = Vec::new();
    for writer in 0..40_u32 {
        let at = base.saturating_add_ms(fastrand::i64(0..6));
        let status = fastrand::choice(ReportedStatus::ALL).unwrap_or(ReportedStatus::Arrived);
        let by = Origin { source: SourceName::new("w")?, event_id: EventId::new(fastrand::u8(0..5).to_string())? };
        let reported = OrderReport { status, at, by };
        let traded = TradeReport {
            status: fastrand::choice(TradeStatus::ALL).unwrap_or(TradeStatus::Closed),
            at,
            id: (writer % 5).to_string().try_into()?,
            raw: "raw".to_owned().try_into()?,
        };
        expected.0.report(reported.clone());
        expected.1.report(traded.clone());
        reports.push((reported, traded));
    }
    let writes = reports.iter().map(|(reported, traded)| async {
        orders.report(&order, std::slice::from_ref(reported)).await?;
        trades.report(&trade, std::slice::from_ref(traded)).await
    });
    for written in join_all(writes).await {
        written?;
    }
    ensure!(orders.read(&order).await? == expected.0, "the order is not the join of its reports");
    ensure!(trades.read(&trade).await?.statuses == expected.1, "the trade is not the join of its reports");
    Ok(())
}

/// Twenty writers of one picture at once, some of them of the same time, beside twenty who saw the product without it:
/// what is kept is what the domain keeps of all.
pub async fn image_race(stage: Arc<Stage>) -> anyhow::Result<()> {
    let (_, manifest) = images_table(&stage)?;
    let product = format!("1688#race#{}", stage.run).parse()?;
    let image = ImageKey { product, position: Position::new("main-1")? };
    let base = now();
    let mut records = Vec::new();
    for _ in 0..20 {
        let digest = ImageDigest::new(fastrand::u8(0..5).to_string().repeat(64)).context("a digest")?;
        records.push(ImageRecord {
            asked_at: base.saturating_add_ms(fastrand::i64(0..3)),
            fetched_at: base.saturating_add_ms(fastrand::i64(0..3)),
            url: ImageUrl::new("https://cbu01.alicdn.com/a.jpg")?,
            original: Original { digest, format: Format::Jpeg, bytes: fastrand::u64(9..12), width: 1, height: 1 },
            validators: Validators::default(),
            thumbnails: vec![200, 800],
        });
    }
    let seen_at: Vec<_> = (0..20).map(|_| base.saturating_add_ms(fastrand::i64(0..9))).collect();
    let writes = records.iter().zip(&seen_at).map(|(record, seen_at)| async {
        futures::try_join!(manifest.keep(&image, record), manifest.remove(&image, *seen_at))
    });
    for written in join_all(writes).await {
        written?;
    }
    let kept = ImageEntry { record: records.into_iter().max(), removed_at: seen_at.into_iter().max() };
    ensure!(manifest.read(&image).await? == kept, "the picture is not the join of its records");
    Ok(())
}
