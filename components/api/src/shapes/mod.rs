//! What is sent and what is answered, as types: requests are read into them, GraphQL answers with them, and the OpenAPI
//! document is made of them. None of them can go its own way.

mod access;
mod answers;
mod requests;
mod rows;
mod scalars;

pub(crate) use access::*;
pub(crate) use answers::*;
pub(crate) use requests::*;
pub(crate) use rows::*;
pub use scalars::moment;
pub(crate) use scalars::*;
