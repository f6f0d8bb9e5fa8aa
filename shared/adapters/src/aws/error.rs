//! What an SDK error means: why, and whether the thing may have happened. What is not listed is
//! indeterminate (law 4).

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::error::{Cause, Certainty, PortError};

/// Error codes that AWS services answer, and why. S3's `PreconditionFailed` is not among them: that an object is there
/// already is an outcome, and `ConditionalRequestConflict` is what asks to put it again. Sources: the API references of DynamoDB, SQS, Secrets
/// Manager and S3, sections Errors and Common Errors.
const REFUSALS: [(&str, Cause); 43] = [
    ("ThrottlingException", Cause::Throttled),
    ("Throttling", Cause::Throttled),
    ("ThrottledException", Cause::Throttled),
    ("RequestThrottled", Cause::Throttled),
    ("RequestThrottledException", Cause::Throttled),
    ("ProvisionedThroughputExceededException", Cause::Throttled),
    ("RequestLimitExceeded", Cause::Throttled),
    ("OverLimit", Cause::Throttled),
    ("LimitExceededException", Cause::Throttled),
    ("KmsThrottled", Cause::Throttled),
    ("TransactionConflictException", Cause::Contended),
    ("TransactionInProgressException", Cause::Contended),
    ("TransactionCanceledException", Cause::Contended),
    ("IdempotentParameterMismatchException", Cause::Rejected),
    ("ReplicatedWriteConflictException", Cause::Contended),
    ("ServiceUnavailable", Cause::Away),
    ("AccessDeniedException", Cause::Rejected),
    ("AccessDenied", Cause::Rejected),
    ("UnrecognizedClientException", Cause::Rejected),
    ("InvalidClientTokenId", Cause::Rejected),
    ("ExpiredTokenException", Cause::Rejected),
    ("InvalidSignatureException", Cause::Rejected),
    ("ValidationException", Cause::Rejected),
    ("ResourceNotFoundException", Cause::Rejected),
    ("QueueDoesNotExist", Cause::Rejected),
    ("AWS.SimpleQueueService.NonExistentQueue", Cause::Rejected),
    ("InvalidMessageContents", Cause::Rejected),
    ("ItemCollectionSizeLimitExceededException", Cause::Rejected),
    ("SlowDown", Cause::Throttled),
    ("OperationAborted", Cause::Contended),
    ("ConditionalRequestConflict", Cause::Contended),
    ("InternalError", Cause::Away),
    ("RequestTimeout", Cause::Away),
    ("NoSuchBucket", Cause::Rejected),
    ("NoSuchKey", Cause::Rejected),
    ("EntityTooLarge", Cause::Rejected),
    ("BadDigest", Cause::Rejected),
    ("InvalidDigest", Cause::Rejected),
    ("InvalidRequest", Cause::Rejected),
    ("XAmzContentSHA256Mismatch", Cause::Rejected),
    ("InvalidAccessKeyId", Cause::Rejected),
    ("SignatureDoesNotMatch", Cause::Rejected),
    ("ExpiredToken", Cause::Rejected),
];

/// Classifies an SDK error.
pub(super) fn classify<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let (cause, certainty) = match &error {
        // Built wrongly: nothing was sent.
        SdkError::ConstructionFailure(_) => (Cause::Rejected, Certainty::Determinate),
        SdkError::ServiceError(context) => refusal(context.err().code()),
        // Perhaps sent, and no answer that can be read.
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) | _ => {
            (Cause::Away, Certainty::Indeterminate)
        }
    };
    PortError { operation, cause, certainty, source: Some(Box::new(error)) }
}

/// The error is that of the SDK's last try. A refusal for good would have met the first try as well, and the
/// SDK does not try those again; any other may follow a try that was done and whose answer was lost.
fn refusal(code: Option<&str>) -> (Cause, Certainty) {
    let listed = REFUSALS.iter().find(|(known, _)| Some(*known) == code);
    match listed.map(|(_, cause)| *cause) {
        Some(Cause::Rejected) => (Cause::Rejected, Certainty::Determinate),
        Some(cause) => (cause, Certainty::Indeterminate),
        None => (Cause::Away, Certainty::Indeterminate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_may_have_happened() {
        assert_eq!(refusal(Some("InternalServerError")), (Cause::Away, Certainty::Indeterminate));
        assert_eq!(refusal(None), (Cause::Away, Certainty::Indeterminate));
        assert_eq!(refusal(Some("ThrottlingException")), (Cause::Throttled, Certainty::Indeterminate));
        assert_eq!(refusal(Some("ValidationException")), (Cause::Rejected, Certainty::Determinate));
        assert_eq!(refusal(Some("SlowDown")), (Cause::Throttled, Certainty::Indeterminate));
        assert_eq!(refusal(Some("NoSuchBucket")), (Cause::Rejected, Certainty::Determinate));
        assert_eq!(refusal(Some("BadDigest")), (Cause::Rejected, Certainty::Determinate));
        assert_eq!(refusal(Some("IncompleteBody")), (Cause::Away, Certainty::Indeterminate));
    }
}
