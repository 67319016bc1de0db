//! A message inside the broker.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::codec::{self, Properties};

/// A message for delivery; its subscribers share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) topic: Arc<str>,
    pub(crate) payload: Bytes,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// Properties that are forwarded to subscribers. `message_expiry` is not among them; the expiry is stored
    /// separately.
    pub(crate) properties: Option<Box<Properties>>,
    pub(crate) expires_at: Option<Instant>,
    /// Key of the publishing session; 0 for the broker itself.
    pub(crate) publisher_key: u64,
}

impl Message {
    pub(crate) fn new(publish: &mut codec::Publish, publisher: u64) -> Self {
        let (properties, expires) = forwarded_properties(publish.properties.take());
        Self {
            topic: Arc::clone(&publish.topic),
            payload: publish.payload.clone(),
            qos: publish.qos,
            retain: publish.retain,
            properties,
            expires_at: expires,
            publisher_key: publisher,
        }
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Seconds until the message expires, rounded up.
    pub(crate) fn remaining_seconds(&self, now: Instant) -> Option<u32> {
        let left = self.expires_at?.saturating_duration_since(now);
        Some(u32::try_from(left.as_secs() + u64::from(left.subsec_nanos() > 0)).unwrap_or(u32::MAX))
    }

    /// Approximate memory use in bytes.
    pub(crate) fn size(&self) -> usize {
        let properties = self.properties.as_ref().map_or(0, |properties| properties.heap_size());
        self.topic.len() + self.payload.len() + properties
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.properties.as_ref()?.content_type.as_deref()
    }
}

/// Returns the properties of a PUBLISH or will that are forwarded to subscribers, and the time at which the message
/// expires.
pub(crate) fn forwarded_properties(properties: Option<Box<Properties>>) -> (Option<Box<Properties>>, Option<Instant>) {
    let Some(mut properties) = properties else { return (None, None) };
    properties.topic_alias = None;
    properties.will_delay = None;
    properties.subscription_ids.clear();
    let expires = properties
        .message_expiry
        .take()
        .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds.into())));
    let any = *properties != Properties::default();
    (any.then_some(properties), expires)
}
