//! The line on platforms that keep no instance between events.
//!
//! On Spin and wasmCloud an instance may live for one event only, and two may run at once. So the state of each stage
//! is stored outside the instance, under compare-and-swap, and the queues between the stages are tables of the store.
//! [`Ports`] lists what a platform has to provide; `stage_driver.rs` explains how a queue is processed. An adapter for
//! a platform implements [`Ports`] and passes the events of its triggers to [`Line`].

#![cfg_attr(
    not(all(feature = "ingest", feature = "featurize", feature = "detect", feature = "alert", feature = "schedule")),
    allow(dead_code, unused_imports, reason = "an adapter with some of the stages leaves out what the others need")
)]

pub mod action_rules;
mod actions;
mod contract_mapping;
mod contracts;
mod dictionary;
mod dispatch;
mod error;
mod events;
#[cfg(feature = "ingest")]
mod intake;
mod line;
#[cfg(feature = "line-api")]
pub mod line_api;
mod notification;
mod operations;
mod plant;
mod platform;
mod ports;
mod query;
mod queue;
mod rows;
#[cfg(all(feature = "ingest", feature = "featurize", feature = "detect"))]
mod sample_scoring;
pub mod schema;
mod stage_driver;
mod stages;
mod store;
#[cfg(all(test, feature = "featurize"))]
mod tests;

pub use action_rules::ActionError;
pub use error::LineError;
#[cfg(feature = "ingest")]
pub use intake::{Reason, Receipt, RejectedPart};
pub use line::{Dispatch, Line};
pub use platform::{load_plant, now, run_sync};
pub use ports::{Dialect, PortError, Ports, Topic};
pub use query::{row_to_json, rows_to_json, select_statement};
pub use wheeltapper_domain::Value;
pub use wheeltapper_line_api::{Action, ActionRequest, DetectRequest, Filter, Submission, Table, Verdict};

/// Returns the bus subject or channel for a topic and key, such as `raw-sensor-data.north-hall-pump-1-1f3a9c02`.
pub fn subject(topic: Topic, key: &str) -> String {
    format!("{}.{}", topic.name(), subject_token(key))
}

/// Returns a key as one token of a subject or of a state's name: its letters, digits and dashes, at most 48 of them,
/// and 8 digits of its hash, because two keys may have the same letters.
pub fn subject_token(key: &str) -> String {
    let readable: String =
        key.chars().take(48).map(|each| if each.is_ascii_alphanumeric() { each } else { '-' }).collect();
    let mut hash = blake3::hash(key.as_bytes()).to_hex().to_string();
    hash.truncate(8);
    format!("{readable}-{hash}")
}
