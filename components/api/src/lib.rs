//! The HTTP API: it ingests readings and serves the results to people and programs.
//!
//! [`respond`] is the entry point, a function from a request to a response over the trait of the line. Every route can
//! therefore be tested natively; only `component.rs` uses WASI. README.md lists the routes.

mod actions;
mod api_response;
mod assets;
mod bearer_token;
mod calendar;
#[cfg(target_family = "wasm")]
mod component;
mod compression;
mod cors;
mod dashboard;
mod detect;
mod docs;
mod event_stream;
mod graphql;
mod ingest;
mod json_body;
mod line_api;
mod listing;
mod lttb;
mod maintenance;
mod names;
mod openapi;
mod overview;
mod problem;
mod query_params;
mod readings;
mod respond;
mod routes;
mod rows;
mod schemas;
mod settings;
mod time;

pub use cors::{ALLOWED_HEADERS, EXPOSED_HEADERS};
pub use ingest::{MAX_BODY_BYTES, PRECISIONS, exceeds_body_limit, format_with_precision};
pub use line_api::{
    Action, ActionRequest, DetectRequest, Filter, LineApi, LineApiError, Receipt, Rejection, RejectionReason,
    Submission, Table, Verdict,
};
pub use lttb::downsample;
pub use names::{check_name, is_hidden_character};
pub use openapi::openapi;
pub use respond::{incomplete_request, respond};
pub use routes::{Permission, ROUTES, RateLimitClass, RouteInfo, find_route};
pub use rows::row_to_json;
pub use schemas::parse_timestamp;
pub use settings::Settings;
