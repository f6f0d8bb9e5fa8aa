//! The warnings of libraries (the runtime, the SDK), as lines of our log.
//!
//! Their lower levels may quote requests, so no setting turns those on: they are not even compiled (`tracing`, in
//! Cargo.toml). Spans are not kept: room for those of thousands of threads, as a subscriber for any program has it, is a
//! part of a start (`docs/decisions/2026-11-26-a-start-makes-one-connector-and-reads-the-secrets.md`).

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::log::{Log, Stdout, WideEvent, event, field};

/// Takes down warnings from now on.
pub fn init() {
    tracing::subscriber::set_global_default(Warnings(Stdout::default())).ok();
}

/// Where they go.
struct Warnings<L>(L);

impl<L: Log + Send + Sync + 'static> Subscriber for Warnings<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= LevelFilter::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut said = Fields::default();
        event.record(&mut said);
        let metadata = event.metadata();
        let line = WideEvent::new(event::LIBRARY_WARNED, &metadata.level().as_str().to_ascii_lowercase());
        let line = line.with(field::LIBRARY, metadata.target());
        let with = |line: WideEvent, (name, text)| line.with(&format!("{}.{name}", field::LIBRARY), text);
        self.0.write(said.0.into_iter().fold(line, with));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What a warning says, as texts by their names.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<WideEvent>>>);

    impl Log for Lines {
        fn write(&self, event: WideEvent) {
            self.0.lock().unwrap().push(event);
        }
    }

    #[test]
    fn warnings_become_lines_within_spans_and_without() {
        let lines = Lines::default();
        tracing::subscriber::with_default(Warnings(lines.clone()), || {
            let span = tracing::error_span!(target: "sdk", "call", attempt = 1);
            span.in_scope(|| tracing::warn!(target: "sdk", event = "retried", attempt = 2, "slow {}", "down"));
            tracing::error!(target: "runtime", "gone");
        });
        let warned = |level: &str, library: &str| WideEvent::new(event::LIBRARY_WARNED, level).with("library", library);
        let expected = [
            warned("warn", "sdk")
                .with("library.message", "slow down")
                .with("library.event", "retried")
                .with("library.attempt", "2"),
            warned("error", "runtime").with("library.message", "gone"),
        ];
        assert_eq!(*lines.0.lock().unwrap(), expected);
    }
}
