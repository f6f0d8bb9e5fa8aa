//! What the demo does: sends, creates the story's orders, gives money back, and lets gateways tell of it.

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::{Context, bail};
use domain::{Currency, Money, RefundId};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::payments;
use super::plan::{self, Act, Order, Planned, of_shop_front};
use super::shop_front::{Quote, ShopFront};
use super::story::{Creation, Refund};
use super::tally::Tally;
use crate::http::{Answer, Api};
use crate::samples::{self, Gateways};
use crate::table::{bar, step};

/// Requests at once.
const SENDERS: usize = 8;

/// Everybody who sends something.
pub(super) struct Senders<'a> {
    pub(super) api: &'a Api,
    pub(super) secrets: &'a Secrets,
    pub(super) gateways: &'a Gateways<'a>,
    pub(super) shop_front: &'a ShopFront<'a>,
}

/// What a quote comes to.
#[derive(Deserialize)]
struct Quoted {
    converted_minor: i64,
    source: String,
    #[serde(flatten)]
    quote: Quote,
}

/// What the demo wants to know of an order that was created.
#[derive(Deserialize)]
struct Created {
    payment: Due,
    exchange_rate: PinnedRate,
}

#[derive(Deserialize)]
struct Due {
    due_minor: i64,
    currency: String,
}

#[derive(Deserialize)]
struct PinnedRate {
    rate: String,
}

/// What the demo wants to know of a refund that was granted.
#[derive(Deserialize)]
struct Granted {
    charged: Charged,
}

#[derive(Deserialize)]
struct Charged {
    amount_minor: i64,
    currency: String,
}

impl Senders<'_> {
    /// Sends many things, several at once.
    pub(super) async fn send(&self, all: &[Planned], tally: &mut Tally) -> anyhow::Result<()> {
        let bar = bar("Sending", all.len());
        let mut answers = futures::stream::iter(all)
            .map(|planned| async move { anyhow::Ok((planned, self.answer(&planned.act).await?)) })
            .buffer_unordered(SENDERS);
        while let Some((planned, answer)) = answers.try_next().await? {
            tally.answered(planned, label(&planned.act, &answer));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn answer(&self, act: &Act) -> anyhow::Result<Answer> {
        let request = match act {
            Act::Deliver(delivery) => delivery.sign(self.secrets, SystemClock.now())?,
            Act::Request(request) => request.clone(),
            Act::Link(order, trades) => self.shop_front.link(order, plan::SHOP, trades),
            Act::Create(order, creation, quote) => self.shop_front.create(order, creation, quote.as_ref()),
            Act::Refund(order, refund, money) => self.shop_front.refund(order, refund, *money),
            Act::Callback(event) => self.gateways.callback(event, SystemClock.now())?,
        };
        self.api.send(request).await
    }

    /// Sends one thing whose answer matters. `None` when it was refused.
    async fn ask<T: DeserializeOwned>(&self, planned: &Planned, tally: &mut Tally) -> anyhow::Result<Option<T>> {
        let answer = self.answer(&planned.act).await?;
        tally.answered(planned, label(&planned.act, &answer));
        match answer.is_success() {
            true => {
                serde_json::from_slice(&answer.body).map(Some).with_context(|| format!("the answer: {}", planned.kind))
            }
            false => Ok(None),
        }
    }

    /// Creates every order that is not created later, so that it is known what is due.
    pub(super) async fn create(&self, orders: &mut [Order], tally: &mut Tally) -> anyhow::Result<()> {
        let mut created = 0;
        for order in orders {
            let creation = order.story.created.clone().filter(|creation| !creation.late);
            if let Some(creation) = creation {
                self.create_one(order, &creation, tally).await?;
                created += 1;
            }
        }
        step("Orders", &format!("{created} created, each with the rate of its moment"));
        Ok(())
    }

    async fn create_one(&self, order: &mut Order, creation: &Creation, tally: &mut Tally) -> anyhow::Result<()> {
        let quote = if creation.quoted { self.quote(creation, tally).await? } else { None };
        let act = Act::Create(order.id.clone(), creation.clone(), quote);
        let created: Option<Created> = self.ask(&of_shop_front(plan::CREATES, act, "201"), tally).await?;
        let Some(Created { payment, exchange_rate }) = created else {
            bail!("{} was not created: {}", order.id, tally.surprises.join("; "));
        };
        let due = Money::new(payment.due_minor, Currency::from_code(&payment.currency)?)?;
        let example = creation.example.as_ref().filter(|example| example.rate == exchange_rate.rate);
        let expected = order.due.or(example.map(|example| example.due));
        if expected.is_some_and(|expected| expected != due) {
            tally.surprises.push(format!("{}: {due} is due", order.id));
        }
        if creation.example.is_some() && example.is_none() {
            step("Rates", &format!("are not the examples, so that {due} of {} is not checked", order.id));
        }
        order.due = Some(due);
        Ok(())
    }

    /// Shows the customer what a price comes to.
    async fn quote(&self, creation: &Creation, tally: &mut Tally) -> anyhow::Result<Option<Quote>> {
        let (price, to) = (creation.price, creation.charge_currency);
        let act = Act::Request(self.shop_front.quote(price, to));
        let quoted: Option<Quoted> =
            self.ask(&of_shop_front("the shop front asks for a quote", act, "200"), tally).await?;
        if let Some(Quoted { converted_minor, source, quote }) = &quoted {
            let converted = Money::new(*converted_minor, to)?;
            step("Quote", &format!("GET /quotes: {price} = {converted} at {} ({source})", quote.rate));
        }
        Ok(quoted.map(|quoted| quoted.quote))
    }

    /// Gives back what the story says, one refund after the other. The callbacks that tell of it are the answer.
    pub(super) async fn refund(&self, orders: &mut [Order], tally: &mut Tally) -> anyhow::Result<Vec<Planned>> {
        let mut callbacks = Vec::new();
        for order in orders {
            for (index, refund) in order.story.refunds.clone().into_iter().enumerate() {
                let number = index + 1;
                let Some(charged) = self.refund_one(order, number, &refund, tally).await? else { continue };
                let told = payments::refund_told(order, (number, refund.told), charged, SystemClock.now())?;
                callbacks.extend(told.callbacks());
                order.told.push(told);
            }
        }
        Ok(callbacks)
    }

    /// What goes back to the customer; `None` for a refund that is refused.
    async fn refund_one(
        &self,
        order: &Order,
        number: usize,
        refund: &Refund,
        tally: &mut Tally,
    ) -> anyhow::Result<Option<Money>> {
        let id = RefundId::new(format!("refund-{number}"))?;
        let mut charged = None;
        for time in 0..refund.times {
            let (kind, expected) = match (refund.refused, time) {
                (true, _) => ("impossible: a refund beyond what was paid", "422 impossible"),
                (false, 0) => ("the shop front gives money back", "201"),
                (false, _) => ("the shop front gives it back again", "200"),
            };
            let act = Act::Refund(order.id.clone(), id.clone(), refund.amount.money(order.due)?);
            let granted: Option<Granted> = self.ask(&of_shop_front(kind, act, expected), tally).await?;
            let Some(Granted { charged: Charged { amount_minor, currency } }) = granted else { continue };
            let money = Money::new(amount_minor, Currency::from_code(&currency)?)?;
            if *charged.get_or_insert(money) != money {
                tally.surprises.push(format!("{}: {id} came to {money} when it was asked for again", order.id));
            }
        }
        Ok(charged)
    }
}

/// The answer's label. An order that a client reads or writes has no word of its own in it, and nor has a refund.
fn label(act: &Act, answer: &Answer) -> String {
    match act {
        Act::Link(..) | Act::Create(..) | Act::Refund(..) if answer.is_success() => answer.status.to_string(),
        Act::Callback(_) => samples::callback_label(answer),
        Act::Link(..) | Act::Create(..) | Act::Refund(..) | Act::Deliver(_) | Act::Request(_) => answer.label(),
    }
}
