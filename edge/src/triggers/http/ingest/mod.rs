//! Receives readings, and replays or deletes single dead letters.

mod dead_letters;
mod post;
mod receipt;

pub(crate) use dead_letters::routes as dead_letter_routes;
pub(crate) use post::ingest;
