//! `sampan images`: products' pictures, brought here now, compared with the bucket, and shown.
//!
//! Invariant: what is to be fetched is decided by product-sweep and image-sync. Here they are asked to begin, followed,
//! and counted; and what the bucket lost is put on the image queue again.

mod figures;
mod show;
mod sync;
mod verify;

use clap::Subcommand;

pub use figures::Figures;
pub use sync::{SyncArguments, Synced, Syncer, Work};
pub use verify::{Compared, VerifyArguments, compare};

use crate::stack::Session;

/// What to do about pictures.
#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Bring the pictures of a shop's products here now: those that changed, or all of them
    Sync(SyncArguments),
    /// Compare what is known of pictures with what the bucket holds
    Verify(VerifyArguments),
    /// Show what is kept of a product's pictures
    Show(show::ShowArguments),
}

/// Does one of it.
pub async fn run(session: &Session, command: ImagesCommand) -> anyhow::Result<()> {
    match command {
        ImagesCommand::Sync(arguments) => sync::run(session, arguments).await,
        ImagesCommand::Verify(arguments) => verify::run(session, arguments).await,
        ImagesCommand::Show(arguments) => show::run(session, &arguments).await,
    }
}
