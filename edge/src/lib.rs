//! The edge host: a small serverless host for the line's components.
//!
//! Triggers ([`triggers`]) submit events to the [`intake`], which decodes them in the ingest component and makes the
//! readings durable before it replies. The [`line`](mod@line) reads them from the log and runs featurize, detect and
//! alert; the planner runs schedule. Results are in the store. [`host::Host`] connects these modules.

pub mod access;
pub mod api;
pub mod clock;
pub mod commands;
pub mod components;
mod connections;
pub mod data_folder;
pub mod evaluation;
pub mod host;
pub mod intake;
pub mod latest_findings;
pub mod line;
pub mod metrics;
mod name_dictionary;
pub mod notifier;
pub mod registry;
mod rows;
mod run_to_failure;
pub mod serve;
pub mod streams;
pub mod supervisor;
mod terminal_output;
pub mod topics;
pub mod triggers;
