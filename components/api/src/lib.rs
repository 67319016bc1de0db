//! The HTTP API: it ingests readings and serves the results to people and programs.
//!
//! [`respond`] is the entry point, a function from a request to a response over the trait of the line. Every route can
//! therefore be tested natively; only `component.rs` uses WASI. README.md lists the routes.

mod bearer_token;
mod api_response;
mod assets;
mod json_body;
mod calendar;
#[cfg(target_family = "wasm")]
mod component;
mod cors;
mod actions;
mod detect;
mod docs;
mod line_api;
mod graphql;
mod ingest;
mod listing;
mod lttb;
mod maintenance;
mod names;
mod openapi;
mod overview;
mod compression;
mod dashboard;
mod problem;
mod query_params;
mod readings;
mod respond;
mod routes;
mod rows;
mod settings;
mod schemas;
mod event_stream;
mod time;

pub use cors::{EXPOSED_HEADERS, ALLOWED_HEADERS};
pub use line_api::{
    ActionRequest, Action, Filter, LineApi, LineApiError, RejectionReason, Receipt, Rejection, DetectRequest, Submission, Table, Verdict,
};
pub use ingest::{MAX_BODY_BYTES, PRECISIONS, exceeds_body_limit, format_with_precision};
pub use lttb::downsample;
pub use names::{check_name, is_hidden_character};
pub use openapi::openapi;
pub use respond::{incomplete_request, respond};
pub use routes::{RateLimitClass, Permission, ROUTES, RouteInfo, find_route};
pub use rows::row_to_json;
pub use settings::Settings;
pub use schemas::parse_timestamp;
