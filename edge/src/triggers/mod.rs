//! The triggers, which receive events: HTTP, MQTT, NATS JetStream and the timer.

pub mod http;
pub mod mqtt;
pub mod nats;
pub mod timer;

/// Returns once `stop` is true or its sender is gone.
pub(crate) async fn wait_for_stop(stop: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
