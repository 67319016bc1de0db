//! The cron trigger: advances the line's time.

use wheeltapper_line::{LineError, run_sync};

use crate::platform::line;

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/cron")]
mod bindings {
    wit_bindgen::generate!({ path: "wit/cron", world: "spin-cron" });
}

use bindings::{Error, Guest, Metadata};

struct Component;

impl Guest for Component {
    async fn handle_cron_event(metadata: Metadata) -> Result<(), Error> {
        let to_error = |error: LineError| Error::Other(error.to_string());
        let seconds = i64::try_from(metadata.timestamp).unwrap_or(i64::MAX);
        run_sync(line().map_err(to_error)?.tick(seconds.saturating_mul(1_000_000_000))).map_err(to_error)
    }
}

bindings::export!(Component with_types_in bindings);
