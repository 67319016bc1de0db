//! Server-Sent Events and the WebSocket.
//!
//! Each listener has a task that writes into a short channel, so that a listener that does not read holds only a few
//! events in memory. A listener that falls behind reads on from the log and the store.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::ws::{Message, WebSocket},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, watch};

use super::forward::{RETRY_FIELD, forward_events, forward_readings};
use crate::{
    api::Caller,
    registry,
    streams::{Event, Feed, LiveReadings, StreamPosition},
    triggers::http::{
        auth::{StreamSession, revoked},
        problem::Problem,
    },
};

/// The number of events that wait for a listener to read.
const CHANNEL_CAPACITY: usize = 16;

/// The sources of the streams.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(crate) feed: Arc<Feed>,
    pub(crate) live: Arc<LiveReadings>,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// The id of the last event that a listener received: from the header that browsers send, or from the query.
pub(crate) fn last_event(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
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

impl Streams {
    /// Stops the sources when the host stops: they hold it.
    pub(crate) async fn stop_with_host(mut self) {
        crate::triggers::wait_for_stop(&mut self.stopping).await;
        self.feed.stop();
        self.live.stop();
    }

    /// `GET /api/v1/anomalies/stream`.
    pub(crate) fn stream_findings(
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
    pub(crate) async fn socket(
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
    pub(crate) fn resume_position(&self, last_id: Option<&str>) -> Result<Option<StreamPosition>, Problem> {
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
    pub(crate) fn stream_readings(
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

/// An event as the text of a WebSocket message.
fn event_json(event: &Event) -> String {
    format!("{{\"type\":\"{}\",\"id\":\"{}\",\"data\":{}}}", event.kind, event.position, event.data)
}
