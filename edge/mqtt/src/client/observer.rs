//! What a client reports of its connection.

/// A change of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEvent<'a> {
    /// The broker has accepted the connection and all subscriptions.
    Subscribed,
    /// The connection could not be made, or has ended.
    Disconnected {
        /// Why.
        reason: &'a str,
    },
}

/// Called at every change of the connection.
pub(crate) type Observer<'a> = &'a (dyn Fn(ClientEvent<'_>) + Send + Sync);
