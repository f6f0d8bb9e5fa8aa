//! The bucket of pictures: whole files and thumbnails, each put once under a key that follows from the original's
//! bytes, with the checksum of what is sent, so that S3 refuses what arrived otherwise.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, StalledStreamProtectionConfig};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::base64;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use domain::{ImageDigest, ImageObject};
use sha2::{Digest, Sha256};

use super::super::error::classify;
use super::settings;
use crate::error::{Cause, Certainty, PortError};
use crate::ports::{ImageBucket, ObjectBody, Stored};
use crate::spool::Content;

const HAS: &str = "image_bucket.has";
const PUT: &str = "image_bucket.put";
const LIST: &str = "image_bucket.list";

/// One try of putting a file: 32 MiB at 2 MiB/s, with time for S3 to answer. A link that is slower than that is as
/// good as none.
const FILE_ATTEMPT_MS_MAX: u64 = 20_000;
/// Putting a file with all its tries: two whole ones and a short one.
const FILE_CALL_MS_MAX: u64 = 45_000;
/// How long nothing at all may be taken or given before a try is lost, so that one that hangs does not wait for its end.
const STALL_MS_MAX: u64 = 5_000;
/// Bytes of a file that are read at once, on another thread each time. The HTTP client holds some of these before the
/// socket takes them.
const READ_BYTES: usize = 256 * 1_024;

/// For whoever serves the bucket to a browser: what is under a key never changes. Source: RFC 8246.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";
/// S3's word for an object that is there already. Source: S3 user guide, "How to prevent object overwrites with
/// conditional writes".
const PRECONDITION_FAILED: &str = "PreconditionFailed";

/// The bucket of pictures.
#[derive(Debug, Clone)]
pub struct S3Images {
    client: Client,
    bucket: String,
}

impl S3Images {
    /// The bucket of that name.
    pub fn new(config: &SdkConfig, bucket: String) -> Self {
        let stalls = StalledStreamProtectionConfig::enabled().grace_period(Duration::from_millis(STALL_MS_MAX));
        Self { client: Client::from_conf(settings(config).stalled_stream_protection(stalls.build()).build()), bucket }
    }
}

/// A body that was not what it was said to be. Nothing was sent.
const fn rejected() -> PortError {
    PortError::new(PUT, Cause::Rejected, Certainty::Determinate)
}

/// A content as a body that is sent again from its start for another try; one in a file is read while it is sent.
async fn body_of(content: &Content, bytes: u64) -> Result<ByteStream, PortError> {
    let body = match content {
        Content::Held(held) => held.clone().into(),
        Content::File(path) => {
            let body = ByteStream::read_from().path(path).buffer_size(READ_BYTES).build().await;
            body.map_err(|error| PortError { source: Some(Box::new(error)), ..rejected() })?
        }
    };
    if body.size_hint() == (bytes, Some(bytes)) { Ok(body) } else { Err(rejected()) }
}

/// A SHA-256 as S3 takes it.
fn checksum(digest: &ImageDigest) -> Result<String, PortError> {
    let bytes = hex::decode(digest.as_str()).map_err(|error| PortError { source: Some(Box::new(error)), ..rejected() });
    bytes.map(base64::encode)
}

/// The limits of a call that sends a whole picture, in place of those of all other calls, which do for a thumbnail.
fn content_limits() -> Builder {
    let limits = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_millis(FILE_ATTEMPT_MS_MAX))
        .operation_timeout(Duration::from_millis(FILE_CALL_MS_MAX));
    Builder::new().timeout_config(limits.build())
}

impl ImageBucket for S3Images {
    async fn has(&self, object: &ImageObject) -> Result<bool, PortError> {
        // Whoever may not list the bucket is answered 403 instead of 404, which is an error here.
        match self.client.head_object().bucket(&self.bucket).key(object.key()).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(false),
            Err(error) => Err(classify(HAS, error)),
        }
    }

    async fn put(&self, object: &ImageObject, body: ObjectBody<'_>) -> Result<Stored, PortError> {
        let (body, checksum, limits) = match body {
            ObjectBody::Content(content, bytes, digest) => {
                (body_of(content, bytes).await?, checksum(digest)?, content_limits())
            }
            ObjectBody::Bytes(bytes) => {
                let checksum = base64::encode(Sha256::digest(bytes).as_slice());
                (ByteStream::from(bytes.to_vec()), checksum, Builder::new())
            }
        };
        let call = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(object.key())
            .if_none_match("*")
            .content_type(object.media_type())
            .cache_control(CACHE_CONTROL)
            // A checksum that is given goes as a header. One that the SDK reckons goes behind a body of chunks.
            .checksum_sha256(checksum)
            .body(body);
        // The checksum, which is signed, says all that a signature over the body would: it is not reckoned twice.
        match call.customize().config_override(limits).disable_payload_signing().send().await {
            Ok(_) => Ok(Stored::Now),
            Err(error) if error.code() == Some(PRECONDITION_FAILED) => Ok(Stored::Before),
            Err(error) => Err(classify(PUT, error)),
        }
    }

    async fn list(&self, after: Option<&ImageObject>) -> Result<Vec<ImageObject>, PortError> {
        let mut after = after.map(ImageObject::key);
        loop {
            let call = self.client.list_objects_v2().bucket(&self.bucket).set_start_after(after);
            let page = call.send().await.map_err(|error| classify(LIST, error))?;
            let keys: Vec<&str> = page.contents().iter().filter_map(|object| object.key()).collect();
            let objects: Vec<ImageObject> = keys.iter().filter_map(|key| ImageObject::from_key(key)).collect();
            // A page may hold nothing of ours.
            if !objects.is_empty() || page.is_truncated() != Some(true) {
                return Ok(objects);
            }
            after = Some(keys.last().map(ToString::to_string).ok_or(PortError::unreadable(LIST))?);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use domain::Format;

    use super::super::super::stub::{Answer, Script};
    use super::*;
    use crate::error::Disposition;

    fn digest(bytes: &[u8]) -> ImageDigest {
        ImageDigest::new(hex::encode(Sha256::digest(bytes))).unwrap()
    }

    fn file() -> Content {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"picture").unwrap();
        Content::File(file.into_temp_path())
    }

    fn bucket(script: &Script) -> S3Images {
        S3Images::new(&script.config(), "pictures".to_owned())
    }

    fn thumbnail() -> ImageObject {
        ImageObject::Thumbnail(digest(b"p"), 200)
    }

    fn refused(status: u16, code: &str) -> Answer {
        Answer::Text(status, format!("<Error><Code>{code}</Code><Message>m</Message></Error>"))
    }

    fn done() -> Answer {
        Answer::Text(200, String::new())
    }

    fn page(keys: &[&str], is_truncated: bool) -> Answer {
        let contents: String = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
        let result = format!("<IsTruncated>{is_truncated}</IsTruncated>{contents}");
        Answer::Text(200, format!("<ListBucketResult>{result}</ListBucketResult>"))
    }

    #[tokio::test]
    async fn a_file_is_one_put_if_absent_in_one_piece_with_its_checksum_and_no_signed_body() {
        let file = file();
        let digest = digest(b"picture");
        let original = ImageObject::Original(digest.clone(), Format::Png);
        let script = Script::new([done(), done()]);
        for content in [&file, &Content::Held("picture".into())] {
            let stored = bucket(&script).put(&original, ObjectBody::Content(content, 7, &digest)).await.unwrap();
            assert_eq!(stored, Stored::Now);
        }
        let heads = script.heads();
        assert_eq!(heads.len(), 2);
        assert!(heads.iter().all(|head| head.line == heads[0].line));
        assert_eq!(heads[0].line, format!("PUT /pictures/{}?x-id=PutObject", original.key()));
        for (name, value) in [
            ("if-none-match", "*"),
            ("content-length", "7"),
            ("content-type", "image/png"),
            ("cache-control", "public, max-age=31536000, immutable"),
            // `printf picture | openssl dgst -sha256 -binary | base64`
            ("x-amz-checksum-sha256", "LOonTQvtw57Eq2up5Z7IiePtb7VqHPCIpk2bODN43Jc="),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ] {
            for head in &heads {
                assert_eq!(head.headers.get(name).map(String::as_str), Some(value), "{name}");
            }
        }
        for name in ["content-encoding", "transfer-encoding", "x-amz-trailer", "x-amz-decoded-content-length"] {
            assert!(heads.iter().all(|head| !head.headers.contains_key(name)), "{name}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_as_long_as_was_said_or_is_not_there_is_never_sent() {
        let file = file();
        let digest = digest(b"picture");
        let original = ImageObject::Original(digest.clone(), Format::Png);
        let script = Script::default();
        let nowhere = Content::File(tempfile::TempPath::try_from_path("/nowhere/at/all").unwrap());
        let held = Content::Held("picture".into());
        for (content, bytes) in [(&file, 6), (&file, 8), (&nowhere, 7), (&held, 6), (&held, 8)] {
            let error = bucket(&script).put(&original, ObjectBody::Content(content, bytes, &digest)).await.unwrap_err();
            assert_eq!(error.disposition(), Disposition::Reject, "{content:?} {bytes}");
        }
        assert!(script.heads().is_empty());
    }

    #[tokio::test]
    async fn what_s3_says_to_a_put_decides_what_becomes_of_it() {
        for (answer, outcome) in [
            (done(), Ok(Stored::Now)),
            (refused(412, "PreconditionFailed"), Ok(Stored::Before)),
            (refused(409, "ConditionalRequestConflict"), Err(Disposition::Reconcile)),
            (refused(503, "SlowDown"), Err(Disposition::Reconcile)),
            (refused(400, "RequestTimeout"), Err(Disposition::Reconcile)),
            (refused(400, "BadDigest"), Err(Disposition::Reject)),
            (refused(403, "AccessDenied"), Err(Disposition::Reject)),
            (Answer::Text(500, "<html>".to_owned()), Err(Disposition::Reconcile)),
            (Answer::Lost, Err(Disposition::Reconcile)),
        ] {
            let script = Script::new([answer.clone()]);
            let put = bucket(&script).put(&thumbnail(), ObjectBody::Bytes(b"t")).await;
            assert_eq!(put.map_err(|error| error.disposition()), outcome, "{answer:?}");
            assert_eq!(script.heads().len(), 1, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn only_404_says_that_an_object_is_not_there() {
        for (status, outcome) in
            [(200, Ok(true)), (404, Ok(false)), (403, Err(Disposition::Reconcile)), (503, Err(Disposition::Reconcile))]
        {
            let script = Script::new([Answer::Text(status, String::new())]);
            let has = bucket(&script).has(&thumbnail()).await;
            assert_eq!(has.map_err(|error| error.disposition()), outcome, "{status}");
            assert_eq!(script.heads()[0].line, format!("HEAD /pictures/{}", thumbnail().key()));
        }
    }

    #[tokio::test]
    async fn the_list_goes_on_over_pages_of_strangers() {
        let key = thumbnail().key();
        let script = Script::new([page(&["a", "b"], true), page(&["originals/x", &key], true), page(&["z"], false)]);
        assert_eq!(bucket(&script).list(None).await.unwrap(), [thumbnail()]);
        assert_eq!(bucket(&script).list(Some(&thumbnail())).await.unwrap(), []);
        let heads = script.heads();
        let encoded = key.replace('/', "%2F");
        let starts = ["".to_owned(), "&start-after=b".to_owned(), format!("&start-after={encoded}")];
        let lines: Vec<String> = heads.into_iter().map(|head| head.line).collect();
        assert_eq!(lines, starts.map(|start| format!("GET /pictures/?list-type=2{start}")));
    }
}
