//! What brings events in: HTTP, MQTT, NATS JetStream and the timer.

pub mod http;
pub mod mqtt;
pub mod nats;
pub mod timer;

/// Returns once `stop` is true, or nobody is left who could say so.
pub(crate) async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
