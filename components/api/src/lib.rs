//! The HTTP API: readings come in by it, and people and programs ask by it what became of them.
//!
//! [`respond`] is the whole of it, a function from a request to a response over what lies behind ([`Front`]). So every
//! route is tested natively; `component.rs` alone speaks WASI. README.md lists the routes.

mod access;
mod answer;
#[cfg(target_family = "wasm")]
mod component;
mod cors;
mod front;
mod ingest;
mod listing;
mod lttb;
mod overview;
mod page;
mod problem;
mod query;
mod readings;
mod respond;
mod routes;
mod rows;
mod settings;
mod time;

pub use front::{Filter, Front, FrontError, Reason, Receipt, Refused, Submission, Table};
pub use ingest::{LIMIT, is_too_large};
pub use lttb::thin;
pub use respond::{broken_off, respond};
pub use settings::Settings;
