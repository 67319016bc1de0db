//! Server-Sent Events and the WebSocket.
//!
//! Each listener has a task that writes into a short channel, so that a listener that does not read holds only a few
//! events in memory. A listener that falls behind reads on from the log and the store.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::ws::{Message, WebSocket},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc, watch},
    time::timeout,
};

use super::{
    Problem,
    blocking::STREAMS,
    session_revalidation::{StreamSession, revoked},
};
use crate::{
    api::Caller,
    registry,
    streams::{Event, Feed, LiveReadings, StreamPosition},
};

/// A comment line goes out after this time without an event, to keep the connection open.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// The number of events that wait for a listener to read.
const CHANNEL_CAPACITY: usize = 16;
/// How long a disconnected listener waits before it reconnects, in milliseconds.
const RETRY_FIELD: &str = "retry: 2000\n\n";

/// The sources of the streams.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) feed: Arc<Feed>,
    pub(super) live: Arc<LiveReadings>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// The id of the last event that a listener received: from the header that browsers send, or from the query.
pub(super) fn last_event(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let from_query = || {
        let pairs = url_pairs(query.unwrap_or_default());
        pairs.into_iter().find(|(name, _)| name == "last_event_id").map(|(_, value)| value)
    };
    header.or_else(from_query).filter(|id| !id.is_empty())
}

fn url_pairs(query: &str) -> Vec<(String, String)> {
    axum::extract::Query::<Vec<(String, String)>>::try_from_uri(
        &format!("/?{query}").parse().unwrap_or_else(|_| http::Uri::from_static("/")),
    )
    .map_or_else(|_| Vec::new(), |pairs| pairs.0)
}

/// An error means that the listener has disconnected.
type SendResult = Result<(), mpsc::error::SendError<Bytes>>;

impl Streams {
    /// Polls for new readings until the host stops.
    pub(super) async fn run(mut self) {
        tokio::select! {
            () = self.live.run() => {}
            () = crate::triggers::wait_for_stop(&mut self.stopping) => {}
        }
        self.feed.stop();
    }

    /// `GET /api/v1/anomalies/stream`.
    pub(super) fn stream_findings(
        &self,
        caller: Caller,
        session: Option<StreamSession>,
        last_id: Option<&str>,
    ) -> Result<Response, Problem> {
        let from = self.resume_position(last_id)?;
        let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        let (feed, mut stopping) = (Arc::clone(&self.feed), self.stopping.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = forward_events(&feed, &caller, from, &sender) => {}
                () = revoked(session) => {}
                () = crate::triggers::wait_for_stop(&mut stopping) => {}
            }
        });
        let bytes = stream::unfold(receiver, async |mut receiver| {
            let text = match receiver.recv().await? {
                Some(event) => format!("event: {}\nid: {}\ndata: {}\n\n", event.kind, event.position, event.data),
                None => ":\n\n".to_owned(),
            };
            Some((Ok::<_, Infallible>(Bytes::from(text)), receiver))
        });
        let retry = stream::once(std::future::ready(Ok(Bytes::from_static(RETRY_FIELD.as_bytes()))));
        Ok(events(Body::from_stream(retry.chain(bytes))))
    }

    /// `GET /ws/anomalies`, once it is a WebSocket.
    pub(super) async fn socket(
        self,
        caller: Caller,
        session: Option<StreamSession>,
        from: Option<StreamPosition>,
        mut socket: WebSocket,
    ) {
        let mut stopping = self.stopping.clone();
        let (sender, mut receiver) = mpsc::channel(CHANNEL_CAPACITY);
        let mut lost = std::pin::pin!(revoked(session));
        let mut forwarding = std::pin::pin!(forward_events(&self.feed, &caller, from, &sender));
        loop {
            tokio::select! {
                _ = &mut forwarding => break,
                () = &mut lost => break,
                () = crate::triggers::wait_for_stop(&mut stopping) => break,
                event = receiver.recv() => {
                    let message = match event.flatten() {
                        Some(event) => Message::text(event_json(&event)),
                        None => Message::Ping(Bytes::new()),
                    };
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                // Messages from the listener are ignored; they only show that it is still connected.
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
            }
        }
        let _ = socket.send(Message::Close(None)).await;
    }

    /// The position after the event `last_id`, where a listener resumes; `None`: start with new events.
    pub(super) fn resume_position(&self, last_id: Option<&str>) -> Result<Option<StreamPosition>, Problem> {
        let Some(last_id) = last_id else { return Ok(None) };
        let position = self.feed.parse_position(last_id).ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("{last_id:?} is not the id of an event of this host; leave it out to receive new events only"),
            )
        })?;
        Ok(Some(position))
    }

    /// `GET /api/v1/sensors/{id}/stream`.
    pub(super) fn stream_readings(
        &self,
        sensor: String,
        location: registry::SensorLocation,
        session: Option<StreamSession>,
        last_id: Option<&str>,
    ) -> Result<Response, Problem> {
        let from = last_id.map(str::parse::<i64>).transpose().map_err(|_| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("{last_id:?} is not the id of such an event, which is a time in nanoseconds since 1970; leave it out to receive new readings only"),
            )
        })?;
        let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        let (live, mut stopping) = (Arc::clone(&self.live), self.stopping.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = forward_readings(&live, &sensor, location, from, &sender) => {}
                () = revoked(session) => {}
                () = crate::triggers::wait_for_stop(&mut stopping) => {}
            }
        });
        let bytes = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<Bytes>| {
            receiver.recv().await.map(|bytes| (Ok::<_, Infallible>(bytes), receiver))
        });
        Ok(events(Body::from_stream(bytes)))
    }
}

fn events(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that buffer responses would delay the events.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

/// An event, or `None` for a heartbeat.
type StreamItem = Option<Arc<Event>>;

/// Sends each event that the caller may see; ends when the listener disconnects.
async fn forward_events(
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

async fn forward_readings(
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

async fn send_frame(
    frame: &crate::streams::ReadingFrame,
    sensor: &str,
    at: &mut i64,
    sender: &mpsc::Sender<Bytes>,
) -> SendResult {
    let Some((newest, text)) = frame.text(sensor, *at) else { return Ok(()) };
    *at = newest;
    sender.send(Bytes::from(format!("event: readings\nid: {newest}\ndata: {text}\n\n"))).await
}

/// An event as the text of a WebSocket message.
fn event_json(event: &Event) -> String {
    format!("{{\"type\":\"{}\",\"id\":\"{}\",\"data\":{}}}", event.kind, event.position, event.data)
}
