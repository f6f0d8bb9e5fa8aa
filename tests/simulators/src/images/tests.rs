//! The host as a client meets it, through a socket of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use socket2::SockRef;

use super::*;

const PATH: &str = "/img/ibank/a.jpg";

/// What came back.
struct Got {
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn status(&self) -> u16 {
        self.head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn connect(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(host.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(2_000))).unwrap();
    stream
}

fn say(mut stream: &TcpStream, method: &str, path: &str, headers: &str) {
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nhost: h\r\n{headers}\r\n").as_bytes()).unwrap();
}

/// All that comes until the connection ends, is reset, or says nothing for two seconds.
fn read(stream: &TcpStream, bytes_max: u64) -> Got {
    let mut all = Vec::new();
    stream.take(bytes_max).read_to_end(&mut all).unwrap_or_default();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").map_or(all.len(), |end| end + 4);
    let body = all.split_off(end);
    Got { head: String::from_utf8(all).unwrap(), body }
}

fn ask(host: &Host, method: &str, path: &str, headers: &str) -> Got {
    let stream = connect(host);
    say(&stream, method, path, &format!("connection: close\r\n{headers}"));
    read(&stream, u64::MAX)
}

fn get(host: &Host, path: &str) -> Got {
    ask(host, "GET", path, "")
}

/// A host with one picture of so many bytes.
async fn host(bytes: u64) -> Host {
    let host = Host::start(Options::default()).await.unwrap();
    host.publish(PATH, Resource::padded(1, bytes));
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_arrives_as_it_was_published_and_every_byte_is_counted() {
    let host = host(300_000).await;
    let got = get(&host, PATH);
    assert_eq!((got.status(), got.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!(got.body, host.resource(PATH).unwrap().body.bytes());
    assert_eq!(get(&host, "/img/none.jpg").status(), 404);
    host.forget();
    let got = get(&host, PATH);
    let left = |which| usize::try_from(host.departures().total(which)).unwrap();
    assert_eq!((left(Bytes::OfBodies), left(Bytes::All)), (got.body.len(), got.head.len() + got.body.len()));
    assert_eq!(host.asked(PATH), Asked { get: 1, body_bytes: 300_000, ..Asked::default() });
    assert_eq!((host.totals().connections, host.totals().asked.requests()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_requests_until_one_side_ends_it() {
    let host = host(4_000).await;
    let stream = connect(&host);
    for _ in 0..3 {
        say(&stream, "HEAD", PATH, "");
    }
    say(&stream, "GET", PATH, "connection: close\r\n");
    let got = read(&stream, u64::MAX);
    let all = got.head + &String::from_utf8_lossy(&got.body);
    assert_eq!(all.matches("HTTP/1.1 200").count(), 4);
    assert_eq!((host.totals().connections, host.asked(PATH).head, host.asked(PATH).get), (1, 3, 1));
    host.rule("/", [Conduct::ConnectionClose]);
    let stream = connect(&host);
    say(&stream, "GET", PATH, "");
    assert_eq!(read(&stream, u64::MAX).header("connection"), Some("close"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_answered_with_304_by_tag_and_by_date() {
    let host = host(4_000).await;
    let got = get(&host, PATH);
    let tag = got.header("etag").unwrap().to_owned();
    let date = got.header("last-modified").unwrap().to_owned();
    let by_tag = format!("if-none-match: {tag}\r\n");
    let by_date = format!("if-modified-since: {date}\r\n");
    let ask = |headers: &str| ask(&host, "GET", PATH, headers);
    for known in [&by_tag, &by_date, &format!("if-none-match: \"x\", W/{tag}\r\n"), &"if-none-match: *\r\n".to_owned()]
    {
        let got = ask(known);
        assert_eq!((got.status(), got.body.len(), got.header("etag")), (304, 0, Some(tag.as_str())), "{known}");
    }
    assert_eq!(ask("if-none-match: \"x\"\r\n").status(), 200);
    assert_eq!(ask(&format!("if-none-match: \"x\"\r\n{by_date}")).status(), 200, "the tag decides alone");
    assert_eq!((host.asked(PATH).conditional, host.asked(PATH).not_modified), (6, 4));
    host.next([vec![Conduct::IgnoresConditions]]);
    assert_eq!((ask(&by_tag).status(), ask(&by_tag).status()), (200, 304));
    let before = host.resource(PATH).unwrap().body;
    assert!(host.change(PATH) && !host.change("/nothing.jpg"));
    let got = ask(&format!("{by_tag}{by_date}"));
    assert_eq!((got.status(), got.body.len()), (200, before.bytes().len()));
    assert_ne!(got.body, before.bytes());
    assert_eq!(ask(&by_date).status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tag_or_date_only_the_length_tells() {
    let host = Host::start(Options::default()).await.unwrap();
    let of = |validators| Resource::padded(1, 4_000).with(validators);
    for (validators, tag, date) in [
        (Validators::TAG, true, false),
        (Validators::DATE, false, true),
        (Validators::NEITHER, false, false),
        (Validators { tag: Tag::Weak, has_date: false }, true, false),
    ] {
        host.publish(PATH, of(validators));
        let got = ask(&host, "HEAD", PATH, "");
        assert_eq!((got.header("etag").is_some(), got.header("last-modified").is_some()), (tag, date));
        assert_eq!((got.header("content-length"), got.body.len()), (Some("4000"), 0));
        let conditions = "if-modified-since: Sun, 06 Nov 2044 08:49:37 GMT\r\n";
        assert_eq!(ask(&host, "GET", PATH, conditions).status(), if date { 304 } else { 200 });
    }
    host.rule("/img/", [Conduct::RefusesHead]);
    assert_eq!((ask(&host, "HEAD", PATH, "").status(), get(&host, PATH).status()), (405, 200));
    assert_eq!(ask(&host, "PUT", PATH, "").status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_lies_about_the_length_as_it_is_told() {
    let host = host(4_000).await;
    let body = host.resource(PATH).unwrap().body.bytes();
    let lie = |length| {
        host.next([vec![Conduct::Length(length)]]);
        let stream = connect(&host);
        say(&stream, "GET", PATH, "");
        if length == Length::Chunked {
            say(&stream, "HEAD", PATH, "connection: close\r\n");
        }
        read(&stream, u64::MAX)
    };
    for (length, said) in
        [(Length::TooLong(100), Some("4100")), (Length::TooShort(100), Some("3900")), (Length::Absent, None)]
    {
        let got = lie(length);
        assert_eq!((got.header("content-length"), got.body == body), (said, true), "{length:?}");
    }
    let got = lie(Length::Chunked);
    assert_eq!(got.header("transfer-encoding"), Some("chunked"));
    let framed = [b"fa0\r\n".as_slice(), &body, b"\r\n0\r\n\r\nHTTP/1.1 200"].concat();
    assert!(got.body.starts_with(&framed), "and the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_breaks_off_exactly_where_it_is_told() {
    let host = host(200_000).await;
    for ending in [Ending::Close, Ending::Reset] {
        let cut = |at| vec![Conduct::Cut { at, ending }];
        host.next([cut(Place::Head), cut(Place::Byte(100_001)), cut(Place::Byte(0))]);
        assert_eq!(get(&host, PATH).head, "");
        host.forget();
        let got = get(&host, PATH);
        assert_eq!((got.status(), host.departures().total(Bytes::OfBodies)), (200, 100_001));
        assert!(ending == Ending::Reset || got.body.len() == 100_001, "a reset may overtake what was sent");
        assert_eq!(get(&host, PATH).body.len(), 0);
    }
    assert_eq!(get(&host, PATH).body.len(), 200_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_as_long_as_told_and_is_no_work() {
    let host = host(200_000).await;
    for at in [Place::Head, Place::Byte(1_000)] {
        host.forget();
        host.next([vec![Conduct::stall_ms(at, 400)]]);
        let began = Instant::now();
        assert_eq!(get(&host, PATH).body.len(), 200_000);
        assert!(began.elapsed() >= Duration::from_millis(400));
        let working = host.departures().working();
        assert!(working + Duration::from_millis(390) < began.elapsed(), "{working:?} of {:?}", began.elapsed());
    }
    host.rule("/", [Conduct::Stall { at: Place::Byte(1_000), time: None }]);
    let stream = connect(&host);
    say(&stream, "GET", PATH, "");
    assert_eq!(read(&stream, u64::MAX).body.len(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_drips_at_its_pace() {
    let host = host(5_000).await;
    for bytes_per_second in [10_000, 20_000] {
        host.next([vec![Conduct::Drip { bytes_per_second }]]);
        let began = Instant::now();
        assert_eq!(get(&host, PATH).body.len(), 5_000);
        assert!(began.elapsed() >= Duration::from_millis(5_000_000 / bytes_per_second - 100));
    }
    host.next([vec![Conduct::Body(Body::of([1, 2, 3])), Conduct::Drip { bytes_per_second: 5 }]]);
    let began = Instant::now();
    assert_eq!(get(&host, PATH).body, [1, 2, 3]);
    assert!(began.elapsed() >= Duration::from_millis(400), "a byte each fifth of a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_lead_along_a_chain_or_nowhere() {
    let host = host(4_000).await;
    host.publish_chain("/chain", 307, 3, PATH);
    let mut path = "/chain".to_owned();
    let mut hops = 0;
    while let Some(next) = get(&host, &path).header("location") {
        (path, hops) = (next.to_owned(), hops + 1);
    }
    assert_eq!((path.as_str(), hops), (PATH, 3));
    host.publish_chain("/loop", 301, 1, "/loop");
    assert_eq!(get(&host, "/loop").header("location"), Some("/loop"));
    for status in [301, 302, 303, 307, 308] {
        let nowhere = Conduct::Redirect { status, location: None };
        host.next([vec![Conduct::redirect(status, "https://h/x")], vec![nowhere]]);
        let (there, nowhere) = (get(&host, PATH), get(&host, PATH));
        assert_eq!((there.status(), there.header("location")), (status, Some("https://h/x")));
        assert_eq!((nowhere.status(), nowhere.header("location")), (status, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_when_to_come_again_in_both_forms() {
    let host = host(4_000).await;
    let refusal = |status, after| vec![Conduct::Status { status, retry_after: Some(after) }];
    host.next([refusal(429, RetryAfter::Seconds(7)), refusal(503, RetryAfter::Date(60))]);
    let (seconds, date) = (get(&host, PATH), get(&host, PATH));
    assert_eq!((seconds.status(), seconds.header("retry-after")), (429, Some("7")));
    let date = (date.status(), super::wire::unix_s(date.header("retry-after").unwrap()));
    let now = adapters::clock::Clock::now(&adapters::clock::SystemClock).seconds();
    assert!(date.0 == 503 && (now + 50..=now + 60).contains(&date.1.unwrap()), "{date:?} at {now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_other_things_than_it_sends() {
    let host = host(4_000).await;
    let body = host.resource(PATH).unwrap().body.bytes();
    host.next([
        vec![Conduct::Gzip],
        vec![Conduct::ContentType(Some("text/html".to_owned()))],
        Conduct::html_as_jpeg(),
        Conduct::svg_as_jpeg(),
        vec![Conduct::Body(Body::empty())],
        vec![Conduct::GiganticHead { bytes: 300_000 }],
    ]);
    let got = get(&host, PATH);
    let mut unpacked = Vec::new();
    GzDecoder::new(got.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!((got.header("content-encoding"), unpacked == body), (Some("gzip"), true));
    let got = get(&host, PATH);
    assert_eq!((got.header("content-type"), got.body == body), (Some("text/html"), true));
    for start in ["<!DOCTYPE html", "<svg "] {
        let got = get(&host, PATH);
        assert_eq!(got.header("content-type"), Some("image/jpeg"));
        assert!(got.body.starts_with(start.as_bytes()));
    }
    let got = get(&host, PATH);
    assert_eq!((got.status(), got.header("content-length")), (200, Some("0")));
    let got = get(&host, PATH);
    assert!(got.head.len() > 300_000 && got.body == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_body_ends_only_with_the_client() {
    let host = host(4_000).await;
    host.next([vec![Conduct::Endless]]);
    let stream = connect(&host);
    say(&stream, "GET", PATH, "");
    assert_eq!(read(&stream, 20_000_000).body.len() / 1_000_000, 19);
    drop(stream);
    assert_eq!(get(&host, PATH).body.len(), 4_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_conduct_hurts_the_host() {
    let host = host(4_000).await;
    for (name, conduct) in Conduct::every() {
        host.next([conduct]);
        let stream = connect(&host);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        say(&stream, "GET", PATH, "connection: close\r\n");
        read(&stream, 10_000_000);
        drop(stream);
        assert_eq!((get(&host, PATH).body.len(), host.waiting()), (4_000, 0), "after {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_belongs_to_a_path_a_rule_the_next_request_or_chance() {
    let host = host(4_000).await;
    let status = |path: &str| get(&host, path).status();
    host.publish("/img/b.jpg", Resource::padded(2, 4_000).behaving([Conduct::status(410)]));
    host.next_of("/img/b.jpg", [vec![Conduct::status(500)], vec![]]);
    assert_eq!([status(PATH), status("/img/b.jpg"), status("/img/b.jpg")], [200, 500, 410]);
    host.rule("/img/ib", [Conduct::status(403)]);
    assert_eq!([status(PATH), status("/img/b.jpg")], [403, 410]);
    host.rule("/img/ib", []);
    assert_eq!(status(PATH), 200);
    host.set_faults_percent(100);
    let failed = (0..20).filter(|_| get(&host, PATH).body.len() != 4_000).count();
    assert!(failed > 10, "{failed} of 20, and what stalls comes in the end");
    host.clear();
    assert_eq!(status(PATH), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_nobody_published_is_the_same_until_it_is_changed() {
    let options = || Options { wild: Some(Wild::small()), ..Options::default() };
    let (one, other) = (Host::start(options()).await.unwrap(), Host::start(options()).await.unwrap());
    for path in [PATH, "/img/ibank/b.jpg", "/img/c.png", "/img/d.webp"] {
        let got = get(&one, path);
        assert_eq!(got.body, get(&other, path).body);
        assert_eq!((got.status(), got.body.len() > 500), (200, true), "{path}");
        assert!(one.change(path));
        assert_ne!(get(&one, path).body, got.body);
    }
    assert_ne!(get(&other, PATH).body, get(&other, "/img/ibank/b.jpg").body);
    assert_eq!(get(&one, "/other/a.jpg").status(), 404);
    assert_eq!((one.paths().len(), one.change_some(50)), (4, 2));
}

/// The ground on which a throttle is judged: what is counted is what the client's side has room for.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_leaves_untaken_has_not_left() {
    const RECEIVE_BYTES: usize = 8 * 1024;
    let host = host(50 << 20).await;
    let stream = connect(&host);
    SockRef::from(&stream).set_recv_buffer_size(RECEIVE_BYTES).unwrap();
    say(&stream, "GET", PATH, "");
    std::thread::sleep(Duration::from_millis(300));
    let left = host.departures().total(Bytes::All);
    // The client had said its window when it connected: 64 KiB. The host's own buffer adds its 4.5 KiB, or one piece.
    assert!(left < 140_000, "{left} bytes left though nobody read");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_knows_how_many_it_served_at_once() {
    let host = host(4_000).await;
    host.rule("/", [Conduct::stall_ms(Place::Head, 200)]);
    let streams: Vec<_> = std::iter::repeat_with(|| connect(&host)).take(4).collect();
    for stream in streams.iter().take(3) {
        say(stream, "GET", PATH, "connection: close\r\n");
    }
    for stream in streams.iter().take(3) {
        assert_eq!(read(stream, u64::MAX).body.len(), 4_000);
    }
    let totals = host.totals();
    assert_eq!((totals.connections_at_once_max, totals.answers_at_once_max), (4, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_reads_the_counts_and_lets_things_happen() {
    let host = host(4_000).await;
    let body = |got: Got| serde_json::from_slice::<serde_json::Value>(&got.body).unwrap();
    get(&host, PATH);
    let state = body(get(&host, "/simulator/state"));
    assert_eq!((&state["requests"], &state["body_bytes"]), (&1.into(), &4_000.into()));
    let post = |path: &str| body(ask(&host, "POST", path, ""));
    assert_eq!(post(&format!("/simulator/change?path={PATH}"))["changes"], 1);
    assert_eq!(post("/simulator/change?percent=100")["changes"], 1);
    assert_eq!(post("/simulator/conduct?name=404&below=/img/")["conduct"], "404");
    assert_eq!(get(&host, PATH).status(), 404);
    assert!(post("/simulator/conduct?name=nonsense")["known"].as_array().unwrap().len() > 30);
    post("/simulator/conduct");
    assert_eq!(get(&host, PATH).status(), 200);
    assert_eq!(post("/simulator/forget")["requests"], 0);
    assert_eq!(ask(&host, "POST", "/simulator/change", "").status(), 400);
}
