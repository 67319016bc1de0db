//! Server-Sent Events and the WebSocket.
//!
//! Each listener has a task that writes into a short channel, so that one that does not read holds a few events and no
//! more. Whoever falls behind reads on from the log and the store.

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
    standing::{Standing, lost},
};
use crate::{
    api::Caller,
    registry,
    streams::{Event, Feed, Live, Place},
};

/// A line that keeps the connection open goes out after so long without an event.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that wait for a listener to read.
const WAITING: usize = 16;
/// How long a listener that broke off waits before it comes again, in milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// What the streams follow.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) feed: Arc<Feed>,
    pub(super) live: Arc<Live>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// Where a listener was: the header that browsers send, or the query's parameter.
pub(super) fn last_event(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let asked = || {
        let pairs = url_pairs(query.unwrap_or_default());
        pairs.into_iter().find(|(name, _)| name == "last_event_id").map(|(_, value)| value)
    };
    header.or_else(asked).filter(|id| !id.is_empty())
}

fn url_pairs(query: &str) -> Vec<(String, String)> {
    axum::extract::Query::<Vec<(String, String)>>::try_from_uri(
        &format!("/?{query}").parse().unwrap_or_else(|_| http::Uri::from_static("/")),
    )
    .map_or_else(|_| Vec::new(), |pairs| pairs.0)
}

/// Where one that is gone is told so.
type Gone = Result<(), mpsc::error::SendError<Bytes>>;

impl Streams {
    /// Looks for new readings until the host stops.
    pub(super) async fn run(mut self) {
        tokio::select! {
            () = self.live.run() => {}
            () = crate::triggers::stopped(&mut self.stopping) => {}
        }
        self.feed.stop();
    }

    /// `GET /api/v1/anomalies/stream`.
    pub(super) fn findings(
        &self,
        caller: Caller,
        standing: Option<Standing>,
        last: Option<&str>,
    ) -> Result<Response, Problem> {
        let from = self.place(last)?;
        let (sender, told) = mpsc::channel(WAITING);
        let (feed, mut stopping) = (Arc::clone(&self.feed), self.stopping.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = follow(&feed, &caller, from, &sender) => {}
                () = lost(standing) => {}
                () = crate::triggers::stopped(&mut stopping) => {}
            }
        });
        let bytes = stream::unfold(told, async |mut told| {
            let text = match told.recv().await? {
                Some(event) => format!("event: {}\nid: {}\ndata: {}\n\n", event.kind, event.place, event.data),
                None => ":\n\n".to_owned(),
            };
            Some((Ok::<_, Infallible>(Bytes::from(text)), told))
        });
        let retry = stream::once(std::future::ready(Ok(Bytes::from_static(RETRY.as_bytes()))));
        Ok(events(Body::from_stream(retry.chain(bytes))))
    }

    /// `GET /ws/anomalies`, once it is a WebSocket.
    pub(super) async fn socket(
        self,
        caller: Caller,
        standing: Option<Standing>,
        from: Option<Place>,
        mut socket: WebSocket,
    ) {
        let mut stopping = self.stopping.clone();
        let (sender, mut told) = mpsc::channel(WAITING);
        let mut lost = std::pin::pin!(lost(standing));
        let mut following = std::pin::pin!(follow(&self.feed, &caller, from, &sender));
        loop {
            tokio::select! {
                _ = &mut following => break,
                () = &mut lost => break,
                () = crate::triggers::stopped(&mut stopping) => break,
                event = told.recv() => {
                    let message = match event.flatten() {
                        Some(event) => Message::text(frame(&event)),
                        None => Message::Ping(Bytes::new()),
                    };
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                // What is sent here says nothing to us but that somebody is there.
                heard = socket.recv() => match heard {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
            }
        }
        let _ = socket.send(Message::Close(None)).await;
    }

    /// Where a listener goes on; none: now.
    pub(super) fn place(&self, last: Option<&str>) -> Result<Option<Place>, Problem> {
        let Some(last) = last else { return Ok(None) };
        let place = self.feed.resume(last).ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("{last:?} is no id of an event of this host; leave it out to go on from now"),
            )
        })?;
        Ok(Some(place))
    }

    /// `GET /api/v1/sensors/{id}/stream`.
    pub(super) fn readings(
        &self,
        sensor: String,
        place: registry::Place,
        standing: Option<Standing>,
        last: Option<&str>,
    ) -> Result<Response, Problem> {
        let from = last.map(str::parse::<i64>).transpose().map_err(|_| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("{last:?} is no id of such an event: that is a time in nanoseconds since 1970; leave it out to go on from now"),
            )
        })?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let (live, mut stopping) = (Arc::clone(&self.live), self.stopping.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = watch_sensor(&live, &sensor, place, from, &sender) => {}
                () = lost(standing) => {}
                () = crate::triggers::stopped(&mut stopping) => {}
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
        // Proxies that gather answers would hold the events back.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

/// An event, or none when the connection was quiet.
type Told = Option<Arc<Event>>;

/// Tells each event that the caller may see; ends when nobody hears it.
async fn follow(
    feed: &Arc<Feed>,
    caller: &Caller,
    mut from: Option<Place>,
    to: &mpsc::Sender<Told>,
) -> Result<(), mpsc::error::SendError<Told>> {
    loop {
        let (mut receiver, now) = feed.listen();
        if let Some(mut at) = from.take() {
            while at != now {
                let (reading, until) = (Arc::clone(feed), now.clone());
                let read = STREAMS.run(move || {
                    let events = reading.read(&mut at, &until);
                    (events, at)
                });
                let Ok((events, next)) = read.await else { return Ok(()) };
                at = next;
                let events = match events {
                    Ok(events) => events,
                    Err(error) => {
                        tracing::warn!(%error, "a stream of findings ends");
                        return Ok(());
                    }
                };
                for event in events.into_iter().filter(|event| caller.sees(&event.asset)) {
                    to.send(Some(Arc::new(event))).await?;
                }
            }
        }
        let mut at = now;
        loop {
            match timeout(HEARTBEAT, receiver.recv()).await {
                Ok(Ok(event)) => {
                    at.clone_from(&event.place);
                    if caller.sees(&event.asset) {
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

async fn watch_sensor(
    live: &Arc<Live>,
    sensor: &str,
    place: registry::Place,
    from: Option<i64>,
    sender: &mpsc::Sender<Bytes>,
) -> Gone {
    sender.send(Bytes::from_static(RETRY.as_bytes())).await?;
    let (mut receiver, newest) = live.listen(place).await;
    let mut at = from.unwrap_or(newest);
    let mut behind = from.is_some();
    loop {
        if std::mem::take(&mut behind) {
            match live.since(place, at).await {
                Ok(frames) => {
                    for frame in frames {
                        tell(&frame, sensor, &mut at, sender).await?;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, sensor, "a stream of readings ends");
                    return Ok(());
                }
            }
        }
        match timeout(HEARTBEAT, receiver.recv()).await {
            Ok(Ok(frame)) => tell(&frame, sensor, &mut at, sender).await?,
            Ok(Err(RecvError::Lagged(_))) => behind = true,
            Ok(Err(RecvError::Closed)) => return Ok(()),
            Err(_) => sender.send(Bytes::from_static(b":\n\n")).await?,
        }
    }
}

async fn tell(frame: &crate::streams::Frame, sensor: &str, at: &mut i64, sender: &mpsc::Sender<Bytes>) -> Gone {
    let Some((newest, text)) = frame.text(sensor, *at) else { return Ok(()) };
    *at = newest;
    sender.send(Bytes::from(format!("event: readings\nid: {newest}\ndata: {text}\n\n"))).await
}

/// An event as a text frame.
fn frame(event: &Event) -> String {
    format!("{{\"type\":\"{}\",\"id\":\"{}\",\"data\":{}}}", event.kind, event.place, event.data)
}
