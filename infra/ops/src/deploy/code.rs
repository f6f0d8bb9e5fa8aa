//! The bucket that a stack's code and template are in.

use anyhow::{Context, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::operation::head_bucket::HeadBucketError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier};
use aws_types::SdkConfig;
use sha2::{Digest, Sha256};

use super::package::Package;
use crate::table::step;

/// The region whose buckets are made without naming it. Source: S3 API, CreateBucket.
const REGION_WITHOUT_NAME: &str = "us-east-1";

/// S3: of the emulator, which has one host for all buckets, or of AWS.
pub(crate) fn s3(config: &SdkConfig) -> Client {
    Client::from_conf(Builder::from(config).force_path_style(config.endpoint_url().is_some()).build())
}

/// Makes a bucket that is not there yet. A new bucket is closed to the public and encrypted by itself. Source: S3 user
/// guide, "Default settings for new S3 buckets".
pub(crate) async fn make_bucket(config: &SdkConfig, bucket: &str) -> anyhow::Result<()> {
    let client = s3(config);
    if client.head_bucket().bucket(bucket).send().await.is_ok() {
        return Ok(());
    }
    let region = config.region().map(AsRef::as_ref).filter(|region| *region != REGION_WITHOUT_NAME);
    let place = region.map(|region| {
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build()
    });
    let create = client.create_bucket().bucket(bucket).set_create_bucket_configuration(place).send().await;
    create.with_context(|| format!("cannot make the bucket {bucket}"))?;
    Ok(())
}

/// Takes everything out of a bucket, and the bucket away. One that is not there is no error.
pub(super) async fn remove_bucket(config: &SdkConfig, bucket: &str) -> anyhow::Result<()> {
    let client = s3(config);
    match client.head_bucket().bucket(bucket).send().await {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(HeadBucketError::is_not_found) => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot look at the bucket {bucket}")),
    }
    loop {
        let page = client.list_objects_v2().bucket(bucket).send().await;
        let page = page.with_context(|| format!("cannot list the bucket {bucket}"))?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        let keys: Vec<ObjectIdentifier> =
            keys.map(|key| ObjectIdentifier::builder().key(key).build()).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            break;
        }
        let delete = Delete::builder().set_objects(Some(keys)).quiet(true).build()?;
        let deleted = client.delete_objects().bucket(bucket).delete(delete).send().await;
        let deleted = deleted.with_context(|| format!("cannot empty the bucket {bucket}"))?;
        if let Some(error) = deleted.errors().first() {
            bail!("cannot take {} out of {bucket}: {}", error.key().unwrap_or("?"), error.message().unwrap_or("?"));
        }
    }
    let delete = client.delete_bucket().bucket(bucket).send().await;
    delete.with_context(|| format!("cannot take the bucket {bucket} away"))?;
    Ok(())
}

/// Uploads the zips that are not there yet, and checks that each arrived whole: the emulator makes a function also from a
/// zip that is missing.
pub(crate) async fn upload(config: &SdkConfig, bucket: &str, packages: &[Package]) -> anyhow::Result<()> {
    make_bucket(config, bucket).await?;
    let client = s3(config);
    let mut uploaded = 0;
    for package in packages {
        if is_there(&client, bucket, package).await {
            continue;
        }
        let body = ByteStream::from(package.zip.clone());
        let put = client.put_object().bucket(bucket).key(&package.key).body(body);
        put.send().await.with_context(|| format!("cannot upload {}", package.key))?;
        if !is_there(&client, bucket, package).await {
            bail!("{} was uploaded and is not there", package.key);
        }
        uploaded += 1;
    }
    step("Code", &format!("{uploaded} of {} functions are new", packages.len()));
    Ok(())
}

async fn is_there(client: &Client, bucket: &str, package: &Package) -> bool {
    let kept = client.head_object().bucket(bucket).key(&package.key).send().await;
    let length = kept.ok().and_then(|kept| kept.content_length());
    length.and_then(|length| usize::try_from(length).ok()) == Some(package.zip.len())
}

/// Puts the template beside the code, and tells where it is: a call takes 51,200 bytes of a template, a bucket's object may
/// have a million. Source: CloudFormation quotas.
pub(super) async fn put_template(config: &SdkConfig, bucket: &str, template: &str) -> anyhow::Result<String> {
    let key = format!("template-{}.yaml", hex::encode(Sha256::digest(template)));
    let body = ByteStream::from(template.as_bytes().to_vec());
    let put = s3(config).put_object().bucket(bucket).key(&key).body(body).send().await;
    put.context("cannot upload the template")?;
    let region = config.region().map(AsRef::as_ref).context("no region")?;
    Ok(match config.endpoint_url() {
        Some(endpoint) => format!("{endpoint}/{bucket}/{key}"),
        None => format!("https://{bucket}.s3.{region}.amazonaws.com{}/{key}", suffix(region)),
    })
}

/// What follows the names of hosts in China. Source: AWS in China user guide, "Endpoints".
fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { ".cn" } else { "" }
}
