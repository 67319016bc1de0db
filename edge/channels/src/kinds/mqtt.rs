//! An MQTT topic: the fields of a webhook as JSON, at QoS 1.

use std::time::Duration;

use wheeltapper_mqtt::{ClientConfig, OutgoingMessage};

use super::webhook;
use crate::{Notification, Outcome};

/// Maximum length of a topic in bytes (MQTT 5.0, 1.5.4).
const MAX_TOPIC: usize = 65_535;

/// A broker and a topic.
#[derive(Clone, Debug)]
pub(crate) struct MqttTopic {
    pub(crate) client: ClientConfig,
    pub(crate) topic: String,
    pub(crate) retain: bool,
    pub(crate) timeout: Duration,
}

impl MqttTopic {
    /// Returns the topic of a notification. Characters with a meaning in topics become `-` where they are replaced.
    pub(crate) fn topic(&self, notification: &Notification) -> String {
        let plain = |text: &str| {
            let invalid = |c: char| matches!(c, '+' | '#' | '\u{feff}') || c.is_control();
            text.chars().map(|c| if invalid(c) { '-' } else { c }).collect::<String>()
        };
        self.topic
            .replace("{asset}", &plain(&notification.asset))
            .replace("{severity}", notification.severity.name())
            .replace("{event}", notification.event.name())
    }

    /// Sends a notification once.
    pub(crate) fn send(&self, notification: &Notification) -> Outcome {
        let topic = self.topic(notification);
        if topic.len() > MAX_TOPIC {
            return Outcome::rejected("the topic is longer than 65535 bytes; write a shorter one");
        }
        let payload = webhook::fields(notification).to_string();
        let message = OutgoingMessage { topic, payload: payload.into(), retain: self.retain };
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Outcome::failed(format!("no connection can be made: {error}")),
        };
        match runtime.block_on(wheeltapper_mqtt::publish(&self.client, &message, self.timeout)) {
            Ok(()) => Outcome::Delivered,
            Err(error) if error.is_permanent => Outcome::rejected(error.message),
            Err(error) => {
                Outcome::failed(crate::tls::explain(&self.client.url, &error.message).unwrap_or(error.message))
            }
        }
    }
}
