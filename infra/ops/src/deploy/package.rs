//! The functions as AWS takes them: a zip that holds one program named `bootstrap`.
//!
//! Invariant: the same program makes the same zip, byte for byte, so that a key tells whether code changed.

use std::io::{Cursor, Write};
use std::path::PathBuf;

use anyhow::Context;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::FUNCTIONS;

/// A function's zip.
pub(crate) struct Package {
    /// The function, by its folder.
    pub(super) function: &'static str,
    /// The template's parameter for its key.
    pub(super) parameter: &'static str,
    /// `<function>/<sha256>.zip`.
    pub(super) key: String,
    /// The zip.
    pub(super) zip: Vec<u8>,
    /// Its SHA-256.
    pub(super) sha256: [u8; 32],
}

/// The zips of all functions, whose programs are where `place` says.
pub(crate) fn packages(place: impl Fn(&str) -> PathBuf) -> anyhow::Result<Vec<Package>> {
    FUNCTIONS
        .into_iter()
        .map(|(function, parameter)| {
            let file = place(function);
            let program = std::fs::read(&file)
                .with_context(|| format!("{function} is not built: cannot read {}", file.display()))?;
            let zip = zip(&program).with_context(|| format!("cannot zip {}", file.display()))?;
            let sha256: [u8; 32] = Sha256::digest(&zip).into();
            let key = format!("{function}/{}.zip", hex::encode(sha256));
            Ok(Package { function, parameter, key, zip, sha256 })
        })
        .collect()
}

/// Stored and not compressed: Lambda unpacks it once, and an upload of some megabytes is soon done.
fn zip(program: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    let mut writer = ZipWriter::new(Cursor::new(Vec::with_capacity(program.len())));
    writer.start_file("bootstrap", options)?;
    writer.write_all(program)?;
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_program_makes_the_same_zip_and_another_makes_another() {
        assert_eq!(zip(b"program").unwrap(), zip(b"program").unwrap());
        assert_ne!(zip(b"program").unwrap(), zip(b"another").unwrap());
    }

    #[test]
    fn a_zip_holds_one_program_that_may_be_run() {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip(b"program").unwrap())).unwrap();
        assert_eq!(archive.len(), 1);
        let entry = archive.by_index(0).unwrap();
        assert_eq!(entry.name().unwrap(), "bootstrap");
        assert_eq!(entry.unix_mode().map(|mode| mode & 0o777), Some(0o755));
    }
}
