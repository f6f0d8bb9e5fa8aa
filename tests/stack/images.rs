//! Pictures over real HTTP: the simulated marketplace's products, product-sweep behind the Lambda API, the image queue,
//! image-sync, a host that counts what leaves its sockets, the bucket and the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use adapters::aws::SqsQuarantine;
use adapters::ports::{ImageQueue, Manifest};
use anyhow::{Context, ensure};
use aws_sdk_s3::Client;
use domain::{
    ImageKey, ImageObject, ImageRecord, ImageRequest, ImageUrl, Marketplace, Position, ShopId, THUMBNAIL_SIZES,
};
use image_webp::WebPDecoder;
use sampan::images::{Syncer, Work, compare};
use serde_json::json;
use sha2::{Digest, Sha256};
use simulators::images::{Conduct, Format, Host, Options, Resource};

use crate::stage::{Stage, now};

/// A picture that is larger than the largest thumbnail, in both directions.
const LARGE: (u16, u16) = (1_600, 1_200);

/// Everything of the shop `demo`, also of products that did not change.
fn work() -> anyhow::Result<Work> {
    let shop = ShopId::new("demo")?;
    Ok(Work { marketplace: Marketplace::Alibaba1688, shop, is_full: true, waits: false })
}

fn s3(stage: &Stage) -> Client {
    let settings = aws_sdk_s3::config::Builder::from(&stage.session.config).force_path_style(true);
    Client::from_conf(settings.build())
}

/// A picture that no product of the simulated marketplace has.
pub fn image(stage: &Stage, product: u32) -> anyhow::Result<ImageKey> {
    let product =
        format!("1688#strays-{}#{product}", stage.run.get(stage.run.len() - 8..).unwrap_or_default()).parse()?;
    Ok(ImageKey { product, position: Position::new("main-1")? })
}

pub fn request(image: ImageKey, url: String) -> anyhow::Result<ImageRequest> {
    Ok(ImageRequest { image, url: ImageUrl::new(url)?, asked_at: now(), refetch: false })
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that the manifest has of pictures that were fetched.
async fn records(stage: &Stage) -> anyhow::Result<BTreeMap<ImageKey, ImageRecord>> {
    let (manifest, mut all, mut after) = (stage.session.manifest()?, BTreeMap::new(), None);
    loop {
        let page = manifest.list(after.as_ref()).await?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        after = Some(last.clone());
        all.extend(page.into_iter().filter_map(|(image, entry)| Some((image, entry.record?))));
    }
}

/// Every object of the bucket.
async fn objects(stage: &Stage) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let (client, bucket) = (s3(stage), stage.session.stack.bucket("images")?);
    let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
    let mut all = BTreeMap::new();
    while let Some(page) = pages.next().await {
        for key in page?.contents().iter().filter_map(|object| object.key()) {
            let object = client.get_object().bucket(bucket).key(key).send().await?;
            all.insert(key.to_owned(), object.body.collect().await?.to_vec());
        }
    }
    Ok(all)
}

/// What the host has at the URL of a record.
fn hosted(host: &Host, record: &ImageRecord) -> anyhow::Result<Vec<u8>> {
    let path = record.url.as_str().strip_prefix(&host.url).context("a picture from elsewhere")?;
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    Ok(host.resource(path).with_context(|| format!("nothing is at {path}"))?.body.bytes())
}

/// How wide and high a WebP is. All of it is decoded.
fn size(bytes: &[u8]) -> anyhow::Result<(u32, u32)> {
    let mut picture = WebPDecoder::new(std::io::Cursor::new(bytes))?;
    let mut pixels = vec![0; picture.output_buffer_size().context("no size")?];
    picture.read_image(&mut pixels)?;
    Ok(picture.dimensions())
}

/// Whether thumbnails are what they must be: WebP, of the original's shape, no longer than their size or the original.
fn thumbnails_are_right(record: &ImageRecord, objects: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    ensure!(record.thumbnails == THUMBNAIL_SIZES, "{record:?}");
    let (width, height) = (record.original.width, record.original.height);
    for px in THUMBNAIL_SIZES {
        let key = ImageObject::Thumbnail(record.original.digest.clone(), px).key();
        let bytes = objects.get(&key).with_context(|| format!("{key} is missing"))?;
        let made = size(bytes)?;
        let longest = width.max(height);
        ensure!(made.0.max(made.1) == longest.min(px), "{key} is {made:?}, of {width} x {height}");
        let is_near = |one: u32, other: u32| u64::from(one).abs_diff(u64::from(other)) <= u64::from(longest);
        ensure!(is_near(made.0 * height, made.1 * width), "{key} is {made:?}, of {width} x {height}");
        ensure!(px != 800 || bytes.len() <= 200_000, "{key} has {} bytes", bytes.len());
    }
    Ok(())
}

/// Host, bucket and manifest hold the same pictures, and nothing else.
async fn all_agree(stage: &Stage) -> anyhow::Result<usize> {
    let (records, objects) = (records(stage).await?, objects(stage).await?);
    let mut expected = BTreeSet::new();
    for (image, record) in &records {
        let bytes = hosted(&stage.images, record)?;
        let original = &record.original;
        ensure!(original.digest.as_str() == digest(&bytes), "{image} is another picture");
        ensure!(usize::try_from(original.bytes)? == bytes.len(), "{image}: {original:?}");
        let key = record.objects().next().context("an original")?.key();
        ensure!(objects.get(&key) == Some(&bytes), "{key} is not as the host has it");
        thumbnails_are_right(record, &objects)?;
        expected.extend(record.objects().map(|object| object.key()));
    }
    let found: BTreeSet<String> = objects.into_keys().collect();
    ensure!(found == expected, "{:?} are in one alone", found.symmetric_difference(&expected).collect::<Vec<_>>());
    Ok(records.len())
}

pub async fn catalogue(stage: Arc<Stage>) -> anyhow::Result<()> {
    let synced = Syncer::new(&stage.session)?.run(&work()?).await?;
    let figures = &synced.figures;
    ensure!((synced.quarantined, synced.dead, synced.waiting) == (0, 0, 0), "{synced:?}");
    let (stored, known) = (figures.ended_as("stored"), figures.ended_as("known"));
    ensure!(stored > 0 && known > 0 && figures.ended() == synced.requested, "{synced:?}");
    // The same picture of several products is put once, with its thumbnails.
    let pictures = u64::try_from(figures.pictures())?;
    ensure!(figures.puts == pictures * 3 && figures.thumbnails == pictures * 2, "{pictures} pictures: {figures:?}");
    let fetched = stage.images.totals().asked;
    ensure!(figures.requests == fetched.requests() && figures.bytes == fetched.body_bytes, "{fetched:?}, {figures:?}");
    let records = all_agree(&stage).await?;
    println!("images: {records} pictures of {} products, {pictures} different ones: {figures}", synced.listed);
    Ok(())
}

pub async fn second_run(stage: Arc<Stage>) -> anyhow::Result<()> {
    let syncer = Syncer::new(&stage.session)?;
    syncer.run(&work()?).await?;
    let before = versions(&stage).await?;
    stage.images.forget();
    let synced = syncer.run(&work()?).await?;
    let (figures, totals) = (&synced.figures, stage.images.totals().asked);
    ensure!(synced.again > 0 && synced.requested == 0, "{synced:?}");
    ensure!(figures.ended_as("unchanged") == synced.again && figures.ended() == synced.again, "{synced:?}");
    let requests = totals.requests();
    ensure!(requests == synced.again && [totals.conditional, totals.not_modified] == [requests; 2], "{totals:?}");
    ensure!((totals.body_bytes, figures.bytes, figures.puts) == (0, 0, 0), "{totals:?}, {figures:?}");
    ensure!(versions(&stage).await? == before, "an object was written again");
    println!("images: nothing changed: {requests} conditional requests, no byte, no put");
    Ok(())
}

/// When each object was written.
async fn versions(stage: &Stage) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pages = s3(stage).list_objects_v2().bucket(stage.session.stack.bucket("images")?).into_paginator().send();
    let mut all = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page?;
        let of = |object: &aws_sdk_s3::types::Object| {
            Some((object.key()?.to_owned(), format!("{:?}", object.last_modified())))
        };
        all.extend(page.contents().iter().filter_map(of));
    }
    Ok(all)
}

/// A product of somebody else's, which the shop follows: no list has it, a push tells of it, and of one that is gone.
pub async fn followed(stage: Arc<Stage>) -> anyhow::Result<()> {
    let (id, gone) = {
        let shop = stage.marketplaces.assortment(Marketplace::Alibaba1688, "demo");
        let mut shop = shop.context("no shop")?;
        let (id, gone) = (shop.follow(now()), shop.follow(now()));
        ensure!(shop.delete(gone, now()), "the scene is not set");
        (id, gone)
    };
    let push = json!({"bizKey": "1", "gmtBorn": now().get(), "msgId": id, "type": "PRODUCT_RELATION_VIEW_PRODUCT_CHANGE",
        "userInfo": "u", "data": {"productIds": format!("{id},{gone}"), "memberId": "b2b-1", "action": "modify"}});
    let answer = stage.push(&push).await?;
    ensure!(answer.label() == "200 accepted", "{}", answer.label());
    stage.queue_is_empty().await?;
    let synced = Syncer::new(&stage.session)?.run(&Work { is_full: false, ..work()? }).await?;
    ensure!(synced.requested > 0 && synced.figures.ended_as("failed") == 0, "{synced:?}");
    let records = records(&stage).await?;
    let known = |id: u64| records.keys().filter(|image| image.product.product_id.as_str() == id.to_string()).count();
    ensure!(known(id) > 0 && known(gone) == 0, "{} and {} pictures", known(id), known(gone));
    all_agree(&stage).await?;
    Ok(())
}

pub async fn inward(stage: Arc<Stage>) -> anyhow::Result<()> {
    // It listens on this machine, and nobody listed it.
    let inside = Host::start(Options::default()).await?;
    inside.publish("/secret.jpg", Resource::picture(Format::Jpeg, 1, (32, 32)));
    let mut expected = BTreeSet::new();
    for (product, status) in (1..).zip([301, 302, 303, 307, 308]) {
        let path = format!("/away-{status}.jpg");
        let away = Conduct::redirect(status, &inside.url_of("/secret.jpg"));
        stage.images.publish(&path, Resource::picture(Format::Jpeg, 2, (32, 32)).behaving([away]));
        let request = request(image(&stage, product)?, stage.images.url_of(&path))?;
        expected.insert(request.image.to_string());
        stage.session.image_queue()?.send(&[request]).await?;
    }
    stage.is_empty("images").await?;
    let refused = take_quarantined(&stage, expected.len()).await?;
    ensure!(inside.totals().connections == 0, "{:?}", inside.totals());
    let names = refused.iter().map(|(body, _)| anyhow::Ok(protocols::images::read(body)?.image.to_string()));
    ensure!(names.collect::<Result<BTreeSet<_>, _>>()? == expected, "{refused:?}");
    for (_, reason) in &refused {
        ensure!(reason.contains("not_allowed"), "{reason}");
    }
    for product in 1..=5 {
        ensure!(stage.session.manifest()?.read(&image(&stage, product)?).await?.record.is_none(), "one is known");
    }
    ["301", "302", "303", "307", "308"].iter().for_each(|status| stage.images.remove(&format!("/away-{status}.jpg")));
    println!("five redirects inward: {:?}", refused.iter().map(|(_, reason)| reason).collect::<BTreeSet<_>>());
    Ok(())
}

/// Takes this many messages out of quarantine: each body with its reason. Then it is empty.
pub async fn take_quarantined(stage: &Stage, count: usize) -> anyhow::Result<Vec<(String, String)>> {
    let (sqs, queue) = (stage.session.sqs(), stage.session.stack.queue("quarantine")?);
    let mut taken = Vec::new();
    while taken.len() < count {
        let call = sqs.receive_message().queue_url(queue).max_number_of_messages(10).message_attribute_names("All");
        let messages = call.wait_time_seconds(5).send().await?.messages.unwrap_or_default();
        ensure!(!messages.is_empty(), "quarantine holds {} of {count}", taken.len());
        for message in messages {
            let reason = message.message_attributes().and_then(|all| all.get(SqsQuarantine::REASON));
            let reason = reason.and_then(|reason| reason.string_value()).context("no reason")?.to_owned();
            let handle = message.receipt_handle().context("no receipt")?;
            sqs.delete_message().queue_url(queue).receipt_handle(handle).send().await?;
            taken.push((message.body.context("no body")?, reason));
        }
    }
    ensure!(stage.messages("quarantine").await? == 0, "quarantine holds more");
    Ok(taken)
}

pub async fn lost(stage: Arc<Stage>) -> anyhow::Result<()> {
    let (manifest, bucket) = (stage.session.manifest()?, stage.session.image_bucket()?);
    stage.images.publish("/lost.jpg", Resource::picture(Format::Jpeg, 3, LARGE));
    let picture = image(&stage, 9)?;
    let wanted = request(picture.clone(), stage.images.url_of("/lost.jpg"))?;
    stage.session.image_queue()?.send(&[wanted]).await?;
    stage.is_empty("images").await?;
    let record = manifest.read(&picture).await?.record.context("it was not fetched")?;
    ensure!(compare(&manifest, &bucket, |_, _| ()).await?.missing.is_empty(), "something is missing before");
    // With the original gone all is brought back; where it is there, the thumbnail that is gone.
    let is_small = |object: &ImageObject| matches!(object, ImageObject::Thumbnail(_, 200));
    let (alone, others): (Vec<ImageObject>, Vec<ImageObject>) = record.objects().partition(is_small);
    for gone in [others, alone] {
        for object in &gone {
            let call = s3(&stage).delete_object().bucket(stage.session.stack.bucket("images")?).key(object.key());
            call.send().await?;
        }
        let compared = compare(&manifest, &bucket, |_, _| ()).await?;
        ensure!(compared.missing == gone.into_iter().collect(), "{compared:?}");
        ensure!(compared.lost.iter().map(|request| &request.image).eq([&picture]), "{compared:?}");
        ensure!(compared.unnamed.is_empty(), "{:?}", compared.unnamed);
        stage.session.image_queue()?.send(&compared.lost).await?;
        stage.is_empty("images").await?;
        ensure!(compare(&manifest, &bucket, |_, _| ()).await?.missing.is_empty(), "it was not brought back");
    }
    all_agree(&stage).await?;
    Ok(())
}
