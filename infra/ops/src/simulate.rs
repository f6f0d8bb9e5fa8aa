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
    let SimulateCommand::Marketplace(arguments) = command;
    let server = Server::start(arguments.options()).await;
    let server = server.with_context(|| format!("cannot listen on port {}", arguments.port))?;
    println!("1688 and Taobao are simulated at {}", server.url);
    pending().await
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
        self.ask(self.client.get(of)).await.context("cannot read what the simulated marketplace has")
    }

    /// Lets so many changes happen, spread over the last minutes. How many there were.
    pub async fn play(
        &self,
        marketplace: Marketplace,
        shop: &ShopId,
        (changes, minutes): (u32, u32),
    ) -> anyhow::Result<u64> {
        let of = format!("{}&changes={changes}&minutes={minutes}", self.of("play", marketplace, shop));
        let played: Played = self.ask(self.client.post(of)).await.context("the simulated marketplace plays nothing")?;
        Ok(played.changes)
    }

    fn of(&self, what: &str, marketplace: Marketplace, shop: &ShopId) -> String {
        format!("{}/simulator/{what}?marketplace={}&shop={shop}", self.url, marketplace.as_str())
    }

    async fn ask<T: DeserializeOwned>(&self, call: reqwest::RequestBuilder) -> anyhow::Result<T> {
        let answer = call.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            bail!("it answers {status}");
        }
        Ok(serde_json::from_slice(&body)?)
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
}
