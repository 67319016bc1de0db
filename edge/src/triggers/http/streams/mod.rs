//! Server-Sent Events and the WebSocket.

mod forward;
mod responses;

pub(crate) use responses::{Streams, last_event};
