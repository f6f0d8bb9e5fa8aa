//! The loop that every function runs in: an invocation comes in, its answer goes out, one after the other.
//!
//! What a handler holds while it waits is tens of KiB. It stands on the heap, because the runtime's layers pass it on
//! by value, each to the next.

pub use lambda_runtime::Error;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::deadline::Deadline;
use crate::http::{ApiEvent, Request, Response};

/// Hands events of a queue, or of a schedule, to a handler, as long as the process lives.
pub async fn serve<Event, Answer, Handling>(handle: impl Fn(Event, Deadline) -> Handling) -> Result<(), Error>
where
    Event: DeserializeOwned,
    Answer: Serialize,
    Handling: Future<Output = Result<Answer, Error>>,
{
    let serve = service_fn(|LambdaEvent { payload, context }: LambdaEvent<Event>| {
        Box::pin(handle(payload, Deadline::from_lambda(context.deadline)))
    });
    lambda_runtime::run(serve).await
}

/// Hands requests of the HTTP API to a handler, which answers every one of them, as long as the process lives.
pub async fn serve_http<Handling>(handle: impl Fn(Request, Deadline) -> Handling) -> Result<(), Error>
where
    Handling: Future<Output = Response>,
{
    let serve = service_fn(|LambdaEvent { payload, context }: LambdaEvent<ApiEvent>| {
        let answering = handle(Request::new(payload, context.request_id), Deadline::from_lambda(context.deadline));
        Box::pin(async move { Ok::<_, std::convert::Infallible>(answering.await) })
    });
    lambda_runtime::run(serve).await
}
