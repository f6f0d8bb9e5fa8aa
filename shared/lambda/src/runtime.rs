//! The loop that every function runs in: an invocation comes in, its answer goes out, one after the other; and what a
//! start does while it waits.
//!
//! What a handler holds while it waits is tens of KiB. It stands on the heap, because the runtime's layers pass it on
//! by value, each to the next.

pub use lambda_runtime::Error;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::deadline::Deadline;
use crate::http::{ApiEvent, Request, Response};

/// How often others have their turn before something is made. Where a connection opens at once, by then a call has opened
/// it, found it open and sent what it asks. Nothing but time depends on it.
const TURNS_TO_ASK: usize = 3;

/// Makes something while a call is on its way: while its answer is awaited, and not while its connection opens, as `join!`
/// alone would have it, or what it asks would be put off by as long as the making takes. On AWS names are looked up and TLS is
/// opened first, which takes longer than what is made meanwhile.
pub async fn meanwhile<Answer, Made>(
    call: impl Future<Output = Answer>,
    make: impl FnOnce() -> Made,
) -> (Answer, Made) {
    let making = async {
        for _ in 0..TURNS_TO_ASK {
            tokio::task::yield_now().await;
        }
        make()
    };
    futures::join!(call, making)
}

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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A call that goes on at each of its turns, and what happens in between.
    async fn happenings(turns: usize) -> Vec<&'static str> {
        let happened = RefCell::new(Vec::new());
        let call = async {
            for _ in 0..turns {
                happened.borrow_mut().push("call");
                tokio::task::yield_now().await;
            }
            "answer"
        };
        let (answer, made) = meanwhile(call, || {
            happened.borrow_mut().push("make");
            "made"
        })
        .await;
        assert_eq!((answer, made), ("answer", "made"));
        happened.into_inner()
    }

    #[tokio::test]
    async fn things_are_made_once_a_call_has_asked_and_before_it_is_answered() {
        assert_eq!(happenings(5).await, ["call", "call", "call", "call", "make", "call"]);
        assert_eq!(happenings(1).await, ["call", "make"]);
    }
}
