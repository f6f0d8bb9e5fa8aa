//! `sampan simulate`: marketplaces that are not there, played on this machine; and asking them what is true.

use std::future::pending;
use std::time::Duration;

use adapters::ports::TradeStore;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use domain::{Marketplace, ShopId, TradeFacts, TradeId, TradeKey, UnixMillis};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use simulators::images::{self, Host, Wild};
use simulators::marketplace::PICTURE_HOST;
use simulators::marketplace::server::{Options, Server, ShopOptions};

/// The routes of a simulator answer from memory.
const REQUEST_MS_MAX: u64 = 10_000;
/// Trades that are read at once to compare them.
const READS_AT_ONCE_MAX: usize = 16;

/// What to play.
#[derive(Debug, Subcommand)]
pub enum SimulateCommand {
    /// 1688 and Taobao, with a shop `demo` each, until interrupted
    Marketplace(Arguments),
    /// A host of pictures, until interrupted
    Images(ImagesArguments),
}

/// How the image host is.
#[derive(Debug, Args)]
#[command(after_help = "\
Below /img/ it has a picture at every path, a JPEG unless the name ends in .png or .webp. Each has an ETag and a
Last-Modified, and is the same again until it is changed.

  SAMPAN_IMAGE_HOSTS=127.0.0.1:PORT make up               a local stack that may ask it

For you, not for the stack:
  GET  URL/simulator/state                                connections, requests, bytes, the most in a second
  POST URL/simulator/change?percent=10                    a tenth of the pictures that were asked for are others now
  POST URL/simulator/change?path=/img/1.jpg               this one is
  POST URL/simulator/conduct?below=/img/1&name=503        how what is below a path is answered; a strange name tells all
  POST URL/simulator/conduct                              as it should be
  POST URL/simulator/forget                               counting begins anew")]
pub struct ImagesArguments {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Which pictures: the same seed makes the same ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Of a hundred requests, so many fail by chance, in a way that is over at the next one
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    faults_percent: u8,
}

/// How the marketplaces are.
#[derive(Debug, Args)]
#[command(after_help = "\
It answers as both marketplaces do: signed calls, lists that change while they are read, details, Taobao's batches and
messages. The shops have the keys and tokens of infra/local/secrets.json; what is signed otherwise is refused. Everything
is in memory and is forgotten at the end.

  SAMPAN_1688_URL=URL SAMPAN_TAOBAO_URL=URL make up      a local stack that asks it

For you, not for the stack:
  GET  URL/simulator/state                                how many orders, changes, messages and calls there are
  GET  URL/simulator/truth?marketplace=1688&shop=demo     every order: its status and when it was modified
  GET  URL/simulator/products?marketplace=1688&shop=demo  every product: where each of its pictures is
  POST URL/simulator/play?marketplace=1688&shop=demo&changes=20&minutes=10
                                                          twenty changes, spread over the last ten minutes
  POST URL/simulator/touch?marketplace=1688&shop=demo&products=5
                                                          five products change, one way or another")]
pub struct Arguments {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Orders of each shop, made within the last 30 days
    #[arg(long, value_name = "ORDERS", default_value_t = 200)]
    orders: usize,
    /// Which orders: the same seed makes the same ones, relative to the moment of the start
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Changes of each shop that happen by themselves: orders are made, paid, sent, refunded, deleted
    #[arg(long, value_name = "CHANGES", default_value_t = 0)]
    changes_per_minute: u32,
    /// Products of the shop at 1688
    #[arg(long, value_name = "PRODUCTS", default_value_t = 24)]
    products: usize,
    /// Where the pictures of the products are
    #[arg(long, value_name = "URL", default_value = PICTURE_HOST)]
    image_base: String,
}

impl Arguments {
    fn options(&self) -> Options {
        let Self { port, orders, seed, changes_per_minute, products, ref image_base } = *self;
        let demo = Options::demo(orders);
        let own = |(nth, shop): (u64, ShopOptions)| ShopOptions {
            seed: seed.wrapping_add(nth),
            products: if shop.products > 0 { products } else { 0 },
            ..shop
        };
        let shops = (0..).zip(demo.shops.clone()).map(own).collect();
        Options { port, shops, seed, changes_per_minute, picture_host: image_base.clone(), ..demo }
    }
}

/// Plays until it is interrupted.
pub async fn run(command: SimulateCommand) -> anyhow::Result<()> {
    match command {
        SimulateCommand::Marketplace(arguments) => {
            let server = Server::start(arguments.options()).await;
            let server = server.with_context(|| format!("cannot listen on port {}", arguments.port))?;
            println!("1688 and Taobao are simulated at {}", server.url);
            pending().await
        }
        SimulateCommand::Images(ImagesArguments { port, seed, faults_percent }) => {
            let wild = Some(Wild::small());
            let host = Host::start(images::Options { port, seed, wild, faults_percent, ..images::Options::default() });
            let host = host.await.with_context(|| format!("cannot listen on port {port}"))?;
            println!("an image host is simulated at {}", host.url);
            pending().await
        }
    }
}

/// What a simulated image host counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Counted {
    /// Requests.
    pub requests: u64,
    /// Those that said what the client has.
    pub conditional: u64,
    /// Those that were answered with 304.
    pub not_modified: u64,
    /// Bytes of pictures that left.
    pub body_bytes: u64,
    /// The most bytes that left within any second.
    pub worst_second_bytes: u64,
}

/// A simulated image host that runs somewhere.
#[derive(Debug)]
pub struct SimulatedImages {
    client: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Changed {
    changes: u64,
}

impl SimulatedImages {
    /// That at this URL.
    pub fn new(url: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_millis(REQUEST_MS_MAX)).build()?;
        Ok(Self { client, url })
    }

    /// The path of a picture that is there; `None` when it is elsewhere.
    pub fn path<'a>(&self, url: &'a str) -> Option<&'a str> {
        let path = url.strip_prefix(&self.url).filter(|path| path.starts_with('/'))?;
        Some(path.split_once('?').map_or(path, |(path, _)| path))
    }

    /// What it counted since it was last told to forget.
    pub async fn counted(&self) -> anyhow::Result<Counted> {
        answer_of(self.client.get(self.of("state")))
            .await
            .context("the simulated image host does not say what it counted")
    }

    /// Lets it count anew.
    pub async fn forget(&self) -> anyhow::Result<()> {
        let forgot = answer_of::<Counted>(self.client.post(self.of("forget")));
        forgot.await.map(drop).context("the simulated image host does not forget")
    }

    /// Makes so many of a hundred pictures others. How many that were.
    pub async fn change_some(&self, percent: u8) -> anyhow::Result<u64> {
        self.change(&format!("percent={percent}")).await
    }

    /// Makes the picture at this path another.
    pub async fn change_one(&self, path: &str) -> anyhow::Result<u64> {
        self.change(&format!("path={path}")).await
    }

    async fn change(&self, what: &str) -> anyhow::Result<u64> {
        let changed: Changed = answer_of(self.client.post(format!("{}?{what}", self.of("change")))).await?;
        Ok(changed.changes)
    }

    /// From now on, answers what is below a path so.
    pub async fn behave(&self, below: &str, name: &str) -> anyhow::Result<()> {
        let said = format!("{}?below={below}&name={name}", self.of("conduct"));
        answer_of::<serde_json::Value>(self.client.post(said)).await.map(drop)
    }

    /// From now on, answers everything as it should be.
    pub async fn mend(&self) -> anyhow::Result<()> {
        answer_of::<serde_json::Value>(self.client.post(self.of("conduct"))).await.map(drop)
    }

    fn of(&self, what: &str) -> String {
        format!("{}/simulator/{what}", self.url)
    }
}

/// What a simulator answers.
async fn answer_of<T: DeserializeOwned>(call: reqwest::RequestBuilder) -> anyhow::Result<T> {
    let answer = call.send().await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    if !status.is_success() {
        bail!("it answers {status}");
    }
    Ok(serde_json::from_slice(&body)?)
}

/// Simulated marketplaces that run somewhere.
#[derive(Debug)]
pub struct Simulated {
    client: reqwest::Client,
    url: String,
}

/// An order as the marketplace has it.
#[derive(Debug, Clone, Deserialize)]
pub struct TrueTrade {
    /// The marketplace's id of it.
    pub trade_id: TradeId,
    /// The marketplace's word for where it stands.
    pub status: String,
    /// When it was last modified (RFC 3339).
    modified: String,
}

impl TrueTrade {
    /// Whether this is what we have of it.
    fn is_told_by(&self, facts: &TradeFacts) -> bool {
        let modified = UnixMillis::from_rfc3339(&self.modified).ok();
        // A marketplace knows no finer time than a second; a report counts for the whole of it.
        let is_it = |at: UnixMillis| Some(at) == modified.map(UnixMillis::end_of_second);
        facts.statuses.current().is_some_and(|report| report.raw.as_str() == self.status && is_it(report.at))
    }
}

#[derive(Deserialize)]
struct Played {
    changes: u64,
}

/// A shop there beside ours here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Orders that the marketplace has.
    pub there: usize,
    /// Those of them that something is known of here.
    pub here: usize,
    /// Those that are not here, or not as they are there.
    pub differing: Vec<TradeId>,
}

impl Simulated {
    /// Those at that URL.
    pub fn new(url: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_millis(REQUEST_MS_MAX)).build()?;
        Ok(Self { client, url })
    }

    /// Every order of a shop.
    pub async fn truth(&self, marketplace: Marketplace, shop: &ShopId) -> anyhow::Result<Vec<TrueTrade>> {
        let of = self.of("truth", marketplace, shop);
        answer_of(self.client.get(of)).await.context("cannot read what the simulated marketplace has")
    }

    /// Lets so many changes happen, spread over the last minutes. How many there were.
    pub async fn play(
        &self,
        marketplace: Marketplace,
        shop: &ShopId,
        (changes, minutes): (u32, u32),
    ) -> anyhow::Result<u64> {
        let of = format!("{}&changes={changes}&minutes={minutes}", self.of("play", marketplace, shop));
        let played: Played =
            answer_of(self.client.post(of)).await.context("the simulated marketplace plays nothing")?;
        Ok(played.changes)
    }

    fn of(&self, what: &str, marketplace: Marketplace, shop: &ShopId) -> String {
        format!("{}/simulator/{what}?marketplace={}&shop={shop}", self.url, marketplace.as_str())
    }

    /// What a shop has there, beside what is kept of it here.
    pub async fn beside(
        &self,
        trades: &impl TradeStore,
        marketplace: Marketplace,
        shop: &ShopId,
    ) -> anyhow::Result<Beside> {
        let truth = self.truth(marketplace, shop).await?;
        let there = truth.len();
        let read = async |trade: TrueTrade| {
            let key = TradeKey { marketplace, shop: shop.clone(), trade_id: trade.trade_id.clone() };
            let facts = trades.read(&key).await?;
            anyhow::Ok((!facts.is_empty(), (!trade.is_told_by(&facts)).then_some(trade.trade_id)))
        };
        let read: Vec<(bool, Option<TradeId>)> =
            futures::stream::iter(truth).map(read).buffer_unordered(READS_AT_ONCE_MAX).try_collect().await?;
        let here = read.iter().filter(|(is_here, _)| *is_here).count();
        Ok(Beside { there, here, differing: read.into_iter().filter_map(|(_, differing)| differing).collect() })
    }
}

#[cfg(test)]
mod tests {
    use adapters::testing::MemoryTrades;
    use domain::{MessageId, RawStatus, TradeReport, TradeStatus};

    use super::*;

    fn arguments() -> Arguments {
        let image_base = PICTURE_HOST.to_owned();
        Arguments { port: 0, orders: 3, seed: 7, changes_per_minute: 0, products: 24, image_base }
    }

    #[test]
    fn a_seed_of_its_own_makes_other_orders_and_one_each_of_the_two_shops() {
        let seeds = |arguments: Arguments| arguments.options().shops.iter().map(|shop| shop.seed).collect::<Vec<_>>();
        assert_eq!(seeds(arguments()), [7, 8]);
        let usual = Arguments { seed: 1, orders: 200, ..arguments() }.options();
        assert_eq!(usual, Options::default());
    }

    #[tokio::test]
    async fn what_is_there_and_not_here_or_otherwise_here_differs() {
        let server = Server::start(arguments().options()).await.unwrap();
        let (simulated, trades) = (Simulated::new(server.url.clone()).unwrap(), MemoryTrades::default());
        let (marketplace, shop) = (Marketplace::Taobao, ShopId::new("demo").unwrap());
        let beside = simulated.beside(&trades, marketplace, &shop).await.unwrap();
        assert_eq!((beside.there, beside.here, beside.differing.len()), (3, 0, 3));
        for trade in simulated.truth(marketplace, &shop).await.unwrap() {
            let key = TradeKey { marketplace, shop: shop.clone(), trade_id: trade.trade_id };
            let report = TradeReport {
                status: TradeStatus::Shipped,
                at: UnixMillis::from_rfc3339(&trade.modified).unwrap().end_of_second(),
                id: MessageId::new("1").unwrap(),
                raw: RawStatus::new(trade.status).unwrap(),
            };
            trades.report(&key, &[report]).await.unwrap();
        }
        let beside = simulated.beside(&trades, marketplace, &shop).await.unwrap();
        assert_eq!((beside.there, beside.here, beside.differing.len()), (3, 3, 0));
        let changes = simulated.play(marketplace, &shop, (1, 0)).await.unwrap();
        assert!(changes >= 1);
        assert!(simulated.play(marketplace, &ShopId::new("stranger").unwrap(), (1, 0)).await.is_err());
    }

    #[tokio::test]
    async fn an_image_host_is_told_from_outside_what_to_do_and_tells_what_it_counted() {
        let host =
            Host::start(images::Options { wild: Some(Wild::small()), ..images::Options::default() }).await.unwrap();
        let simulated = SimulatedImages::new(host.url.clone()).unwrap();
        let url = host.url_of("/img/1.jpg?a=1");
        assert_eq!(
            (simulated.path(&url), simulated.path("https://cbu01.alicdn.com/1.jpg")),
            (Some("/img/1.jpg"), None)
        );
        let get = async || reqwest::get(&url).await.unwrap().bytes().await.unwrap();
        let before = get().await;
        assert_eq!(simulated.change_one("/img/1.jpg").await.unwrap(), 1);
        assert_ne!(get().await, before);
        simulated.behave("/img/1", "html-as-jpeg").await.unwrap();
        assert!(get().await.starts_with(b"<!DOCTYPE html>"));
        simulated.mend().await.unwrap();
        assert!(get().await.starts_with(b"\xff\xd8"));
        assert_eq!(simulated.change_some(100).await.unwrap(), 1);
        let counted = simulated.counted().await.unwrap();
        assert_eq!((counted.requests, counted.conditional, counted.not_modified), (4, 0, 0));
        assert!(counted.body_bytes > 0 && counted.worst_second_bytes >= counted.body_bytes / 4);
        simulated.forget().await.unwrap();
        assert_eq!(simulated.counted().await.unwrap().requests, 0);
        assert!(simulated.behave("/", "unheard-of").await.is_err());
    }
}
