//! The HTTP API: it ingests readings and serves the results to people and programs.
//!
//! [`respond`] is the entry point, a function from a request to a response over the trait of the line. Every route can
//! therefore be tested natively; only `component.rs` uses WASI. README.md lists the routes.

mod access;
mod answer;
mod assets;
mod body;
mod calendar;
#[cfg(target_family = "wasm")]
mod component;
mod cors;
mod deeds;
mod detect;
mod docs;
mod front;
mod graphql;
mod ingest;
mod listing;
mod lttb;
mod maintenance;
mod names;
mod openapi;
mod overview;
mod pack;
mod page;
mod problem;
mod query;
mod readings;
mod respond;
mod routes;
mod rows;
mod settings;
mod shapes;
mod stream;
mod time;

pub use cors::{EXPOSED, SENT};
pub use front::{
    Change, Deed, Filter, Front, FrontError, Reason, Receipt, Refused, Sample, Submission, Table, Verdict,
};
pub use ingest::{LIMIT, PRECISIONS, is_too_large, with_precision};
pub use lttb::thin;
pub use names::{check_name, is_hidden};
pub use openapi::openapi;
pub use respond::{broken_off, respond};
pub use routes::{Class, Permission, ROUTES, RouteInfo, route_of};
pub use rows::item;
pub use settings::Settings;
pub use shapes::moment;
