//! The types of requests and responses. Request bodies are parsed into them, GraphQL returns them, and the OpenAPI
//! document is generated from them, so that the three cannot diverge.

mod access;
mod requests;
mod responses;
mod rows;
mod scalars;

pub(crate) use access::*;
pub(crate) use requests::*;
pub(crate) use responses::*;
pub(crate) use rows::*;
pub use scalars::parse_timestamp;
pub(crate) use scalars::*;
