//! Whom the functions ask: the marketplaces, and the hosts of pictures.

use anyhow::ensure;

use super::Options;
use super::simulated::{self, Simulated};
use crate::table::step;

/// The host that products' pictures are at, on 1688 and Taobao alike.
const HOST: &str = "alicdn.com";

/// Where the functions ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marketplaces {
    /// 1688.
    pub(super) ali1688_url: String,
    /// Taobao.
    pub(super) taobao_url: String,
    /// Where pictures may be fetched: host names, with commas.
    pub(super) image_hosts: String,
}

/// Where the functions ask: at the URLs that were chosen, else at the simulated marketplaces, which are started with
/// their image host unless they run.
pub(super) async fn urls(options: &Options) -> anyhow::Result<(Marketplaces, Option<Simulated>)> {
    let chosen = |url: &Option<String>| url.clone().filter(|url| !url.is_empty());
    let (ali1688, taobao) = (chosen(&options.ali1688_url), chosen(&options.taobao_url));
    let more = options.image_hosts.as_deref().unwrap_or_default();
    // What cannot be asked fails before anything is started.
    image_hosts(more, None)?;
    let simulated = match (&ali1688, &taobao) {
        (Some(_), Some(_)) => {
            step("Markets", "those that SAMPAN_1688_URL and SAMPAN_TAOBAO_URL name");
            None
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => Some(simulated::start(options).await?),
    };
    let url = simulated.as_ref().map(|simulated| simulated.marketplaces.url()).unwrap_or_default();
    let own = simulated.as_ref().map(|simulated| simulated.images.address());
    let marketplaces = Marketplaces {
        ali1688_url: ali1688.unwrap_or(url.clone()),
        taobao_url: taobao.unwrap_or(url),
        image_hosts: image_hosts(more, own)?,
    };
    Ok((marketplaces, simulated))
}

/// The hosts of pictures: the usual one, those that were named besides, and the simulated one.
fn image_hosts(more: &str, own: Option<String>) -> anyhow::Result<String> {
    let named = more.split(',').map(str::trim).filter(|host| !host.is_empty());
    let mut hosts = vec![HOST.to_owned()];
    for host in named.map(str::to_owned).chain(own) {
        let is_name = host.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-:[]".contains(letter));
        ensure!(
            is_name,
            "SAMPAN_IMAGE_HOSTS: {host} is neither the name of a host nor an address of this machine with a port"
        );
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_fetched_at_the_usual_host_at_those_that_are_named_and_at_the_simulated_one() {
        let hosts = |more: &str, own: Option<&str>| image_hosts(more, own.map(str::to_owned)).ok();
        assert_eq!(hosts("", None).unwrap(), "alicdn.com");
        assert_eq!(hosts("", Some("127.0.0.1:9")).unwrap(), "alicdn.com,127.0.0.1:9");
        let all = hosts("a.example, 127.0.0.1:8,, alicdn.com,[::1]:7", Some("127.0.0.1:9")).unwrap();
        assert_eq!(all, "alicdn.com,a.example,127.0.0.1:8,[::1]:7,127.0.0.1:9");
        for more in ["http://127.0.0.1:8", "a.example/x", "*.example", "a b"] {
            assert_eq!(hosts(more, None), None, "{more}");
        }
    }
}
