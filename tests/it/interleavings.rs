//! Every interleaving of concurrent callbacks of one payment, enumerated: one effect, whatever comes between.
//!
//! A callback that is known to be good makes one call to the ledger. It is stopped before the call and after it, so
//! that it takes three steps, and every order of the steps of two and of three callbacks is lived through.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use adapters::PortError;
use adapters::ports::{CapturedPage, Ledger, LedgerPlace};
use adapters::testing::MemoryLedger;
use domain::{OrderId, PaymentFacts, PaymentKey, Recorded, UnixMillis};
use lambda::deadline::Deadline;
use lambda::http::{Request, Response};
use protocols::gateway::VerifiedPayment;
use serde_json::json;

use crate::support::{NOW, Shop, stripe};

/// A ledger that stops before and after each movement that it takes.
struct Stepped(MemoryLedger);

impl Ledger for Stepped {
    async fn record(&self, payment: &VerifiedPayment) -> Result<Recorded, PortError> {
        futures::pending!();
        let recorded = self.0.record(payment).await;
        futures::pending!();
        recorded
    }

    async fn read(&self, payment: &PaymentKey) -> Result<PaymentFacts, PortError> {
        self.0.read(payment).await
    }

    async fn payments_of(&self, order: &OrderId) -> Result<Vec<PaymentKey>, PortError> {
        self.0.payments_of(order).await
    }

    async fn captured(&self, since: UnixMillis, after: Option<&LedgerPlace>) -> Result<CapturedPage, PortError> {
        self.0.captured(since, after).await
    }

    async fn list(&self) -> Result<BTreeMap<PaymentKey, PaymentFacts>, PortError> {
        self.0.list().await
    }
}

/// Steps of one callback: to the call, through it, to the answer.
const STEPS: usize = 3;

/// Every order of the steps of so many callbacks: who takes the next one.
fn schedules(callbacks: usize) -> Vec<Vec<usize>> {
    fn extend(left: &mut [usize], schedule: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        if left.iter().all(|left| *left == 0) {
            all.push(schedule.clone());
        }
        for who in 0..left.len() {
            if left[who] > 0 {
                left[who] -= 1;
                schedule.push(who);
                extend(left, schedule, all);
                schedule.pop();
                left[who] += 1;
            }
        }
    }
    let mut all = Vec::new();
    extend(&mut vec![STEPS; callbacks], &mut Vec::new(), &mut all);
    all
}

fn captured(minor: i64) -> Request {
    let intent = json!({"id": "pi_1", "amount": minor, "currency": "eur", "latest_charge": "ch_1",
                        "metadata": {"order_id": "A-1"}});
    stripe("payment_intent.succeeded", NOW, &intent)
}

fn refunded(minor: i64) -> Request {
    let refund =
        json!({"id": "re_1", "amount": minor, "currency": "eur", "status": "succeeded", "payment_intent": "pi_1"});
    stripe("refund.created", NOW, &refund)
}

/// Lives one schedule through: the answers, and the outcomes that were logged.
async fn live(schedule: &[usize], requests: &[Request]) -> (Shop, Vec<u16>, Vec<String>) {
    let shop = Shop::new();
    // The secrets are known, so that only the ledger is asked.
    shop.cache.read(&shop.secrets, adapters::clock::Clock::now(&shop.clock), 1).await.unwrap();
    let (ledger, deadline) = (Stepped(shop.ledger.clone()), Deadline::from_lambda(u64::MAX));
    let keys = (&shop.secrets, &*shop.cache, &shop.certificates, &*shop.certificate_cache);
    let mut running: Vec<Pin<Box<dyn Future<Output = Response> + '_>>> = Vec::new();
    for request in requests {
        let callback =
            payment_callback::handler::handle(request.clone(), deadline, &ledger, keys, &shop.clock, &shop.log);
        // Without tokio's budget, which would make a task that never rests wait now and then.
        running.push(Box::pin(tokio::task::unconstrained(callback)));
    }
    let mut answers = vec![0; requests.len()];
    let mut steps = vec![0; requests.len()];
    let mut context = Context::from_waker(Waker::noop());
    for who in schedule {
        steps[*who] += 1;
        match running[*who].as_mut().poll(&mut context) {
            Poll::Ready(response) => answers[*who] = response.status_code,
            Poll::Pending => assert!(steps[*who] < STEPS, "a callback takes more than {STEPS} steps"),
        }
    }
    drop(running);
    let outcome = |event: &lambda::log::WideEvent| event.get("outcome").unwrap().as_str().unwrap().to_owned();
    let mut outcomes: Vec<String> = shop.log.all().iter().map(outcome).collect();
    outcomes.sort();
    (shop, answers, outcomes)
}

#[tokio::test]
async fn every_interleaving_of_two_and_three_callbacks_of_one_payment_has_one_effect() {
    let stories: [(&[Request], &[&str], usize, usize); 7] = [
        (&[captured(100), captured(100)], &["applied", "duplicate"], 1, 0),
        (&[captured(100), captured(101)], &["applied", "conflict"], 1, 1),
        (&[captured(100), refunded(40)], &["applied", "applied"], 2, 0),
        (&[captured(100), captured(100), captured(100)], &["applied", "duplicate", "duplicate"], 1, 0),
        (&[captured(100), captured(100), refunded(40)], &["applied", "applied", "duplicate"], 2, 0),
        (&[captured(100), captured(101), refunded(40)], &["applied", "applied", "conflict"], 2, 1),
        (&[captured(100), captured(101), captured(102)], &["applied", "conflict", "conflict"], 1, 2),
    ];
    let mut lived = 0;
    for (requests, expected, entries, conflicts) in stories {
        for schedule in schedules(requests.len()) {
            let (shop, answers, outcomes) = live(&schedule, requests).await;
            assert!(answers.iter().all(|answer| *answer == 200), "{schedule:?}: {answers:?}");
            assert_eq!(outcomes, *expected, "{schedule:?}");
            let kept = shop.ledger.all();
            let facts = kept.values().next().unwrap();
            assert_eq!(
                (kept.len(), facts.entries.len(), facts.conflicts.len()),
                (1, entries, conflicts),
                "{schedule:?}"
            );
            lived += 1;
        }
    }
    println!("interleavings: {lived} lived through");
    assert_eq!(lived, 3 * 20 + 4 * 1_680, "the enumeration changed");
}

#[tokio::test]
async fn two_of_one_amount_and_one_of_another_end_in_one_entry_whoever_is_first() {
    let requests = [captured(100), captured(100), captured(101)];
    for schedule in schedules(3) {
        let (shop, _, outcomes) = live(&schedule, &requests).await;
        let facts = shop.ledger.all().into_values().next().unwrap();
        assert_eq!((facts.entries.len(), facts.conflicts.len()), (1, 1), "{schedule:?}");
        // The entry is the first that came; the others agree with it or contradict it.
        let expected = match facts.entries[0].money.minor() {
            100 => ["applied", "conflict", "duplicate"],
            _ => ["applied", "conflict", "conflict"],
        };
        assert_eq!(outcomes, expected, "{schedule:?}");
    }
}
