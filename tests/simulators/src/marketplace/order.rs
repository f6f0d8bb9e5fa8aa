//! One trade as it is, and its life: what may happen to it next.
//!
//! Times are whole seconds, because neither marketplace knows finer ones; money is in fen.

use std::hash::{Hash, Hasher};

use domain::{AfterSaleState, Marketplace, TradeStatus, UnixMillis};
use fastrand::Rng;
use sha2::{Digest, Sha256};

/// Where a trade stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Made, not paid.
    Unpaid,
    /// Paid, not sent.
    Paid,
    /// Some lines were sent.
    PartlyShipped,
    /// All was sent.
    Shipped,
    /// It was received.
    Signed,
    /// The seller has the money.
    Finished,
    /// Called off before it was paid.
    ClosedUnpaid,
    /// Called off after it was paid: all of it went back.
    Closed,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Unpaid,
        Self::Paid,
        Self::PartlyShipped,
        Self::Shipped,
        Self::Signed,
        Self::Finished,
        Self::ClosedUnpaid,
        Self::Closed,
    ];

    /// The marketplace's word for it. 1688 keeps `waitsellersend` until all was sent.
    pub const fn word(self, marketplace: Marketplace) -> &'static str {
        match (marketplace, self) {
            (Marketplace::Alibaba1688, Self::Unpaid) => "waitbuyerpay",
            (Marketplace::Alibaba1688, Self::Paid | Self::PartlyShipped) => "waitsellersend",
            (Marketplace::Alibaba1688, Self::Shipped) => "waitbuyerreceive",
            (Marketplace::Alibaba1688, Self::Signed) => "confirm_goods",
            (Marketplace::Alibaba1688, Self::Finished) => "success",
            (Marketplace::Alibaba1688, Self::ClosedUnpaid) => "cancel",
            (Marketplace::Alibaba1688, Self::Closed) => "terminated",
            (Marketplace::Taobao, Self::Unpaid) => "WAIT_BUYER_PAY",
            (Marketplace::Taobao, Self::Paid) => "WAIT_SELLER_SEND_GOODS",
            (Marketplace::Taobao, Self::PartlyShipped) => "SELLER_CONSIGNED_PART",
            (Marketplace::Taobao, Self::Shipped) => "WAIT_BUYER_CONFIRM_GOODS",
            (Marketplace::Taobao, Self::Signed) => "TRADE_BUYER_SIGNED",
            (Marketplace::Taobao, Self::Finished) => "TRADE_FINISHED",
            (Marketplace::Taobao, Self::ClosedUnpaid) => "TRADE_CLOSED_BY_TAOBAO",
            (Marketplace::Taobao, Self::Closed) => "TRADE_CLOSED",
        }
    }

    /// The common status. 1688 has no word for goods of which a part was sent: the lines tell.
    pub const fn common(self) -> TradeStatus {
        match self {
            Self::Unpaid => TradeStatus::AwaitingPayment,
            Self::Paid => TradeStatus::AwaitingShipment,
            Self::PartlyShipped => TradeStatus::PartlyShipped,
            Self::Shipped => TradeStatus::Shipped,
            Self::Signed => TradeStatus::Signed,
            Self::Finished => TradeStatus::Finished,
            Self::ClosedUnpaid | Self::Closed => TradeStatus::Closed,
        }
    }

    /// Whether nothing but a refund or a remark comes after it.
    pub const fn is_end(self) -> bool {
        match self {
            Self::Finished | Self::ClosedUnpaid | Self::Closed => true,
            Self::Unpaid | Self::Paid | Self::PartlyShipped | Self::Shipped | Self::Signed => false,
        }
    }

    /// Seconds until the next thing happens, at least and at most.
    const fn rests(self) -> std::ops::Range<i64> {
        const HOUR: i64 = 3_600;
        match self {
            Self::Unpaid => 60..HOUR,
            Self::Paid => HOUR..48 * HOUR,
            Self::PartlyShipped => HOUR..24 * HOUR,
            Self::Shipped => 24 * HOUR..120 * HOUR,
            Self::Signed => 24 * HOUR..240 * HOUR,
            Self::Finished | Self::ClosedUnpaid | Self::Closed => HOUR..24 * HOUR,
        }
    }
}

/// Where a refund case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaseStage {
    /// The buyer asks.
    Requested,
    /// The seller said no.
    Refused,
    /// The seller agreed, the buyer has to send the goods back.
    AwaitingReturn,
    /// The goods are on their way back.
    Returning,
    /// The money went back.
    Refunded,
    /// Called off.
    Closed,
}

impl CaseStage {
    /// The marketplace's word for it, on a line.
    pub const fn word(self, marketplace: Marketplace) -> &'static str {
        match (marketplace, self) {
            (_, Self::Requested) => "WAIT_SELLER_AGREE",
            (Marketplace::Alibaba1688, Self::Refused) => "WAIT_BUYER_MODIFY",
            (Marketplace::Alibaba1688, Self::AwaitingReturn) => "WAIT_BUYER_SEND",
            (Marketplace::Alibaba1688, Self::Returning) => "WAIT_SELLER_RECEIVE",
            (Marketplace::Alibaba1688, Self::Refunded) => "REFUND_SUCCESS",
            (Marketplace::Alibaba1688, Self::Closed) => "REFUND_CLOSED",
            (Marketplace::Taobao, Self::Refused) => "SELLER_REFUSE_BUYER",
            (Marketplace::Taobao, Self::AwaitingReturn) => "WAIT_BUYER_RETURN_GOODS",
            (Marketplace::Taobao, Self::Returning) => "WAIT_SELLER_CONFIRM_GOODS",
            (Marketplace::Taobao, Self::Refunded) => "SUCCESS",
            (Marketplace::Taobao, Self::Closed) => "CLOSED",
        }
    }

    /// The common state that the word stands for.
    pub const fn common(self) -> AfterSaleState {
        match self {
            Self::Requested => AfterSaleState::Requested,
            Self::Refused => AfterSaleState::Refused,
            Self::AwaitingReturn => AfterSaleState::AwaitingReturn,
            Self::Returning => AfterSaleState::Returning,
            Self::Refunded => AfterSaleState::Refunded,
            Self::Closed => AfterSaleState::Closed,
        }
    }

    /// What may come next; nothing after an end.
    const fn next(self) -> &'static [Self] {
        match self {
            Self::Requested => &[Self::AwaitingReturn, Self::Refused, Self::Refunded, Self::Closed],
            Self::Refused => &[Self::Requested, Self::Closed],
            Self::AwaitingReturn => &[Self::Returning, Self::Closed],
            Self::Returning => &[Self::Refunded],
            Self::Refunded | Self::Closed => &[],
        }
    }
}

/// A refund case of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Case {
    /// Its number; 1688 writes `TQ` before it.
    pub id: u64,
    /// Where it stands.
    pub stage: CaseStage,
}

impl Case {
    /// The marketplace's name of it.
    pub fn name(&self, marketplace: Marketplace) -> String {
        match marketplace {
            Marketplace::Alibaba1688 => format!("TQ{}", self.id),
            Marketplace::Taobao => self.id.to_string(),
        }
    }
}

/// A line of a trade.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// Its number. At Taobao the only line of a trade has the trade's own.
    pub id: u64,
    /// The product.
    pub product: u64,
    /// Which variant of it.
    pub sku: u64,
    /// How many.
    pub quantity: u32,
    /// What one costs, in fen.
    pub price: i64,
    /// What is taken off the line, in fen.
    pub discount: i64,
    /// The number in the address of its picture.
    pub picture: u32,
    /// What it was sent under.
    pub waybill: Option<u64>,
    /// When it was sent.
    pub sent: Option<UnixMillis>,
    /// What the buyer asks back.
    pub case: Option<Case>,
}

impl Line {
    /// What it comes to, in fen, without postage.
    pub fn amount(&self) -> i64 {
        self.price * i64::from(self.quantity) - self.discount
    }

    /// What the product is called. Some names hold what a careless reader trips over.
    pub fn name(&self) -> String {
        const NAMES: [&str; 5] = [
            "夏季亚麻九分裤韩版潮流棉麻薄款修身小脚裤",
            "富光2L*6件 \"特价\" <包邮> & 正品",
            "手机壳 \u{1f4f1} 防摔\\全包",
            "保温杯 500ml",
            "Кружка #1 / mug",
        ];
        let name = usize::try_from(self.product % 5).ok().and_then(|nth| NAMES.get(nth)).copied().unwrap_or_default();
        format!("{name} {}", self.product % 1_000)
    }
}

/// What happened to a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    Created,
    Repriced,
    Paid,
    PartlyShipped,
    Shipped,
    Signed,
    Finished,
    Closed,
    /// The case of the line at this place moved.
    Case(usize),
    Remarked,
    Renamed,
}

/// A trade as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its number, of 18 digits at 1688 and 19 at Taobao: more than a double holds.
    pub id: u64,
    /// When it was made.
    pub created: UnixMillis,
    /// When it was last modified, by the marketplace's word.
    pub modified: UnixMillis,
    /// When its present state could first be read: later than `modified` where it was committed late. To the
    /// millisecond.
    pub visible_from: UnixMillis,
    /// Where it stands.
    pub stage: Stage,
    /// It stands under a word that nobody knows, until it is modified again.
    pub has_odd_word: bool,
    /// One to three.
    pub lines: Vec<Line>,
    /// For sending, in fen.
    pub postage: i64,
    /// The flag of the remark on it, 0 to 5.
    pub flag: u8,
    /// Who buys at Taobao, or sells at 1688.
    pub counterpart: u32,
    /// When it was paid.
    pub paid: Option<UnixMillis>,
    /// When all of it had left.
    pub shipped: Option<UnixMillis>,
    /// When it was received.
    pub signed: Option<UnixMillis>,
    /// When it ended.
    pub finished: Option<UnixMillis>,
}

impl Order {
    /// A new one.
    pub(super) fn new(id: u64, marketplace: Marketplace, at: UnixMillis, random: &mut Rng) -> Self {
        let lines = random.u64(1..=3);
        let line_id = |nth: u64| match marketplace {
            Marketplace::Taobao if lines == 1 => id,
            Marketplace::Taobao | Marketplace::Alibaba1688 => id + 1 + nth,
        };
        let lines = (0..lines).map(|nth| {
            let product = 540_000_000_000 + random.u64(0..2_000);
            let price = random.i64(50..20_000);
            Line {
                id: line_id(nth),
                product,
                sku: product * 10 + random.u64(0..8),
                quantity: random.u32(1..=5),
                price,
                discount: if random.u8(0..4) == 0 { random.i64(0..price) } else { 0 },
                picture: random.u32(1_000..9_000),
                waybill: None,
                sent: None,
                case: None,
            }
        });
        Self {
            id,
            created: at,
            modified: at,
            visible_from: at,
            stage: Stage::Unpaid,
            has_odd_word: false,
            lines: lines.collect(),
            postage: random.choice([0, 0, 500, 1_200]).unwrap_or_default(),
            flag: 0,
            counterpart: random.u32(0..5_000),
            paid: None,
            shipped: None,
            signed: None,
            finished: None,
        }
    }

    /// One that lived from then until it ended or `now` came.
    pub(super) fn grown(
        id: u64,
        marketplace: Marketplace,
        (created, now): (UnixMillis, UnixMillis),
        random: &mut Rng,
    ) -> Self {
        let mut order = Self::new(id, marketplace, created, random);
        let mut at = created;
        while !order.stage.is_end() {
            at = at.saturating_add_ms(random.i64(order.stage.rests()) * 1_000);
            if at > now {
                break;
            }
            order.live(at, random);
            (order.modified, order.visible_from) = (at, at);
        }
        order
    }

    /// The marketplace's word for where it stands.
    pub const fn word(&self, marketplace: Marketplace) -> &'static str {
        match (self.has_odd_word, marketplace) {
            (true, Marketplace::Alibaba1688) => "waitsomethingnew",
            (true, Marketplace::Taobao) => "WAIT_SOMETHING_NEW",
            (false, _) => self.stage.word(marketplace),
        }
    }

    /// The common status.
    pub const fn common(&self) -> TradeStatus {
        if self.has_odd_word { TradeStatus::Unrecognised } else { self.stage.common() }
    }

    /// Where one of its lines stands.
    pub fn line_stage(&self, line: &Line) -> Stage {
        match (line.case.map(|case| case.stage), self.stage) {
            (Some(CaseStage::Refunded), _) => Stage::Closed,
            (_, Stage::PartlyShipped) if line.waybill.is_some() => Stage::Shipped,
            (_, Stage::PartlyShipped) => Stage::Paid,
            (_, stage) => stage,
        }
    }

    /// The lines without postage, in fen.
    pub fn goods(&self) -> i64 {
        self.lines.iter().map(Line::amount).sum()
    }

    /// What the buyer pays in all, in fen.
    pub fn total(&self) -> i64 {
        self.goods() + self.postage
    }

    /// What the seller received, in fen: all of it once the trade is finished.
    pub fn received(&self) -> i64 {
        if self.stage == Stage::Finished { self.total() } else { 0 }
    }

    /// Its payment's number at Alipay, once it is paid.
    pub fn payment_id(&self) -> Option<String> {
        let paid = self.paid?;
        Some(format!("{}22001{:016}", paid.seconds(), self.id % 10_000_000_000_000_000))
    }

    /// What it was sent under, and when, without repetition, in turn.
    pub fn waybills(&self) -> Vec<(u64, UnixMillis)> {
        let mut waybills: Vec<_> = self.lines.iter().filter_map(|line| line.waybill.zip(line.sent)).collect();
        waybills.dedup();
        waybills
    }

    /// A digest of all that it says, its modified time too. Whatever changes, changes it.
    pub fn digest(&self) -> String {
        let mut digest = Digester(Sha256::new());
        (self.id, self.created, self.modified, self.stage, self.has_odd_word, &self.lines).hash(&mut digest);
        (self.postage, self.flag, self.paid, self.shipped, self.signed, self.finished).hash(&mut digest);
        hex::encode(digest.0.finalize()).chars().take(32).collect()
    }

    /// The trade in the common words, as a reader that understood everything the marketplace tells would have it; with
    /// this JSON as the answer that it came in.
    pub fn told(&self, marketplace: Marketplace, json: String) -> protocols::marketplace::Told {
        super::told::told(marketplace, self, json)
    }

    /// Lets the next thing happen.
    pub(super) fn live(&mut self, at: UnixMillis, random: &mut Rng) -> Happened {
        self.has_odd_word = false;
        let wants_refund = random.u8(0..8) == 0;
        match self.stage {
            Stage::Unpaid => self.live_unpaid(at, random),
            Stage::Paid | Stage::Shipped | Stage::Signed | Stage::Finished if wants_refund => self.refund(at, random),
            Stage::Paid if self.lines.len() > 1 && random.u8(0..3) == 0 => {
                self.ship(Some(1), at, random);
                self.stage = Stage::PartlyShipped;
                Happened::PartlyShipped
            }
            Stage::Paid | Stage::PartlyShipped => {
                self.ship(None, at, random);
                (self.stage, self.shipped) = (Stage::Shipped, Some(at));
                Happened::Shipped
            }
            Stage::Shipped => {
                (self.stage, self.signed) = (Stage::Signed, Some(at));
                Happened::Signed
            }
            Stage::Signed => {
                (self.stage, self.finished) = (Stage::Finished, Some(at));
                Happened::Finished
            }
            Stage::Finished | Stage::ClosedUnpaid | Stage::Closed => self.remark(),
        }
    }

    fn live_unpaid(&mut self, at: UnixMillis, random: &mut Rng) -> Happened {
        match random.u8(0..8) {
            0 => {
                (self.stage, self.finished) = (Stage::ClosedUnpaid, Some(at));
                Happened::Closed
            }
            1 => {
                self.reprice();
                Happened::Repriced
            }
            _ => {
                (self.stage, self.paid) = (Stage::Paid, Some(at));
                Happened::Paid
            }
        }
    }

    /// Sends the lines that were not sent, or the first few of them.
    fn ship(&mut self, lines_max: Option<usize>, at: UnixMillis, random: &mut Rng) {
        let waybill = 78_000_000_000_000 + random.u64(0..999_999_999_999);
        let waiting = self.lines.iter_mut().filter(|line| line.waybill.is_none());
        for line in waiting.take(lines_max.unwrap_or(usize::MAX)) {
            (line.waybill, line.sent) = (Some(waybill), Some(at));
        }
    }

    /// Moves the case of a line, or begins one.
    fn refund(&mut self, at: UnixMillis, random: &mut Rng) -> Happened {
        let place = random.usize(0..self.lines.len().max(1));
        let number = 7_000_000_000_000_000 + random.u64(0..999_999_999_999_999);
        let Some(line) = self.lines.get_mut(place) else { return self.remark() };
        line.case = match line.case {
            None => Some(Case { id: number, stage: CaseStage::Requested }),
            Some(case) => match random.choice(case.stage.next()) {
                Some(stage) => Some(Case { stage: *stage, ..case }),
                None => return self.remark(),
            },
        };
        let is_refunded = |line: &Line| line.case.is_some_and(|case| case.stage == CaseStage::Refunded);
        if self.stage != Stage::Finished && self.lines.iter().all(is_refunded) {
            (self.stage, self.finished) = (Stage::Closed, Some(at));
        }
        Happened::Case(place)
    }

    /// Flags it. There is always something that changes.
    const fn remark(&mut self) -> Happened {
        self.flag = self.flag % 5 + 1;
        Happened::Remarked
    }

    /// Takes one fen more off a line, or none any more.
    pub(super) fn reprice(&mut self) {
        if let Some(line) = self.lines.first_mut() {
            line.discount = if line.discount + 1 < line.price { line.discount + 1 } else { 0 };
        }
    }
}

/// Hashes by SHA-256, so that a digest is the same in every run.
struct Digester(Sha256);

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
