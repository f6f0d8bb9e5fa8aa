//! Pictures: the simulated shop's products have them at the simulated image host. They are brought here, asked for again
//! when nothing changed and when some did; and one that is none is found in quarantine, and sent back once it is one.

use std::time::Duration;

use adapters::ports::Manifest;
use anyhow::{Context, bail};
use domain::{ImageKey, ImageRecord, ImageRequest, Marketplace, ShopId};
use protocols::images;

use super::plan::SHOP;
use crate::images::{Compared, Figures, Synced, Syncer, Work, compare};
use crate::queues;
use crate::simulate::{Counted, SimulatedImages};
use crate::stack::Session;
use crate::table::{heading, step, table};

/// Of a hundred pictures, so many become others.
const CHANGED_PERCENT: u8 = 10;
/// Between two looks at a picture that was sent back.
const LOOK_MS: u64 = 250;
/// Looks at a picture that was sent back: a minute.
const LOOKS_MAX: u32 = 240;

/// The act so far.
struct Act<'a> {
    session: &'a Session,
    host: &'a SimulatedImages,
    work: Work,
    rows: Vec<[String; 9]>,
    surprises: Vec<String>,
}

/// Plays the act. What is not here as it is there is a surprise.
pub(super) async fn play(session: &Session, host: &SimulatedImages) -> anyhow::Result<Vec<String>> {
    let shop = ShopId::new(SHOP)?;
    let work = Work { marketplace: Marketplace::Alibaba1688, shop, is_full: true, waits: false };
    let mut act = Act { session, host, work, rows: Vec::new(), surprises: Vec::new() };
    step("Images", "1688 is asked for the shop's products, and their host for every picture of them");
    act.run("every picture of the shop", |_, _| None).await?;
    step("Images", "the same again: the host is asked whether anything changed");
    act.run("the same again", second_run).await?;
    let refused = act.spoil().await?;
    act.run("a tenth changed, one is a web page", third_run).await?;
    act.rescue(&refused).await?;
    let compared = compare(&session.manifest()?, &session.image_bucket()?, |_, _| ()).await?;
    act.print(&compared);
    Ok(act.surprises)
}

impl Act<'_> {
    /// Syncs, and keeps what that took. `judge` says what is not as the story tells.
    async fn run(&mut self, what: &str, judge: fn(&Figures, Counted) -> Option<String>) -> anyhow::Result<()> {
        self.host.forget().await?;
        let synced = Syncer::new(self.session)?.run(&self.work).await?;
        let counted = self.host.counted().await?;
        let Synced { requested, again, figures, dead, waiting, .. } = &synced;
        let asked = requested.saturating_add(*again);
        let count = |outcome: &str| figures.ended_as(outcome).to_string();
        self.rows.push([
            what.to_owned(),
            asked.to_string(),
            counted.requests.to_string(),
            indicatif::BinaryBytes(counted.body_bytes).to_string(),
            count("unchanged"),
            count("stored"),
            count("known"),
            figures.thumbnails.to_string(),
            count("quarantined"),
        ]);
        let told = figures.ended();
        let lost = (told < asked || asked == 0).then(|| format!("{asked} pictures were asked for, {told} told of"));
        let stuck = (dead + waiting > 0).then(|| format!("{} pictures could not be had", dead + waiting));
        let found = [lost, stuck, judge(figures, counted)].into_iter().flatten();
        self.surprises.extend(found.map(|found| format!("images, {what}: {found}")));
        Ok(())
    }

    /// Lets a tenth of the host's pictures change, and puts a web page in the place of one of them. Which one.
    async fn spoil(&self) -> anyhow::Result<String> {
        let first = self.session.manifest()?.list(None).await.context("cannot read the manifest")?;
        let records = first.into_iter().filter_map(|(_, entry)| entry.record);
        let path = records.into_iter().find_map(|record| self.host.path(record.url.as_str()).map(str::to_owned));
        let path = path.context("no picture of the simulated image host is known")?;
        let changes = self.host.change_some(CHANGED_PERCENT).await?;
        self.host.change_one(&path).await?;
        self.host.behave(&path, "html-as-jpeg").await?;
        step(
            "Images",
            &format!("{changes} pictures of the host are others now, and one is a web page that says it is a JPEG"),
        );
        Ok(path)
    }

    /// Finds the one in quarantine, lets the host mend it, sends it back, and waits until it is here.
    async fn rescue(&mut self, path: &str) -> anyhow::Result<()> {
        self.host.mend().await?;
        let is_it = |request: &ImageRequest| self.host.path(request.url.as_str()) == Some(path);
        let kept = queues::list(self.session).await?;
        let read = |kept: queues::Kept| images::read(&kept.body).ok().filter(is_it).map(|request| (kept, request));
        let found: Vec<(queues::Kept, ImageRequest)> = kept.into_iter().filter_map(read).collect();
        let Some((first, request)) = found.first() else {
            self.surprises.push("images: the web page is not in quarantine".to_owned());
            return Ok(());
        };
        step("Images", &format!("the web page is in quarantine: {}", first.reason));
        let before = self.record(&request.image).await?;
        for (kept, _) in &found {
            queues::replay_one(self.session, &kept.id).await?;
        }
        for _ in 0..LOOKS_MAX {
            let now = self.record(&request.image).await?;
            if now.as_ref().map(|record| &record.original.digest) != before.as_ref().map(|was| &was.original.digest) {
                step("Images", "the host has a picture there again, and it was fetched when the request was sent back");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
        bail!("{} was sent back from quarantine and is not fetched", request.image)
    }

    async fn record(&self, image: &ImageKey) -> anyhow::Result<Option<ImageRecord>> {
        Ok(self.session.manifest()?.read(image).await?.record)
    }

    fn print(&mut self, compared: &Compared) {
        heading("The pictures of the shop's products");
        let mut rows = table([
            "run",
            "asked for",
            "requests",
            "fetched",
            "skipped",
            "stored",
            "stored once",
            "thumbnails",
            "refused",
        ]);
        rows.add_rows(&self.rows);
        println!("{rows}");
        let Compared { pictures, named, objects, missing, .. } = compared;
        println!(
            "skipped: the host said that it is as it was; stored once: another picture has the same bytes, which are here already\n\
             {pictures} pictures are known and name {named} objects; the bucket holds {objects}, and lacks {}",
            missing.len()
        );
        if !missing.is_empty() {
            self.surprises.push(format!("images: {} objects are missing in the bucket", missing.len()));
        }
    }
}

/// Nothing changed: one conditional request a picture, and nothing else.
fn second_run(figures: &Figures, counted: Counted) -> Option<String> {
    let Counted { requests, conditional, not_modified, body_bytes, .. } = counted;
    let is_quiet = requests == conditional && requests == not_modified && requests == figures.ended();
    let is_so = is_quiet && (body_bytes, figures.bytes, figures.puts) == (0, 0, 0);
    (!is_so).then(|| format!("not only conditional requests: {counted:?}, {} objects put", figures.puts))
}

/// Only what changed was fetched, and the web page was not taken.
fn third_run(figures: &Figures, counted: Counted) -> Option<String> {
    if figures.ended_as("quarantined") == 0 {
        return Some("the web page was not refused".to_owned());
    }
    let fetched = figures.ended().saturating_sub(figures.ended_as("unchanged"));
    let is_so = counted.requests.saturating_sub(counted.not_modified) == fetched && figures.ended_as("stored") > 0;
    (!is_so).then(|| format!("{fetched} pictures were fetched, and {counted:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(outcomes: &[&str], puts: u64) -> Figures {
        let mut figures = Figures::default();
        figures.puts = puts;
        for outcome in outcomes {
            figures.add(&format!(r#"{{"event":"image.synced","outcome":"{outcome}"}}"#));
        }
        figures
    }

    fn counted(requests: u64, not_modified: u64, body_bytes: u64) -> Counted {
        Counted { requests, conditional: requests, not_modified, body_bytes, worst_second_bytes: body_bytes }
    }

    #[test]
    fn a_second_run_that_fetches_or_puts_anything_is_a_surprise() {
        let quiet = figures(&["unchanged", "unchanged"], 0);
        assert_eq!(second_run(&quiet, counted(2, 2, 0)), None);
        assert!(second_run(&quiet, counted(3, 2, 0)).is_some());
        assert!(second_run(&quiet, counted(2, 2, 1)).is_some());
        assert!(second_run(&figures(&["unchanged", "unchanged"], 1), counted(2, 2, 0)).is_some());
        assert!(second_run(&figures(&["unchanged", "stored"], 0), counted(2, 1, 0)).is_some());
    }

    #[test]
    fn a_third_run_fetches_what_changed_and_refuses_the_web_page() {
        let told = figures(&["unchanged", "stored", "quarantined"], 3);
        assert_eq!(third_run(&told, counted(3, 1, 9)), None);
        assert!(third_run(&told, counted(3, 0, 9)).is_some());
        assert!(third_run(&figures(&["unchanged", "stored"], 3), counted(2, 1, 9)).is_some());
    }
}
