//! Whom we ask for pictures, and where they may be.
//!
//! Invariant: nobody is connected to but a public address of a host that is listed, at a port of the web; or an address
//! of this machine that is listed itself, on a stack that allows that. Both are checked again at every redirect.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

/// Ports of the web.
const PORTS: [u16; 2] = [80, 443];

/// Networks that are not the public internet, although their addresses look like it. Sources: IANA IPv4 and IPv6
/// special-purpose address registries; RFC 6890. Of IPv6 only 2000::/3 is public at all (IANA IPv6 global unicast), which
/// leaves out mapped and translated forms of IPv4 (`::ffff:0:0/96`, `64:ff9b::/96`, `64:ff9b:1::/48`), `fc00::/7` and
/// `fe80::/10`.
const NOT_PUBLIC: [&str; 23] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
];
const PUBLIC_V6: &str = "2000::/3";

fn contains(network: &str, address: IpAddr) -> bool {
    network.parse::<IpNet>().is_ok_and(|network| network.contains(&address))
}

/// Whether an address is of the public internet. A mapped one is what it maps.
pub fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_unicast = address.is_ipv4() || contains(PUBLIC_V6, address);
    is_unicast && !NOT_PUBLIC.iter().any(|network| contains(network, address))
}

/// A list of hosts is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImageHosts {
    /// It names nobody.
    #[error("the list of image hosts is empty")]
    Empty,
    /// An entry is no host.
    #[error("an image host is neither a host's name nor, on a local stack, a loopback address with a port")]
    NotAHost,
    /// An entry is this machine, where that is not allowed.
    #[error("an image host is a loopback address, which only a local stack may ask")]
    Loopback,
}

/// A place on this machine that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Local {
    host: Host,
    port: Option<u16>,
}

/// The hosts that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageHosts {
    suffixes: Vec<String>,
    locals: Vec<Local>,
}

/// Where a URL leads: what is resolved, and which of its addresses will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    is_local: bool,
}

impl Target {
    /// Whether one of the host's addresses may be connected to.
    pub(super) fn allows(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        address.port() == self.port && if self.is_local { ip.is_loopback() } else { is_public(ip) }
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

impl ImageHosts {
    /// Reads a comma list: names of hosts, each standing for itself and all below it; and, where `loopback` is allowed,
    /// addresses of this machine, each with its port or for every port.
    pub fn parse(list: &str, loopback: bool) -> Result<Self, InvalidImageHosts> {
        let mut hosts = Self { suffixes: Vec::new(), locals: Vec::new() };
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let url = Url::parse(&format!("http://{entry}/")).map_err(|_| InvalidImageHosts::NotAHost)?;
            let host = url.host().ok_or(InvalidImageHosts::NotAHost)?.to_owned();
            // What the parser took for a path, a query or a user is no host.
            let is_bare = !entry.contains(['/', '?', '#', '@', '\\']);
            match (is_loopback(&host), host) {
                (true, _) if !loopback => return Err(InvalidImageHosts::Loopback),
                (true, host) if is_bare => {
                    let is_default = entry.ends_with(":80");
                    hosts.locals.push(Local { host, port: url.port().or(is_default.then_some(80)) });
                }
                (false, Host::Domain(name)) if is_bare && !entry.contains(':') => hosts.suffixes.push(name),
                (true | false, _) => return Err(InvalidImageHosts::NotAHost),
            }
        }
        if hosts.suffixes.is_empty() && hosts.locals.is_empty() { Err(InvalidImageHosts::Empty) } else { Ok(hosts) }
    }

    /// Where a URL leads, or the word for why nobody goes there.
    pub(super) fn target(&self, url: &Url) -> Result<Target, &'static str> {
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("scheme_not_allowed"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("userinfo_not_allowed");
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err("host_not_allowed");
        };
        let host = match host {
            Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()),
            Host::Ipv4(address) => Host::Ipv4(address),
            Host::Ipv6(address) => Host::Ipv6(address),
        };
        let is_this = |local: &Local| local.host == host && local.port.is_none_or(|listed| listed == port);
        if self.locals.iter().any(is_this) {
            return Ok(Target { host, port, is_tls, is_local: true });
        }
        // An address is no name of a host that is listed.
        let Host::Domain(name) = &host else { return Err("host_not_allowed") };
        if !self.suffixes.iter().any(|suffix| is_at_or_below(name, suffix)) {
            return Err("host_not_allowed");
        }
        if !PORTS.contains(&port) {
            return Err("port_not_allowed");
        }
        Ok(Target { host, port, is_tls, is_local: false })
    }
}

/// Whether a name is a suffix or below it: whole labels only.
fn is_at_or_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(hosts: &ImageHosts, url: &str) -> Result<(String, u16), &'static str> {
        let url = Url::parse(url).map_err(|_| "url_malformed")?;
        hosts.target(&url).map(|target| (target.host.to_string(), target.port))
    }

    #[test]
    fn every_network_is_one() {
        for network in NOT_PUBLIC.into_iter().chain([PUBLIC_V6]) {
            assert!(network.parse::<IpNet>().is_ok(), "{network}");
        }
    }

    #[test]
    fn public_is_what_the_registries_call_public() {
        for address in ["8.8.8.8", "47.246.0.1", "2400:3200::1", "2001:4860:4860::8888", "::ffff:8.8.8.8"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "169.254.100.1",
            "172.31.255.255",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:0:53aa:64c::1",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "fec0::1",
            "100::1",
            "5f00::1",
            "3fff::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_host_is_listed_with_all_below_it_and_by_whole_labels() {
        let hosts = ImageHosts::parse("alicdn.com, img.example.org", false).unwrap();
        for url in [
            "https://alicdn.com/a.jpg",
            "http://cbu01.alicdn.com/a.jpg",
            "https://CBU01.AliCDN.com:443/a.jpg",
            "https://cbu01.alicdn.com./a.jpg",
            "https://a.b.img.example.org/",
        ] {
            assert!(target(&hosts, url).is_ok(), "{url}");
        }
        for (url, word) in [
            ("https://evilalicdn.com/", "host_not_allowed"),
            ("https://alicdn.com.evil.example/", "host_not_allowed"),
            ("https://example.org/", "host_not_allowed"),
            ("https://127.0.0.1/", "host_not_allowed"),
            ("http://2130706433/", "host_not_allowed"),
            ("http://[::1]/", "host_not_allowed"),
            ("http://localhost/", "host_not_allowed"),
            ("https://alicdn.com:8443/", "port_not_allowed"),
            ("http://alicdn.com@127.0.0.1/", "userinfo_not_allowed"),
            ("http://user:word@cbu01.alicdn.com/", "userinfo_not_allowed"),
            ("ftp://cbu01.alicdn.com/", "scheme_not_allowed"),
            ("file:///etc/passwd", "scheme_not_allowed"),
        ] {
            assert_eq!(target(&hosts, url), Err(word), "{url}");
        }
    }

    #[test]
    fn this_machine_is_asked_only_where_that_is_allowed_and_at_the_port_that_is_listed() {
        assert_eq!(ImageHosts::parse("127.0.0.1:8099", false), Err(InvalidImageHosts::Loopback));
        assert_eq!(ImageHosts::parse("[::1]:80", false), Err(InvalidImageHosts::Loopback));
        assert_eq!(ImageHosts::parse("localhost", false), Err(InvalidImageHosts::Loopback));
        assert_eq!(ImageHosts::parse(" , ", true), Err(InvalidImageHosts::Empty));
        for entry in ["10.0.0.1", "alicdn.com:8080", "a b", "user@alicdn.com", "alicdn.com/path", "169.254.169.254"] {
            assert_eq!(ImageHosts::parse(entry, true), Err(InvalidImageHosts::NotAHost), "{entry}");
        }
        let hosts = ImageHosts::parse("alicdn.com,127.0.0.1:8099", true).unwrap();
        assert_eq!(target(&hosts, "http://127.0.0.1:8099/a.jpg"), Ok(("127.0.0.1".to_owned(), 8_099)));
        assert_eq!(target(&hosts, "http://127.0.0.1:9001/2018-06-01/runtime/"), Err("host_not_allowed"));
        assert_eq!(target(&hosts, "http://127.0.0.2:8099/"), Err("host_not_allowed"));
        let every = ImageHosts::parse("127.0.0.1", true).unwrap();
        assert!(target(&every, "http://127.0.0.1:1/").is_ok());
        let web = ImageHosts::parse("127.0.0.1:80", true).unwrap();
        assert_eq!(target(&web, "http://127.0.0.1:81/"), Err("host_not_allowed"));
    }
}
