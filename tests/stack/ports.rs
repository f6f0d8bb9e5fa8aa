//! The conformance suites on the real tables, and what only real tables can show.

use std::sync::Arc;

use adapters::aws::dynamodb::DynamoNonces;
use adapters::ports::{OrderStore, TradeStore};
use adapters::testing::conformance;
use anyhow::{anyhow, ensure};
use domain::{
    EventId, OrderFacts, OrderId, OrderReport, Origin, ReportedStatus, SourceName, TradeKey, TradeReport, TradeStatus,
    TradeStatuses,
};
use futures::future::join_all;

use crate::stage::{Stage, now};

pub async fn orders(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::orders(&stage.session.orders()?, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn trades(stage: Arc<Stage>) -> anyhow::Result<()> {
    conformance::trades(&stage.session.trades()?, &stage.run).await.map_err(|breach| anyhow!(breach))
}

pub async fn nonces(stage: Arc<Stage>) -> anyhow::Result<()> {
    let table = stage.session.stack.table("nonces")?.to_owned();
    let nonces = DynamoNonces::new(&stage.session.config, table);
    conformance::nonces(&nonces, &stage.run).await.map_err(|breach| anyhow!(breach))
}

/// Forty writers of one order and one trade at once: what is kept is what the domain keeps of all.
pub async fn race(stage: Arc<Stage>) -> anyhow::Result<()> {
    let (orders, trades) = (stage.session.orders()?, stage.session.trades()?);
    let order = OrderId::new(format!("race-{}", stage.run))?;
    let trade: TradeKey = format!("1688#race#{}", stage.run).parse()?;
    let base = now();
    let mut expected = (OrderFacts::default(), TradeStatuses::default());
    let mut reports = Vec::new();
    for writer in 0..40_u32 {
        let at = base.saturating_add_ms(fastrand::i64(0..6));
        let status = fastrand::choice(ReportedStatus::ALL).unwrap_or(ReportedStatus::Arrived);
        let by = Origin { source: SourceName::new("w")?, event_id: EventId::new(fastrand::u8(0..5).to_string())? };
        let reported = OrderReport { status, at, by };
        let traded = TradeReport {
            status: fastrand::choice(TradeStatus::ALL).unwrap_or(TradeStatus::Closed),
            at,
            id: (writer % 5).to_string().try_into()?,
            raw: "raw".to_owned().try_into()?,
        };
        expected.0.report(reported.clone());
        expected.1.report(traded.clone());
        reports.push((reported, traded));
    }
    let writes = reports.iter().map(|(reported, traded)| async {
        orders.report(&order, std::slice::from_ref(reported)).await?;
        trades.report(&trade, std::slice::from_ref(traded)).await
    });
    for written in join_all(writes).await {
        written?;
    }
    ensure!(orders.read(&order).await? == expected.0, "the order is not the join of its reports");
    ensure!(trades.read(&trade).await?.statuses == expected.1, "the trade is not the join of its reports");
    Ok(())
}
