//! `sampan images show`: what is kept of a product's pictures.

use std::collections::BTreeMap;

use adapters::ports::Manifest;
use anyhow::{Context, ensure};
use clap::Args;
use comfy_table::Table;
use domain::{ImageEntry, ImageRecord, Position, ProductKey};

use crate::days;
use crate::stack::Session;
use crate::table::{ruled_table, step};

/// Which product.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The product, as MARKETPLACE#SHOP#PRODUCT_ID
    #[arg(value_name = "PRODUCT")]
    product: ProductKey,
}

/// Shows them.
pub(super) async fn run(session: &Session, arguments: &ShowArguments) -> anyhow::Result<()> {
    let product = &arguments.product;
    let entries = session.manifest()?.of_product(product).await;
    let entries = entries.with_context(|| format!("cannot read the pictures of {product}"))?;
    ensure!(!entries.is_empty(), "no picture of {product} is known");
    println!("{}", entries_table(&entries));
    let removed = entries.values().filter(|entry| entry.is_removed()).count();
    if removed > 0 {
        step("Images", &format!("the product no longer has {removed} of them; their bytes stay"));
    }
    Ok(())
}

fn entries_table(entries: &BTreeMap<Position, ImageEntry>) -> Table {
    let mut rows = ruled_table(["position", "is", "size", "fetched", "in the bucket, and where it was"]);
    for (position, entry) in entries {
        let state = match (&entry.record, entry.is_removed()) {
            (_, true) => "removed",
            (Some(_), false) => "here",
            (None, false) => "not here",
        };
        let of_record = |text: fn(&ImageRecord) -> String| entry.record.as_ref().map(text).unwrap_or_default();
        rows.add_row([
            position.to_string(),
            state.to_owned(),
            of_record(|record| {
                let original = &record.original;
                format!("{} x {}\n{} bytes", original.width, original.height, original.bytes)
            }),
            of_record(|record| days::moment(record.fetched_at)),
            of_record(|record| {
                let keys = record.objects().map(|object| object.key());
                keys.chain([record.url.to_string()]).collect::<Vec<_>>().join("\n")
            }),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use domain::{Format, ImageDigest, ImageUrl, Original, UnixMillis, Validators};

    use super::*;

    fn entry(removed_at: Option<i64>) -> ImageEntry {
        let digest = ImageDigest::new("ab".repeat(32)).unwrap();
        let record = ImageRecord {
            asked_at: UnixMillis::new(5_000).unwrap(),
            fetched_at: UnixMillis::new(6_000).unwrap(),
            url: ImageUrl::new("https://cbu01.alicdn.com/a.jpg").unwrap(),
            original: Original { digest, format: Format::Jpeg, bytes: 7, width: 800, height: 600 },
            validators: Validators::default(),
            thumbnails: vec![200],
        };
        ImageEntry { record: Some(record), removed_at: removed_at.map(|at| UnixMillis::new(at).unwrap()) }
    }

    #[test]
    fn a_picture_is_shown_with_all_that_the_bucket_has_of_it() {
        let entries = [("main-1", None), ("main-2", Some(5_000)), ("main-3", Some(5_001))];
        let entries = entries.map(|(name, removed_at)| (Position::new(name).unwrap(), entry(removed_at)));
        let shown = entries_table(&BTreeMap::from(entries)).to_string();
        assert_eq!(shown.matches(" here ").count(), 2, "{shown}");
        assert_eq!(shown.matches("removed").count(), 1, "{shown}");
        for part in ["800 x 600", "7 bytes", ".jpg", "-200.webp", "https://cbu01.alicdn.com/a.jpg"] {
            assert_eq!(shown.matches(part).count(), if part == ".jpg" { 6 } else { 3 }, "{part} in {shown}");
        }
    }
}
