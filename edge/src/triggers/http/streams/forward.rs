//! Forwards events and readings to one listener.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::timeout,
};

use crate::{
    api::Caller,
    registry,
    streams::{Event, Feed, LiveReadings, ReadingFrame, StreamPosition},
    triggers::http::blocking::STREAMS,
};

/// A comment line goes out after this time without an event, to keep the connection open.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// How long a disconnected listener waits before it reconnects, in milliseconds.
pub(super) const RETRY_FIELD: &str = "retry: 2000\n\n";

/// An error means that the listener has disconnected.
type SendResult = Result<(), mpsc::error::SendError<Bytes>>;

/// An event, or `None` for a heartbeat.
pub(super) type StreamItem = Option<Arc<Event>>;

/// Sends each event that the caller may see; ends when the listener disconnects.
pub(super) async fn forward_events(
    feed: &Arc<Feed>,
    caller: &Caller,
    mut from: Option<StreamPosition>,
    to: &mpsc::Sender<StreamItem>,
) -> Result<(), mpsc::error::SendError<StreamItem>> {
    loop {
        let (mut receiver, now) = feed.subscribe();
        if let Some(mut at) = from.take() {
            while at != now {
                let (reader, until) = (Arc::clone(feed), now.clone());
                let read = STREAMS.run(move || {
                    let events = reader.read(&mut at, &until);
                    (events, at)
                });
                let Ok((events, next)) = read.await else { return Ok(()) };
                at = next;
                let events = match events {
                    Ok(events) => events,
                    Err(error) => {
                        tracing::warn!(%error, "a stream of findings ended");
                        return Ok(());
                    }
                };
                for event in events.into_iter().filter(|event| caller.can_see(&event.asset)) {
                    to.send(Some(Arc::new(event))).await?;
                }
            }
        }
        let mut at = now;
        loop {
            match timeout(HEARTBEAT_INTERVAL, receiver.recv()).await {
                Ok(Ok(event)) => {
                    at.clone_from(&event.position);
                    if caller.can_see(&event.asset) {
                        to.send(Some(event)).await?;
                    }
                }
                Ok(Err(RecvError::Lagged(_))) => {
                    from = Some(at);
                    break;
                }
                Ok(Err(RecvError::Closed)) => return Ok(()),
                Err(_) => to.send(None).await?,
            }
        }
    }
}

/// Sends the readings of a sensor; ends when the listener disconnects.
pub(super) async fn forward_readings(
    live: &Arc<LiveReadings>,
    sensor: &str,
    location: registry::SensorLocation,
    from: Option<i64>,
    sender: &mpsc::Sender<Bytes>,
) -> SendResult {
    sender.send(Bytes::from_static(RETRY_FIELD.as_bytes())).await?;
    let (mut receiver, newest) = live.subscribe(location).await;
    let mut at = from.unwrap_or(newest);
    let mut behind = from.is_some();
    loop {
        if std::mem::take(&mut behind) {
            match live.readings_since(location, at).await {
                Ok(frames) => {
                    for frame in frames {
                        send_frame(&frame, sensor, &mut at, sender).await?;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, sensor, "a stream of readings ended");
                    return Ok(());
                }
            }
        }
        match timeout(HEARTBEAT_INTERVAL, receiver.recv()).await {
            Ok(Ok(frame)) => send_frame(&frame, sensor, &mut at, sender).await?,
            Ok(Err(RecvError::Lagged(_))) => behind = true,
            Ok(Err(RecvError::Closed)) => return Ok(()),
            Err(_) => sender.send(Bytes::from_static(b":\n\n")).await?,
        }
    }
}

async fn send_frame(frame: &ReadingFrame, sensor: &str, at: &mut i64, sender: &mpsc::Sender<Bytes>) -> SendResult {
    let Some((newest, text)) = frame.text(sensor, *at) else { return Ok(()) };
    *at = newest;
    sender.send(Bytes::from(format!("event: readings\nid: {newest}\ndata: {text}\n\n"))).await
}
