//! The state that the handlers share.

use std::sync::Arc;

use wheeltapper_mqtt::Mapping;

use super::{body::BodyMemory, streams::Streams};
use crate::{
    api::{Api, QueryService},
    host::Host,
};

/// The state that the handlers share.
#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) host: Arc<Host>,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) memory: Arc<BodyMemory>,
    pub(crate) max_body: usize,
    pub(crate) api: Arc<Api>,
    /// Held during a change under If-Match, so that the row does not change between the check and the change.
    pub(crate) changes: tokio::sync::Mutex<()>,
    pub(crate) query_service: Arc<QueryService>,
    pub(crate) streams: Streams,
}
