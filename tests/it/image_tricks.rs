//! Addresses that are not what they look like. Whoever names them, a marketplace's answer, a redirect or a name server:
//! nobody is connected to but public addresses of hosts that are listed, which is asserted at the socket.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use adapters::ports::{Fetched, ImageSource, NoImage};
use adapters::web::images::{Cap, ImageHosts, Network, SystemNetwork, WebImages, is_public};
use domain::{ImageUrl, Known};
use simulators::images::{Conduct, Host, Options, Resource};
use tokio::net::{TcpListener, TcpStream};

/// What a test says that names resolve to, and every address that was connected to. An address of this machine is
/// really connected to; the public internet is not there.
#[derive(Clone, Default)]
struct Watched {
    names: Arc<Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>>,
    connected: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Watched {
    /// The answers to a name, one after the other; the last one stays.
    fn answer(&self, name: &str, answers: &[&[&str]]) {
        let parsed = answers.iter().map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        self.names.lock().unwrap().insert(name.to_owned(), parsed);
    }

    fn connected(&self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.connected.lock().unwrap())
    }
}

impl Network for Watched {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let mut names = self.names.lock().unwrap();
        let Some(answers) = names.get_mut(host) else {
            // A name that nobody listed would lead home.
            return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
        };
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Ok(answer.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    async fn connect(&self, address: SocketAddr, buffer_bytes: u64) -> io::Result<TcpStream> {
        self.connected.lock().unwrap().push(address);
        match is_public(address.ip()) {
            true => Err(io::ErrorKind::ConnectionRefused.into()),
            false => SystemNetwork.connect(address, buffer_bytes).await,
        }
    }
}

/// Something on this machine that nobody may reach, such as the Lambda Runtime API: counts who comes.
struct Victim {
    port: u16,
    came: Arc<AtomicUsize>,
}

impl Victim {
    async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let came = Arc::new(AtomicUsize::new(0));
        let mut listeners = vec![listener];
        listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok());
        for listener in listeners {
            let came = Arc::clone(&came);
            tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    came.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { port, came }
    }
}

/// Forms of hosts that are, or mean, an address that is not public.
const DISGUISED: &[&str] = &[
    // Decimal, hexadecimal, octal, short, mixed and overlong forms.
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0X7F000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "017700000001",
    "0x7F.0.1",
    "127.0x1",
    "0177.1",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "\u{2460}\u{2461}\u{2466}.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "127.0.0.1%00",
    "127.0.0.1%20",
    // The unspecified address, which means this machine too.
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "0.0",
    // The clouds' metadata, Lambda's own addresses, private networks.
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "169.254.170.2",
    "169.254.100.1",
    "10.0.0.1",
    "0xa000001",
    "167772161",
    "012.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "0xc0a80001",
    "3232235521",
    "192.168.257",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    // IPv6: loopback, unspecified, mapped, compatible, translated, tunnelled, local.
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2002:7f00:1::1]",
    "[2002:a9fe:a9fe::]",
    "[2002:a00:1::]",
    "[2001:0:7f00:1::]",
    "[2001:0:53aa:64c:0:0:80ff:fffe]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[100::1]",
    "[2001:db8::1]",
    "[5f00::1]",
    // Names that lead home.
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "sandbox.localdomain",
    "127.0.0.1.nip.io",
    "metadata.google.internal",
    "instance-data",
    "evilalicdn.com",
    "alicdn.com.evil.example",
    "alicdn.co",
    "xn--alicdn-.com",
    "alicdn.com\u{ff0e}evil.example",
    "alicdn.com%2eevil.example",
];

/// URLs that name such hosts, plainly and behind what a careless reader takes for the host.
fn tricks(port: u16) -> Vec<String> {
    let mut tricks = Vec::new();
    for host in DISGUISED {
        tricks.push(format!("http://{host}:{port}/a.jpg"));
        tricks.push(format!("http://{host}/latest/meta-data/"));
        tricks.push(format!("https://cbu01.alicdn.com@{host}:{port}/a.jpg"));
        tricks.push(format!("http://cbu01.alicdn.com:80@{host}:{port}/a.jpg"));
    }
    for wrapped in [
        "http://alicdn.com\\@127.0.0.1:PORT/",
        "http://127.0.0.1:PORT\\.alicdn.com/",
        "http://127.0.0.1:PORT#.alicdn.com/",
        "http://127.0.0.1:PORT?.alicdn.com/",
        "http://127.0.0.1:PORT/.alicdn.com/",
        "http://alicdn.com%2f@127.0.0.1:PORT/",
        "http://alicdn.com%23@127.0.0.1:PORT/",
        "http:127.0.0.1:PORT/",
        "http:/127.0.0.1:PORT/",
        "http:///127.0.0.1:PORT/",
        "http:\\\\127.0.0.1:PORT\\",
        "HTTP://127.0.0.1:PORT/",
        " http://127.0.0.1:PORT/",
        "http://127.0.0.1:PORT/ ",
        "h\tttp://127.0.0.1:PORT/",
        "http://127.0.0.1:0PORT/",
        "http://:@127.0.0.1:PORT/",
        "http://@127.0.0.1:PORT/",
        "http://alicdn.com:PORT/",
        "http://cbu01.alicdn.com:22/",
        "http://cbu01.alicdn.com:9001/2018-06-01/runtime/",
        "ftp://cbu01.alicdn.com/a.jpg",
        "file:///etc/passwd",
        "gopher://127.0.0.1:PORT/_x",
        "dict://127.0.0.1:PORT/",
        "data:image/png;base64,iVBORw0KGgo=",
        "javascript:alert(1)",
        "jar:http://127.0.0.1:PORT!/",
        "//127.0.0.1:PORT/",
        "ws://127.0.0.1:PORT/",
        "blob:http://127.0.0.1:PORT/x",
        "view-source:http://127.0.0.1:PORT/",
        "a.jpg",
        "",
    ] {
        tricks.push(wrapped.replace("PORT", &port.to_string()));
    }
    tricks
}

/// The simulated host is listed, by its address and port: it alone of this machine.
struct Stage {
    network: Watched,
    host: Host,
    victim: Victim,
    source: WebImages<Watched>,
}

impl Stage {
    async fn set() -> Self {
        let (network, host, victim) =
            (Watched::default(), Host::start(Options::default()).await.unwrap(), Victim::new().await);
        let listed = format!("alicdn.com,{}", host.url_of("").trim_start_matches("http://").trim_end_matches('/'));
        let hosts = ImageHosts::parse(&listed, true).unwrap();
        let cap = Cap { bytes_per_second: 50 << 20, connections: 4 };
        let source = WebImages::over(network.clone(), hosts, cap).unwrap();
        Self { network, host, victim, source }
    }

    /// The reason for which a URL is refused; none is asked for that is no text of a URL.
    async fn refusal(&self, url: &str) -> String {
        let Ok(url) = ImageUrl::new(url) else { return "not_a_url".to_owned() };
        match self.source.fetch(&url, &Known::Nothing).await.answer {
            Err(NoImage::Refused(reason)) => reason,
            other => panic!("{url} was not refused: {other:?}"),
        }
    }

    /// Nobody was connected to but the listed host.
    fn assert_unharmed(&self, what: &str) -> usize {
        let port: u16 = self.host.url_of("").rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap();
        let connected = self.network.connected();
        for address in &connected {
            let is_listed = *address == SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            assert!(is_listed || is_public(address.ip()), "{what}: {address} was connected to");
        }
        assert_eq!(self.victim.came.load(Ordering::SeqCst), 0, "{what}: somebody came");
        connected.len()
    }
}

#[tokio::test]
async fn no_trick_of_an_address_leads_to_a_connection() {
    let stage = Stage::set().await;
    let tricks = tricks(stage.victim.port);
    assert!(tricks.len() >= 300, "{} tricks", tricks.len());
    for trick in &tricks {
        let reason = stage.refusal(trick).await;
        assert!(!reason.is_empty());
        assert_eq!(stage.assert_unharmed(trick), 0, "{trick}: {reason}");
    }
    println!("{} tricks of addresses, no connection", tricks.len());
}

#[tokio::test]
async fn no_redirect_leads_to_an_address_that_may_not_be_asked() {
    let stage = Stage::set().await;
    let tricks: Vec<String> =
        tricks(stage.victim.port).into_iter().filter(|trick| !trick.bytes().any(|byte| byte < b' ')).collect();
    let statuses = [301, 302, 303, 307, 308];
    let mut followed = 0;
    for (number, trick) in tricks.iter().enumerate() {
        let path = format!("/r{number}.jpg");
        // Relative targets lead back to the host that redirects, which is no trick.
        if !trick.contains(':') || trick.starts_with("http:127") {
            continue;
        }
        let redirect = Conduct::redirect(statuses[number % statuses.len()], trick);
        stage.host.publish(&path, Resource::padded(1, 100).behaving([redirect]));
        // Every other one at the end of a chain.
        let url = match number % 2 {
            0 => stage.host.url_of(&path),
            _ => {
                stage.host.publish_chain(&format!("/chain{number}"), statuses[number % statuses.len()], 3, &path);
                stage.host.url_of(&format!("/chain{number}"))
            }
        };
        // Beside a base some forms are paths of the very host that redirects, which has no such picture.
        let answer = stage.source.fetch(&ImageUrl::new(url).unwrap(), &Known::Nothing).await.answer;
        assert!(answer.is_err(), "{trick}: {answer:?}");
        stage.assert_unharmed(trick);
        followed += usize::from(matches!(answer, Err(NoImage::Refused(_))));
    }
    assert!(followed >= 300, "{followed} redirects");
    stage.host.publish_chain("/long", 302, 9, "/end.jpg");
    assert_eq!(stage.refusal(&stage.host.url_of("/long")).await, "too_many_redirects");
    println!("{followed} redirects to tricks, no connection but to the host that redirects");
}

#[tokio::test]
async fn a_name_that_resolves_to_an_address_that_is_not_public_is_not_connected_to() {
    let stage = Stage::set().await;
    let addresses: Vec<IpAddr> = DISGUISED
        .iter()
        .filter_map(|host| host.trim_matches(['[', ']']).parse().ok())
        .filter(|address: &IpAddr| !is_public(*address))
        .collect();
    assert!(addresses.len() >= 40);
    for (number, address) in addresses.iter().enumerate() {
        let name = format!("n{number}.alicdn.com");
        let text = address.to_string();
        stage.network.answer(&name, &[&[&text]]);
        assert_eq!(stage.refusal(&format!("http://{name}/a.jpg")).await, "address_not_public", "{address}");
        assert_eq!(stage.refusal(&format!("https://{name}/a.jpg")).await, "address_not_public", "{address}");
        assert_eq!(stage.assert_unharmed(&text), 0);
        // Beside a public address, that one alone is tried.
        stage.network.answer(&name, &[&[&text, "47.246.0.1"]]);
        let url = ImageUrl::new(format!("http://{name}/a.jpg")).unwrap();
        let answer = stage.source.fetch(&url, &Known::Nothing).await.answer;
        assert!(matches!(answer, Err(NoImage::Lost(_))), "{answer:?}");
        assert!(stage.assert_unharmed(&text) > 0);
    }
}

#[tokio::test]
async fn a_name_that_changes_its_answer_is_connected_to_where_it_was_checked() {
    let stage = Stage::set().await;
    let (good, home): (&[&str], &[&str]) = (&["47.246.0.1"], &["127.0.0.1", "::1", "169.254.169.254"]);
    for round in 0..20 {
        let name = format!("rebind{round}.alicdn.com");
        // The second answer is for whoever looks the name up again after it was checked.
        stage.network.answer(&name, &[good, home, good, home]);
        for _ in 0..2 {
            let url = ImageUrl::new(format!("http://{name}/a.jpg")).unwrap();
            assert!(stage.source.fetch(&url, &Known::Nothing).await.answer.is_err());
            stage.assert_unharmed(&name);
        }
    }
}

#[tokio::test]
async fn the_listed_host_itself_is_asked() {
    let stage = Stage::set().await;
    stage.host.publish("/a.jpg", Resource::padded(1, 5_000));
    stage.host.publish_chain("/chain", 308, 4, "/a.jpg");
    for path in ["/a.jpg", "/chain"] {
        let url = ImageUrl::new(stage.host.url_of(path)).unwrap();
        let Ok(Fetched::Changed(spooled)) = stage.source.fetch(&url, &Known::Nothing).await.answer else {
            panic!("{path} was not fetched")
        };
        assert_eq!(spooled.bytes, 5_000);
    }
    assert!(stage.assert_unharmed("the host itself") > 0);
}
