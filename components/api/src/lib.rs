//! The HTTP API: readings come in by it, and people and programs ask by it what became of them.
//!
//! [`respond`] is the whole of it, a function from a request to a response over what lies behind ([`Front`]). So every
//! route is tested natively; `component.rs` alone speaks WASI. README.md lists the routes.

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
