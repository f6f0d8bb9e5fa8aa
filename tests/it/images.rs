//! Pictures from the queue into the bucket: over twins with every call faulted, and over a real host by HTTP that stalls,
//! cuts, lies and redirects. In the end the bucket holds exactly what the hosts have, and the manifest agrees.

use std::collections::{BTreeMap, BTreeSet};

use adapters::ports::{ImageSource, Manifest};
use adapters::testing::{
    Fault, FaultPlan, Faulty, HostedImage, ManualClock, MemoryImageBucket, MemoryImageHosts, MemoryManifest,
    MemoryQuarantine, digest_of,
};
use adapters::web::images::{Cap, ImageHosts, SystemNetwork, WebImages};
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use domain::{
    ImageEntry, ImageKey, ImageObject, ImageRequest, ImageUrl, Position, THUMBNAIL_SIZES, UnixMillis, Validator,
};
use image_sync::handler::{Studio, handle};
use lambda::deadline::Deadline;
use lambda::log::{MemoryLog, WideEvent};
use protocols::images;
use simulators::images::{Body, Conduct, Format, Host, Options, Resource, Validators as Tags};

use crate::support::{Dice, NOW, rounds, seed};

/// Pictures that are dealt with side by side.
const AT_ONCE: usize = 3;
/// Receives of one message before its queue gives it up, as the template has it.
const RECEIVES_MAX: usize = 5;

fn key(product: u64, position: &str) -> ImageKey {
    let product = format!("1688#demo#{product}").parse().unwrap();
    ImageKey { product, position: Position::new(position).unwrap() }
}

fn request(image: ImageKey, url: &str, asked_at: i64) -> ImageRequest {
    let (url, asked_at) = (ImageUrl::new(url).unwrap(), UnixMillis::new(asked_at).unwrap());
    ImageRequest { image, url, asked_at, refetch: false }
}

/// The stores of a stack, and what stands before them.
struct Album {
    bucket: MemoryImageBucket,
    manifest: MemoryManifest,
    quarantine: MemoryQuarantine,
    studio: Studio,
    clock: ManualClock,
    log: MemoryLog,
    plan: FaultPlan,
}

impl Album {
    fn new() -> Self {
        Self::under(FaultPlan::none())
    }

    fn under(plan: FaultPlan) -> Self {
        Self {
            bucket: MemoryImageBucket::default(),
            manifest: MemoryManifest::default(),
            quarantine: MemoryQuarantine::default(),
            studio: Studio::new(&THUMBNAIL_SIZES),
            clock: ManualClock::at(UnixMillis::new(NOW).unwrap()),
            log: MemoryLog::default(),
            plan,
        }
    }

    /// One invocation; what has to come again. `None` when its process was gone.
    async fn invoke(&self, source: &impl ImageSource, messages: &BTreeMap<String, String>) -> Option<BTreeSet<String>> {
        let mut event = SqsEvent::default();
        event.records = messages
            .iter()
            .map(|(id, body)| {
                let mut message = SqsMessage::default();
                (message.message_id, message.body) = (Some(id.clone()), Some(body.clone()));
                message
            })
            .collect();
        let deadline = Deadline::from_lambda(u64::try_from(NOW).unwrap() + 120_000);
        let faulty = (Faulty::new(self.bucket.clone(), &self.plan), Faulty::new(self.manifest.clone(), &self.plan));
        let quarantine = Faulty::new(self.quarantine.clone(), &self.plan);
        let told = (&self.clock, &self.log);
        let work = handle(event, (deadline, AT_ONCE), source, (&faulty.0, &faulty.1), &self.studio, &quarantine, told);
        let answer = self.plan.run(work).await?.unwrap();
        Some(answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
    }

    /// What the queue does: hands messages out until they are done, or were received too often. Gives what is left.
    async fn drain(&self, source: &impl ImageSource, requests: &[ImageRequest]) -> BTreeMap<String, String> {
        let message = |(number, request)| (format!("m{number}"), images::write(request).unwrap());
        let mut left: BTreeMap<String, String> = requests.iter().enumerate().map(message).collect();
        for _ in 0..RECEIVES_MAX {
            let failed = self.invoke(source, &left).await;
            self.assert_whole();
            if let Some(failed) = failed {
                left.retain(|id, _| failed.contains(id));
            }
            if left.is_empty() {
                break;
            }
        }
        left
    }

    /// What the manifest names is whole in the bucket, at any moment; and what is in the bucket is what its name says.
    fn assert_whole(&self) {
        let objects = self.bucket.all();
        for (image, entry) in self.manifest.all() {
            for object in entry.record.iter().flat_map(|record| record.objects().collect::<Vec<_>>()) {
                assert!(objects.contains_key(&object.key()), "{image} names {}, which is not there", object.key());
            }
        }
        for (name, bytes) in objects {
            if let Some(ImageObject::Original(digest, _)) = ImageObject::from_key(&name) {
                assert_eq!(digest_of(&bytes), Some(digest));
            }
        }
    }

    /// The bucket holds the originals and thumbnails of these pictures and nothing else, and each key of the manifest
    /// its picture.
    fn assert_holds(&self, pictures: &BTreeMap<ImageKey, Vec<u8>>) {
        let originals: BTreeSet<_> = pictures.values().map(|bytes| digest_of(bytes).unwrap()).collect();
        let held: BTreeSet<String> = self.bucket.all().into_keys().collect();
        let thumbnails = originals
            .iter()
            .flat_map(|digest| THUMBNAIL_SIZES.map(|size| ImageObject::Thumbnail(digest.clone(), size).key()));
        let expected_thumbnails: BTreeSet<String> = thumbnails.collect();
        let (found_originals, found_thumbnails): (BTreeSet<_>, BTreeSet<_>) =
            held.into_iter().partition(|key| key.starts_with("originals/"));
        assert_eq!(found_thumbnails, expected_thumbnails);
        let digests = found_originals.iter().filter_map(|key| match ImageObject::from_key(key) {
            Some(ImageObject::Original(digest, _)) => Some(digest),
            _ => None,
        });
        assert_eq!(digests.collect::<BTreeSet<_>>(), originals);
        let manifest = self.manifest.all();
        let named = |entry: &ImageEntry| entry.record.as_ref().map(|record| record.original.digest.clone());
        for (image, bytes) in pictures {
            assert_eq!(manifest.get(image).and_then(named), digest_of(bytes), "{image}");
        }
        let kept = manifest.values().filter(|entry| entry.record.is_some()).count();
        assert_eq!(kept, pictures.len());
    }

    fn outcomes(&self) -> BTreeMap<String, usize> {
        let mut outcomes = BTreeMap::new();
        for event in self.log.all() {
            *outcomes.entry(event.get("outcome").unwrap().as_str().unwrap().to_owned()).or_default() += 1;
        }
        outcomes
    }

    fn reasons(&self) -> Vec<String> {
        self.quarantine.all().into_iter().map(|quarantined| quarantined.reason).collect()
    }
}

fn picture(number: u64) -> Vec<u8> {
    let format = [Format::Jpeg, Format::Png][usize::try_from(number % 2).unwrap()];
    Body::picture(format, number, (24, 16)).bytes()
}

/// A catalogue at hosts in memory: of every three pictures two are the same.
fn catalogue(hosts: &MemoryImageHosts) -> (Vec<ImageRequest>, BTreeMap<ImageKey, Vec<u8>>) {
    let (mut requests, mut pictures) = (Vec::new(), BTreeMap::new());
    for number in 0..4 {
        let url = format!("https://cbu01.alicdn.com/{number}.jpg");
        let bytes = picture(if number == 3 { 0 } else { number });
        let etag = (number != 1).then(|| Validator::new(format!("\"{number}\"")).unwrap());
        hosts.set(&ImageUrl::new(url.as_str()).unwrap(), HostedImage { bytes: bytes.clone(), etag });
        requests.push(request(key(number, "main-1"), &url, NOW));
        pictures.insert(key(number, "main-1"), bytes);
    }
    (requests, pictures)
}

/// What is logged of pictures that are kept, and of one that is refused.
pub async fn counted() -> Vec<WideEvent> {
    let (hosts, album) = (MemoryImageHosts::default(), Album::new());
    let (mut requests, _) = catalogue(&hosts);
    let refused = "https://elsewhere.example/a.jpg";
    hosts.refuse(&ImageUrl::new(refused).unwrap());
    requests.push(request(key(9, "main-1"), refused, NOW));
    assert!(album.drain(&hosts, &requests).await.is_empty());
    album.log.all()
}

#[tokio::test]
async fn every_call_that_fails_in_every_way_ends_in_exactly_the_hosts_pictures() {
    let hosts = MemoryImageHosts::default();
    let (mut requests, pictures) = catalogue(&hosts);
    let refused = "https://elsewhere.example/a.jpg";
    hosts.refuse(&ImageUrl::new(refused).unwrap());
    requests.push(request(key(9, "main-1"), refused, NOW));
    let whole = Album::new();
    let source = Faulty::new(hosts.clone(), &whole.plan);
    assert!(whole.drain(&source, &requests).await.is_empty());
    whole.assert_holds(&pictures);
    let calls = whole.plan.calls();
    for verb in
        ["manifest.read", "images.fetch", "image_bucket.has", "image_bucket.put", "manifest.keep", "quarantine.put"]
    {
        assert!(calls.contains(&verb), "{verb} is not among the calls");
    }
    for position in 0..calls.len() {
        for fault in Fault::ALL {
            let album = Album::under(FaultPlan::at([(position, fault)]));
            let source = Faulty::new(hosts.clone(), &album.plan);
            let left = album.drain(&source, &requests).await;
            assert!(left.is_empty(), "{position} {fault:?}: {left:?}");
            album.assert_holds(&pictures);
            let reasons: BTreeSet<String> = album.reasons().into_iter().collect();
            assert_eq!(reasons.len(), 1, "{reasons:?}");
        }
    }
}

#[tokio::test]
async fn many_faults_at_once_end_in_exactly_the_hosts_pictures() {
    let seed = seed("pictures under faults");
    for round in 0..rounds(60, 2_000) {
        let mut random = Dice::seeded(seed.wrapping_add(round));
        let hosts = MemoryImageHosts::default();
        let (requests, pictures) = catalogue(&hosts);
        let faults: Vec<(usize, Fault)> =
            (0..4).map(|_| (random.below(60), Fault::ALL[random.below(Fault::ALL.len())])).collect();
        let album = Album::under(FaultPlan::at(faults));
        let source = Faulty::new(hosts.clone(), &album.plan);
        let left = album.drain(&source, &requests).await;
        assert!(left.is_empty(), "seed {seed}, round {round}");
        album.assert_holds(&pictures);
    }
}

#[tokio::test]
async fn the_same_picture_on_ten_products_is_stored_once() {
    let (hosts, album) = (MemoryImageHosts::default(), Album::new());
    let bytes = picture(7);
    let requests: Vec<ImageRequest> = (0..10)
        .map(|product| {
            let url = format!("https://cbu01.alicdn.com/copy-{product}.jpg");
            hosts.set(&ImageUrl::new(url.as_str()).unwrap(), HostedImage { bytes: bytes.clone(), etag: None });
            request(key(product, "main-1"), &url, NOW)
        })
        .collect();
    assert!(album.drain(&hosts, &requests).await.is_empty());
    assert_eq!(album.bucket.all().len(), 1 + THUMBNAIL_SIZES.len());
    assert_eq!(album.manifest.all().len(), 10);
    let stored = album.outcomes();
    assert_eq!((stored.get("stored").copied(), stored.get("known").copied()), (Some(1), Some(9)));
}

#[tokio::test]
async fn a_second_run_costs_one_question_a_picture_and_no_call_to_the_bucket() {
    let (hosts, album) = (MemoryImageHosts::default(), Album::new());
    let (requests, pictures) = catalogue(&hosts);
    album.drain(&hosts, &requests).await;
    let second = Album { plan: FaultPlan::none(), log: MemoryLog::default(), ..album };
    let source = Faulty::new(hosts.clone(), &second.plan);
    second.drain(&source, &requests).await;
    let calls = second.plan.calls();
    assert_eq!(calls.iter().filter(|verb| **verb == "images.fetch").count(), requests.len());
    assert!(calls.iter().all(|verb| matches!(*verb, "images.fetch" | "manifest.read")), "{calls:?}");
    assert_eq!(second.outcomes(), BTreeMap::from([("unchanged".to_owned(), requests.len())]));
    // The next sweep saw the same later: one write of the manifest a picture, and still none of the bucket.
    let later: Vec<ImageRequest> = requests
        .into_iter()
        .map(|request| ImageRequest { asked_at: UnixMillis::new(NOW + 1_000).unwrap(), ..request })
        .collect();
    let third = Album { plan: FaultPlan::none(), ..second };
    third.drain(&Faulty::new(hosts, &third.plan), &later).await;
    assert!(third.plan.calls().iter().all(|verb| !verb.starts_with("image_bucket.")));
    assert!(third.manifest.all().values().all(|entry| entry.record.as_ref().unwrap().asked_at.get() == NOW + 1_000));
    third.assert_holds(&pictures);
}

#[tokio::test]
async fn requests_of_one_picture_in_any_order_end_in_the_one_that_was_asked_for_last() {
    let hosts = MemoryImageHosts::default();
    let url = |number: i64| format!("https://cbu01.alicdn.com/v{number}.jpg");
    for number in 0..3 {
        let bytes = picture(u64::try_from(number).unwrap());
        hosts.set(&ImageUrl::new(url(number)).unwrap(), HostedImage { bytes, etag: None });
    }
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let album = Album::new();
        for number in order {
            album.drain(&hosts, &[request(key(1, "main-1"), &url(number), NOW + number)]).await;
        }
        let entry = album.manifest.read(&key(1, "main-1")).await.unwrap();
        let record = entry.record.unwrap();
        assert_eq!((record.url.as_str(), record.asked_at.get()), (url(2).as_str(), NOW + 2), "{order:?}");
        assert_eq!(Some(record.original.digest), digest_of(&picture(2)));
    }
}

#[tokio::test]
async fn what_the_bucket_lost_is_fetched_again_on_request() {
    let (hosts, album) = (MemoryImageHosts::default(), Album::new());
    let (requests, pictures) = catalogue(&hosts);
    album.drain(&hosts, &requests).await;
    let record = album.manifest.read(&requests[0].image).await.unwrap().record.unwrap();
    for lost in record.objects() {
        album.bucket.lose(&lost);
        let again = ImageRequest { refetch: true, ..requests[0].clone() };
        assert!(album.drain(&hosts, &[again]).await.is_empty());
        album.assert_holds(&pictures);
    }
}

#[tokio::test]
async fn a_message_that_is_no_request_is_in_quarantine_and_harms_no_other() {
    let (hosts, album) = (MemoryImageHosts::default(), Album::new());
    let (requests, _) = catalogue(&hosts);
    let mut messages: BTreeMap<String, String> =
        ["", "{}", "[]", "nonsense", r#"{"specversion":"1.0","type":"sampan.order.changed.v1"}"#]
            .iter()
            .enumerate()
            .map(|(number, body)| (format!("bad{number}"), (*body).to_owned()))
            .collect();
    messages.insert("good".to_owned(), images::write(&requests[0]).unwrap());
    assert_eq!(album.invoke(&hosts, &messages).await, Some(BTreeSet::new()));
    assert_eq!(album.quarantine.all().len(), 5);
    assert_eq!(album.manifest.all().len(), 1);
}

/// A real host, and the real way to it.
struct Web {
    host: Host,
    source: WebImages<SystemNetwork>,
}

impl Web {
    async fn new() -> Self {
        let host = Host::start(Options::default()).await.unwrap();
        let listed = host.url_of("").trim_start_matches("http://").trim_end_matches('/').to_owned();
        let cap = Cap { bytes_per_second: 50 << 20, connections: 4 };
        Self { source: WebImages::new(ImageHosts::parse(&listed, true).unwrap(), cap).unwrap(), host }
    }

    /// Publishes so many pictures; those of odd numbers have no validators.
    fn publish(&self, count: u64) -> (Vec<ImageRequest>, BTreeMap<ImageKey, Vec<u8>>) {
        let (mut requests, mut pictures) = (Vec::new(), BTreeMap::new());
        for number in 0..count {
            let path = format!("/img/ibank/{number}.jpg");
            let resource = Resource::picture(Format::Jpeg, number, (24, 16));
            let resource = if number % 2 == 1 { resource.with(Tags::NEITHER) } else { resource };
            pictures.insert(key(number, "main-1"), resource.body.bytes());
            self.host.publish(&path, resource);
            requests.push(request(key(number, "main-1"), &self.host.url_of(&path), NOW));
        }
        (requests, pictures)
    }
}

#[tokio::test]
async fn a_second_run_over_http_is_conditional_requests_without_a_byte_of_a_picture() {
    let (web, album) = (Web::new().await, Album::new());
    let count = rounds(150, 1_500);
    let (requests, pictures) = web.publish(count);
    assert!(album.drain(&web.source, &requests).await.is_empty());
    album.assert_holds(&pictures);
    web.host.forget();
    let second = Album { plan: FaultPlan::none(), ..album };
    assert!(second.drain(&web.source, &requests).await.is_empty());
    let asked = web.host.totals().asked;
    assert_eq!((asked.requests(), asked.body_bytes), (count, 0), "{asked:?}");
    assert_eq!(asked.conditional + asked.head, count);
    assert!(second.plan.calls().iter().all(|verb| !verb.starts_with("image_bucket.")));
    // Of what changed, those bytes alone.
    web.host.forget();
    second.clock.advance_ms(1);
    let changed = web.host.change_some(10);
    assert!(second.drain(&web.source, &requests).await.is_empty());
    let asked = web.host.totals().asked;
    let of_changed: u64 = web
        .host
        .paths()
        .iter()
        .map(|path| web.host.asked(path))
        .filter(|asked| asked.body_bytes > 0)
        .map(|asked| asked.body_bytes)
        .sum();
    assert!(changed > 0 && asked.body_bytes == of_changed);
    // Of a host without validators only another length tells: those of odd numbers are as they were.
    let manifest = second.manifest.all();
    for (number, request) in requests.iter().enumerate().step_by(2) {
        let path = format!("/img/ibank/{number}.jpg");
        let there = digest_of(&web.host.resource(&path).unwrap().body.bytes());
        let record = manifest[&request.image].record.as_ref().unwrap();
        assert_eq!(Some(&record.original.digest), there.as_ref(), "{path}");
    }
}

/// What a conduct of the host comes to when it is the next answer alone.
#[tokio::test]
async fn after_every_fault_of_the_host_the_bucket_holds_what_the_host_has() {
    for (name, conduct) in Conduct::every() {
        // Ten seconds each are for the battery at full length.
        if name.ends_with("-for-ever") && rounds(0, 1) == 0 {
            continue;
        }
        let (web, album) = (Web::new().await, Album::new());
        let (requests, pictures) = web.publish(2);
        web.host.publish("/elsewhere", Resource::picture(Format::Jpeg, 99, (24, 16)));
        let path = "/img/ibank/0.jpg";
        web.host.next_of(path, [conduct]);
        let left = album.drain(&web.source, &requests).await;
        assert!(left.is_empty(), "{name}: {left:?}");
        let outcome = (album.reasons(), album.manifest.all().contains_key(&key(0, "main-1")));
        match outcome {
            // It was told from the content: for a person, and not again and again.
            (reasons, false) => assert_eq!(reasons.len(), 1, "{name}"),
            (reasons, true) => assert!(reasons.is_empty(), "{name}: {reasons:?}"),
        }
        // Whatever it was, asking again once the host behaves ends in its pictures.
        album.clock.advance_ms(1);
        let again: Vec<ImageRequest> =
            requests.into_iter().map(|request| ImageRequest { refetch: true, ..request }).collect();
        assert!(album.drain(&web.source, &again).await.is_empty(), "{name}");
        let named = album.manifest.read(&key(0, "main-1")).await.unwrap().record.unwrap().original.digest;
        assert_eq!(Some(named), digest_of(&pictures[&key(0, "main-1")]), "{name}");
        album.assert_whole();
    }
}

#[tokio::test]
async fn a_host_that_keeps_failing_loses_no_message() {
    for conduct in [Conduct::status(500), Conduct::status(404), Conduct::status(403), Conduct::status(410)] {
        let (web, album) = (Web::new().await, Album::new());
        let (requests, pictures) = web.publish(1);
        web.host.rule("/", [conduct.clone()]);
        let message = BTreeMap::from([("m".to_owned(), images::write(&requests[0]).unwrap())]);
        assert_eq!(album.invoke(&web.source, &message).await, Some(BTreeSet::from(["m".to_owned()])), "{conduct:?}");
        assert!(album.quarantine.all().is_empty() && album.manifest.all().is_empty() && album.bucket.all().is_empty());
        web.host.clear();
        let (requests, _) = (web.publish(1).0, requests);
        assert!(album.drain(&web.source, &requests).await.is_empty());
        album.assert_holds(&pictures);
    }
}

#[tokio::test]
async fn what_is_no_picture_is_in_quarantine_with_its_reason_and_leaves_nothing_behind() {
    let jpeg = Body::picture(Format::Jpeg, 1, (64, 64)).bytes();
    let png = Body::picture(Format::Png, 1, (64, 64)).bytes();
    let mut bomb = png.clone();
    // Its header says 30,000 x 30,000 pixels.
    bomb.splice(16..24, [0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    for (name, body, word) in [
        ("html", b"<!DOCTYPE html><html><body>Sign in</body></html>".to_vec(), "not_an_image"),
        ("svg", br#"<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>"#.to_vec(), "not_an_image"),
        ("json", br#"{"code":"404","message":"no picture"}"#.to_vec(), "not_an_image"),
        ("empty", Vec::new(), "not_an_image"),
        ("short", vec![0xff, 0xd8, 0xff], "truncated"),
        ("half a jpeg", jpeg[..jpeg.len() / 2].to_vec(), "truncated"),
        ("half a png", png[..png.len() / 2].to_vec(), "truncated"),
        ("a png of 900 million pixels", bomb, ""),
    ] {
        let (web, album) = (Web::new().await, Album::new());
        web.host.publish("/a.jpg", Resource::of("image/jpeg", Body::of(body)));
        let left = album.drain(&web.source, &[request(key(1, "main-1"), &web.host.url_of("/a.jpg"), NOW)]).await;
        assert!(left.is_empty(), "{name}: {left:?}");
        let reasons = album.reasons();
        assert!(reasons.len() == 1 && reasons[0].starts_with(word), "{name}: {reasons:?}");
        assert!(album.bucket.all().is_empty() && album.manifest.all().is_empty(), "{name}");
    }
}
