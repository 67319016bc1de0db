//! The edge host: a small serverless host for the line's components.
//!
//! Triggers ([`triggers`]) hand events to the [`intake`], which decodes them in the ingest component and makes the
//! readings durable before it answers. The [`line`](mod@line) takes them from the log through featurize, detect and
//! alert, and the planner through schedule; results lie in the store. [`host::Host`] puts all of it together.

pub mod access;
pub mod api;
pub mod clock;
pub mod commands;
pub mod components;
pub mod courier;
mod dictionary;
pub mod evaluation;
pub mod folder;
pub mod host;
pub mod intake;
pub mod line;
mod lives;
pub mod metrics;
pub mod registry;
pub mod report;
pub mod serve;
pub mod streams;
pub mod supervisor;
mod terminal;
pub mod triggers;
