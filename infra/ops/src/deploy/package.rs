//! The functions as AWS takes them: a zip that holds one program named `bootstrap`, and the partitions of AWS.
//!
//! Invariant: the same program makes the same zip, byte for byte, so that a key tells whether code changed.

use std::io::{Cursor, Write};
use std::path::PathBuf;

use anyhow::Context;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::FUNCTIONS;

/// Which hosts a region has. The template has the SDK read these (`SMITHY_CLIENT_SDK_CUSTOM_PARTITION`), where its own, with
/// every region's name and partitions that are closed to shops, are a good part of a start, once a service.
const PARTITIONS: (&str, &[u8]) = ("partitions.json", include_bytes!("../../../partitions.json"));

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
        .last_modified_time(DateTime::default());
    let mut writer = ZipWriter::new(Cursor::new(Vec::with_capacity(program.len())));
    for ((name, content), permissions) in [(("bootstrap", program), 0o755), (PARTITIONS, 0o644)] {
        writer.start_file(name, options.unix_permissions(permissions))?;
        writer.write_all(content)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The variable that names the file to the SDK.
    const VARIABLE: &str = "SMITHY_CLIENT_SDK_CUSTOM_PARTITION";

    async fn hosts_of(region: &str) -> [String; 4] {
        macro_rules! host {
            ($sdk:ident) => {{
                use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
                let params = Params::builder().region(region).build().unwrap();
                DefaultResolver::new().resolve_endpoint(&params).await.unwrap().url().to_owned()
            }};
        }
        [host!(aws_sdk_dynamodb), host!(aws_sdk_s3), host!(aws_sdk_secretsmanager), host!(aws_sdk_sqs)]
    }

    #[test]
    fn the_same_program_makes_the_same_zip_and_another_makes_another() {
        assert_eq!(zip(b"program").unwrap(), zip(b"program").unwrap());
        assert_ne!(zip(b"program").unwrap(), zip(b"another").unwrap());
    }

    #[test]
    fn a_zip_holds_a_program_that_may_be_run_and_the_partitions_that_the_template_names() {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip(b"program").unwrap())).unwrap();
        let mut entry = |nth| {
            let entry = archive.by_index(nth).unwrap();
            (entry.name().unwrap().into_owned(), entry.unix_mode().map(|mode| mode & 0o777))
        };
        assert_eq!(entry(0), ("bootstrap".to_owned(), Some(0o755)));
        assert_eq!(entry(1), ("partitions.json".to_owned(), Some(0o644)));
        let template = include_str!("../../../template.yaml");
        let told = template.matches(&format!("{VARIABLE}: {}\n", PARTITIONS.0)).count();
        assert_eq!((archive.len(), told), (2, FUNCTIONS.len()));
    }

    /// What the SDK reads once in a process, when the first client is made.
    #[tokio::test]
    async fn a_region_has_the_hosts_that_aws_says() {
        for (region, suffix) in [
            ("eu-central-1", "amazonaws.com"),
            ("us-east-1", "amazonaws.com"),
            ("ap-east-1", "amazonaws.com"),
            ("xx-new-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("eusc-de-east-1", "amazonaws.eu"),
        ] {
            let hosts = ["dynamodb", "s3", "secretsmanager", "sqs"]
                .map(|service| format!("https://{service}.{region}.{suffix}"));
            assert_eq!(hosts_of(region).await, hosts);
        }
    }

    /// The same in a process that is told of our partitions, as functions are.
    #[test]
    fn a_region_has_those_hosts_by_the_partitions_of_a_package() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../partitions.json");
        let by_ours = |partitions: &str| {
            let mut tests = Command::new(std::env::current_exe().unwrap());
            tests
                .env(VARIABLE, partitions)
                .args(["--exact", "deploy::package::tests::a_region_has_the_hosts_that_aws_says"]);
            tests.output().unwrap()
        };
        let told = by_ours(file);
        assert!(told.status.success() && String::from_utf8_lossy(&told.stdout).contains("1 passed"), "{told:?}");
        assert!(!by_ours("/nowhere").status.success(), "the SDK does not read the file");
    }
}
