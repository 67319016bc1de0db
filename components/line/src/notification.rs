//! Messages on the platform's bus, which tell another instance that a queue has new events.

use serde::{Deserialize, Serialize};

use crate::{Line, Ports, Topic};

/// The body of a bus message. It names the queue that has new events, not the events.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Notification {
    pub(crate) topic: String,
    pub(crate) key: String,
}

impl<P: Ports> Line<P> {
    /// Publishes a notification on the bus. If the bus does not answer, the next tick processes the queue.
    pub(crate) async fn notify(&self, topic: Topic, key: &str) {
        let notification = Notification { topic: topic.name().to_owned(), key: key.to_owned() };
        let Ok(body) = serde_json::to_vec(&notification) else { return };
        if let Err(error) = self.ports.publish(topic, key, &body).await {
            eprintln!(
                "wheeltapper: cannot publish the notification for {} of {key}: {error}; the next tick processes the queue",
                topic.name()
            );
        }
    }
}
