//! The stack under test, and how its counterparts speak to it.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::{Context, ensure};
use aws_sdk_sqs::types::QueueAttributeName;
use domain::{Marketplace, PaymentEvent, ShopId, SourceName, UnixMillis};
use protocols::Channel;
use reqwest::Method;
use sampan::delivery::Delivery;
use sampan::http::{Answer, Request};
use sampan::local::{self, Options, Running};
use sampan::samples;
use sampan::stack::Session;
use serde_json::{Value, json};
use simulators::gateway::{self, Keys, Person};
use simulators::images::{self, Host, Wild};
use simulators::marketplace;
use simulators::web::{Page, Server};

use crate::front::Front;
use crate::localstack;

/// How long a test waits for what the queue and the writer do, in milliseconds. A bound, not a measure.
const WAIT_MS_MAX: u64 = 120_000;
/// Between two looks, in milliseconds.
const LOOK_MS: u64 = 50;

/// Where the simulated ECB publishes its file.
pub const RATES_PATH: &str = "/eurofxref-daily.xml";

/// Orders of the simulated Taobao shop, and of the simulated 1688 shop, which is asked for each by itself.
const ORDERS: [usize; 2] = [5_000, 300];
/// A shop of the stack's secrets that has the token of another.
pub const MISTAKEN_SHOP: &str = "mistaken";

/// The stack of a run.
pub struct Stage {
    /// The simulated marketplaces, with the keys that the stack's secrets know.
    pub marketplaces: marketplace::server::Server,
    /// The simulated host of their products' pictures, which the stack may ask.
    pub images: Host,
    /// The simulated gateways, with the keys that the stack's secrets know.
    pub gateways: Keys,
    /// The simulated ECB.
    pub rates: Server,
    pub session: Session,
    pub api: Front,
    pub secrets: Secrets,
    pub directory: PathBuf,
    /// Tells this run's names from those of another.
    pub run: String,
    /// Of the local stack; none of one on LocalStack.
    running: Mutex<Option<Running>>,
}

/// The file of the stack's secrets, in its directory.
pub const SECRETS_FILE: &str = "stage-secrets.json";

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Stage {
    /// Starts a stack of its own, in a directory of its own below `target`.
    pub async fn set() -> anyhow::Result<Self> {
        let run = now().get().to_string();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stack-{run}"));
        let rates = Server::start().await?;
        // Larger than the larger thumbnail, so that both are made smaller.
        let wild = Some(Wild { size: (1_000, 750), bytes: (0, 0), ..Wild::small() });
        let images = Host::start(images::Options { wild, ..images::Options::default() }).await?;
        let marketplaces = marketplace::server::Server::start(marketplaces(&images)).await?;
        write_secrets(&directory)?;
        let options = options(&directory, &rates, &marketplaces, &images);
        let (session, api, running) = match localstack::endpoint() {
            None => {
                let running = local::up(&options).await?;
                let session = Session::local(running.stack.clone())?;
                let api = Front::Http(session.api()?);
                (session, api, Some(running))
            }
            Some(endpoint) => {
                let stack = localstack::up(&endpoint, &name(&run), &directory, said(&options)).await?;
                let session = Session::local(stack.clone())?;
                (session, Front::of_functions(Session::local(stack)?), None)
            }
        };
        let secrets = session.secrets().await?;
        let stage = Self {
            marketplaces,
            images,
            gateways: Keys::local(),
            rates,
            session,
            api,
            secrets,
            directory,
            run,
            running: Mutex::new(running),
        };
        stage.publish_rates();
        Ok(stage)
    }

    /// The options that it was set with.
    pub fn options(&self) -> Options {
        options(&self.directory, &self.rates, &self.marketplaces, &self.images)
    }

    /// Publishes the example rates, as of today.
    pub fn publish_rates(&self) {
        let file = include_str!("../../infra/local/rates.xml");
        let (head, rest) = file.split_once("time='").unwrap();
        let (_, tail) = rest.split_once('\'').unwrap();
        let today = now().to_rfc3339();
        let today = today.split('T').next().unwrap();
        self.rates.publish(RATES_PATH, Page::of(format!("{head}time='{today}'{tail}")));
    }

    /// Posts the callback that tells of a movement, as its gateway signs it now.
    pub async fn pay(&self, event: &PaymentEvent) -> anyhow::Result<Answer> {
        self.pay_of(event, None).await
    }

    /// The same, with a person in it.
    pub async fn pay_of(&self, event: &PaymentEvent, person: Option<&Person>) -> anyhow::Result<Answer> {
        let sent = gateway::callback(&self.gateways, event, person, now());
        let sent = sent.with_context(|| format!("a gateway cannot tell of {event:?}"))?;
        self.api.send(samples::request(sent)).await
    }

    /// Stops it, and makes sure that nobody listens there any more.
    pub async fn strike(&self) -> anyhow::Result<()> {
        if let Some(endpoint) = localstack::endpoint() {
            localstack::down(&endpoint, &name(&self.run)).await?;
        } else {
            drop(self.running.lock().unwrap().take());
            local::down(&self.directory).await?;
            let answer = self.api.send(get("/")).await;
            ensure!(answer.is_err(), "something still answers at {}", self.session.stack.api_url);
        }
        std::fs::remove_dir_all(&self.directory).context("cannot remove the stack's directory")
    }

    /// Posts a push to the shop `demo`, signed.
    pub async fn push(&self, message: &Value) -> anyhow::Result<Answer> {
        self.deliver(Channel::Ali1688(ShopId::new("demo")?), message.to_string(), String::new()).await
    }

    /// Posts a status event of the warehouse, signed.
    pub async fn warehouse(&self, id: &str, order: &str, status: &str, at: UnixMillis) -> anyhow::Result<Answer> {
        let body = json!({"type": "order.status", "timestamp": at.to_rfc3339(),
                          "data": {"order_id": order, "status": status}});
        self.deliver(Channel::Source(SourceName::new("warehouse")?), body.to_string(), id.to_owned()).await
    }

    async fn deliver(&self, channel: Channel, text: String, id: String) -> anyhow::Result<Answer> {
        self.api.send(Delivery { channel, text, id }.sign(&self.secrets, now())?).await
    }

    /// Asks as a client, with a nonce of its own.
    pub async fn ask(&self, method: Method, path: &str, body: &str) -> anyhow::Result<Answer> {
        self.api.send(self.signed(method, path, body, &nonce())?).await
    }

    /// A client's signed request.
    pub fn signed(&self, method: Method, path: &str, body: &str, nonce: &str) -> anyhow::Result<Request> {
        let (key, secret) = self.secrets.first_client().context("the stack has no client")?;
        let client = (key.as_str(), secret);
        Ok(Request::of_client(method, path.to_owned(), body.as_bytes().to_vec(), client, (nonce, now())))
    }

    /// An order as clients read it, once it is so.
    pub async fn order_when(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        for _ in 0..WAIT_MS_MAX / LOOK_MS {
            let answer = self.ask(Method::GET, &format!("/orders/{id}"), "").await?;
            last = serde_json::from_slice(&answer.body)?;
            if answer.status == 200 && is_so(&last) {
                return Ok(last);
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
        anyhow::bail!("order {id} never came to it: {last}")
    }

    /// Waits until no event waits or is being written.
    pub async fn queue_is_empty(&self) -> anyhow::Result<()> {
        self.is_empty("events").await
    }

    /// Waits until a queue holds nothing, and nothing of it is at work.
    pub async fn is_empty(&self, queue: &str) -> anyhow::Result<()> {
        for _ in 0..WAIT_MS_MAX / LOOK_MS {
            if self.messages(queue).await? == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
        anyhow::bail!("the queue of {queue} never emptied")
    }

    /// How many messages a queue holds, those that are handed out included.
    pub async fn messages(&self, queue: &str) -> anyhow::Result<u64> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let call = self.session.sqs().get_queue_attributes().queue_url(self.session.stack.queue(queue)?);
        let answer = call.set_attribute_names(Some(names.to_vec())).send().await?;
        let counts = answer.attributes.unwrap_or_default();
        Ok(counts.values().filter_map(|count| count.parse::<u64>().ok()).sum())
    }
}

/// The options of a stack in that directory, with its rates from the simulated ECB, its marketplaces simulated, and the
/// host of their pictures.
fn options(directory: &Path, rates: &Server, marketplaces: &marketplace::server::Server, images: &Host) -> Options {
    Options {
        rates_url: Some(format!("{}{RATES_PATH}", rates.url)),
        ali1688_url: Some(marketplaces.url.clone()),
        taobao_url: Some(marketplaces.url.clone()),
        image_hosts: Some(images.address.to_string()),
        secrets: secrets_file(directory),
        ..Options::isolated(&root(), directory.to_owned())
    }
}

fn secrets_file(directory: &Path) -> PathBuf {
    directory.join(SECRETS_FILE)
}

/// What a stack of a run is called where it is not alone.
fn name(run: &str) -> String {
    format!("sampan-{run}")
}

/// The same options, as parameters of the template.
fn said(options: &Options) -> Vec<String> {
    let urls = [
        ("RatesUrl", &options.rates_url),
        ("Ali1688Url", &options.ali1688_url),
        ("TaobaoUrl", &options.taobao_url),
        ("ImageHosts", &options.image_hosts),
    ];
    let urls = urls.into_iter().filter_map(|(name, url)| Some(format!("{name}={}", url.as_ref()?)));
    urls.chain(["SweepSchedules=DISABLED", "RequireTls=false"].map(str::to_owned)).collect()
}

/// The repository's secrets, with the mistaken shop besides.
fn write_secrets(directory: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join("infra/local/secrets.json"))?;
    let mut document: Value = serde_json::from_str(&text)?;
    let taobao = document.pointer_mut("/marketplaces/taobao").context("a taobao shop")?;
    let mut mistaken = taobao["demo"].clone();
    mistaken["seller_nick"] = "somebody-else".into();
    taobao[MISTAKEN_SHOP] = mistaken;
    std::fs::create_dir_all(directory)?;
    std::fs::write(secrets_file(directory), serde_json::to_string_pretty(&document)?)?;
    Ok(())
}

/// Two shops: orders of the last month, of which nobody pushed; and products, whose pictures are at this host.
fn marketplaces(images: &Host) -> marketplace::server::Options {
    let mut options = marketplace::server::Options::demo(0);
    options.picture_host.clone_from(&images.url);
    for shop in &mut options.shops {
        shop.orders = match shop.marketplace {
            Marketplace::Taobao => ORDERS[0],
            Marketplace::Alibaba1688 => ORDERS[1],
        };
    }
    options
}

/// A request that nobody signed.
pub fn get(path: &str) -> Request {
    Request { method: Method::GET, path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
}

pub fn now() -> UnixMillis {
    SystemClock.now()
}

/// A nonce that no other request has.
pub fn nonce() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// A status push: order, 1688's word, time, message id.
pub fn status_push(trade: u64, word: &str, at: UnixMillis, id: u64) -> Value {
    json!({"bizKey": "elsewhere", "gmtBorn": at.get(), "msgId": id, "type": "ORDER_BUYER_VIEW_ORDER_PAY",
           "userInfo": "b2b-665170100", "data": {"orderId": trade, "currentStatus": word}})
}

/// The body that links trades of the shop `demo`.
pub fn links(trades: &[u64]) -> String {
    let link = |trade: &u64| json!({"marketplace": "1688", "shop": "demo", "trade_id": trade.to_string()});
    json!({"trades": trades.iter().map(link).collect::<Vec<_>>()}).to_string()
}

/// A trade id that no other test has.
pub fn fresh_trade() -> u64 {
    fastrand::u64(1_000_000_000_000_000_000..9_000_000_000_000_000_000)
}
