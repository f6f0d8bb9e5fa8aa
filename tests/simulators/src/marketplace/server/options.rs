//! What a simulated marketplace has and how it behaves.

use domain::{Marketplace, ShopId};
use protocols::marketplace::{Access, Account, Ali1688Access, TaobaoAccess};
use secrecy::SecretString;

use super::super::product::PICTURE_HOST;
use super::super::truth::{Disturbance, Ties};
use super::faults::Limits;

/// Products of the demo's shop: a small catalogue.
const DEMO_PRODUCTS: usize = 24;

/// In which offset 1688 writes times. The vendor's own samples have two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offsets {
    /// Always China's.
    China,
    /// California's for some trades.
    ByTrade,
    /// California's in some answers, so that one instant is written in two ways.
    #[default]
    ByAnswer,
}

/// One shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopOptions {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// The name that tests and operators have for it.
    pub shop: String,
    /// The app's public key.
    pub app_key: String,
    /// What its requests are signed with.
    pub app_secret: String,
    /// `access_token` at 1688, `session` at Taobao.
    pub token: String,
    /// The member id at 1688, the seller's nick at Taobao.
    pub owner: String,
    /// How many trades it has.
    pub orders: usize,
    /// How many products it sells. At 1688 alone.
    pub products: usize,
    /// Which ones.
    pub seed: u64,
    /// Over how many days they were made.
    pub days_back: u32,
}

impl ShopOptions {
    /// The shop `demo` of the local stack's secrets document.
    pub fn demo(marketplace: Marketplace, orders: usize) -> Self {
        let (app_key, app_secret, token, owner, seed) = match marketplace {
            Marketplace::Alibaba1688 => {
                ("1000000", "test_app_secret_0123456789abcdef", "local-access-token", "b2b-665170100", 1)
            }
            Marketplace::Taobao => ("2000000", "local-stack-only-taobao-secret", "local-session", "sampan-demo", 2),
        };
        Self {
            marketplace,
            shop: "demo".to_owned(),
            app_key: app_key.to_owned(),
            app_secret: app_secret.to_owned(),
            token: token.to_owned(),
            owner: owner.to_owned(),
            orders,
            products: match marketplace {
                Marketplace::Alibaba1688 => DEMO_PRODUCTS,
                Marketplace::Taobao => 0,
            },
            seed,
            days_back: 30,
        }
    }

    /// What it is asked with.
    pub fn account(&self) -> Account {
        let (app_key, app_secret) = (self.app_key.clone(), SecretString::from(self.app_secret.as_str()));
        let token = SecretString::from(self.token.as_str());
        let access = match self.marketplace {
            Marketplace::Alibaba1688 => Access::Ali1688(Ali1688Access {
                app_key,
                app_secret,
                access_token: token,
                member_id: self.owner.clone(),
            }),
            Marketplace::Taobao => {
                Access::Taobao(TaobaoAccess { app_key, app_secret, session: token, seller_nick: self.owner.clone() })
            }
        };
        Account { shop: ShopId::new(self.shop.as_str()).expect("a shop of a plain name"), access }
    }
}

/// A server's shops, and how it behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it listens on the loopback; 0 for any free port.
    pub port: u16,
    /// Its shops.
    pub shops: Vec<ShopOptions>,
    /// Decides what happens by chance.
    pub seed: u64,
    /// What changes at each call, in the shop that is asked.
    pub disturbance: Disturbance,
    /// How many changes there are in each shop besides, a minute.
    pub changes_per_minute: u32,
    /// Of a hundred calls, so many fail by chance.
    pub faults_percent: u8,
    /// How often an app may call.
    pub limits: Limits,
    /// In which order lists have trades of one second.
    pub ties: Ties,
    /// In which offset 1688 writes times.
    pub offsets: Offsets,
    /// Of a hundred messages, so many are lost.
    pub notices_lost_percent: u8,
    /// Where the pictures of products are: a URL without a slash at its end.
    pub picture_host: String,
}

impl Options {
    /// The shops `demo` of both marketplaces, with so many trades each. Nothing changes and nothing fails by itself.
    pub fn demo(orders: usize) -> Self {
        let shops = Marketplace::ALL.map(|marketplace| ShopOptions::demo(marketplace, orders)).to_vec();
        Self {
            port: 0,
            shops,
            seed: 1,
            disturbance: Disturbance::NONE,
            changes_per_minute: 0,
            faults_percent: 0,
            limits: Limits::NONE,
            ties: Ties::ById,
            offsets: Offsets::ByAnswer,
            notices_lost_percent: 0,
            picture_host: PICTURE_HOST.to_owned(),
        }
    }
}

impl Default for Options {
    /// Two shops of 200 trades.
    fn default() -> Self {
        Self::demo(200)
    }
}
