//! What brings events in: HTTP, MQTT, NATS JetStream and the timer.

pub mod http;
pub mod mqtt;
pub mod nats;
pub mod timer;
