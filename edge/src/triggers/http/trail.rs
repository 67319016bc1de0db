//! Writing down what was changed, once it is known how it ended.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use wheeltapper_access::{Event, Identity};

use super::{
    demand::{Audited, Demand},
    guard::Door,
};
use crate::clock;

/// A GraphQL request is read up to this size to see whether it changes something.
const MOST_GRAPH: usize = 1 << 20;

/// What will be written down; nothing where nothing changes.
#[derive(Debug, Default)]
pub(super) struct Trail(Option<Deed>);

#[derive(Debug)]
struct Deed {
    actor: String,
    action: String,
    target: String,
    address: String,
}

impl Trail {
    /// Looks at a request before it goes on.
    pub(super) async fn begin(
        demand: &Demand,
        who: Option<&Identity>,
        address: &str,
        request: Request,
    ) -> (Self, Request) {
        let Some(identity) = who else { return (Self::default(), request) };
        let (changes, request) = match demand.audited {
            Audited::No => (false, request),
            Audited::Yes => (true, request),
            Audited::Graph => graph(request).await,
        };
        let deed = || Deed {
            actor: identity.name.clone(),
            action: format!("{} {}", request.method(), demand.template),
            target: target(demand.template, request.uri().path()),
            address: address.to_owned(),
        };
        (Self(changes.then(deed)), request)
    }

    /// Writes down how it ended; the answer goes out when that is on the disk.
    pub(super) async fn end(self, door: &Arc<Door>, response: Response) -> Response {
        if let Some(deed) = self.0 {
            let Deed { actor, action, target, address } = deed;
            let outcome = response.status().as_u16().to_string();
            write(door, move |write| {
                write(&Event {
                    actor: &actor,
                    action: &action,
                    target: &target,
                    outcome: &outcome,
                    address: &address,
                    detail: "",
                });
            })
            .await;
        }
        response
    }
}

/// Writes to the audit on a thread that may wait for the disk.
pub(super) async fn write(door: &Arc<Door>, tell: impl FnOnce(&dyn Fn(&Event<'_>)) + Send + 'static) {
    let door = Arc::clone(door);
    let done = tokio::task::spawn_blocking(move || {
        tell(&|event| {
            if let Err(error) = door.access.record(event, clock::now()) {
                // It has happened: to hide the answer would not undo it.
                tracing::error!(%error, actor = event.actor, action = event.action, "the audit could not be written");
            }
        });
    });
    if let Err(error) = done.await {
        tracing::error!(%error, "the audit could not be written");
    }
}

/// What stands in the place of the template's `{…}`.
fn target(template: &str, path: &str) -> String {
    let halves = template.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1)));
    let id = halves.and_then(|(before, after)| path.strip_prefix(before)?.strip_suffix(after));
    percent_decode_str(id.unwrap_or_default()).decode_utf8_lossy().into_owned()
}

/// Whether a GraphQL request may change something. One whose document is only named by its hash may.
async fn graph(request: Request) -> (bool, Request) {
    #[derive(Deserialize)]
    struct Asked {
        query: Option<String>,
    }
    let (parts, body) = request.into_parts();
    // One that is larger, or broke off, comes to nothing where it is answered.
    let bytes = to_bytes(body, MOST_GRAPH + 1).await.unwrap_or_default();
    let changes = match serde_json::from_slice::<Asked>(&bytes) {
        Ok(Asked { query: Some(document) }) => document.contains("mutation"),
        Ok(Asked { query: None }) => true,
        Err(_) => false,
    };
    (changes, Request::from_parts(parts, Body::from(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_stands_in_the_path() {
        assert_eq!(target("/api/v1/anomalies/{id}/acknowledge", "/api/v1/anomalies/a%2Fb/acknowledge"), "a/b");
        assert_eq!(target("/api/v1/users", "/api/v1/users"), "");
    }

    #[tokio::test]
    async fn mutations_are_seen_however_they_are_written() {
        for (body, changes) in [
            (r#"{"query": "{ machines { asset } }"}"#, false),
            (r#"{"query": "mutation { acknowledgeAnomaly(id: 1) { id } }"}"#, true),
            (r#"{"query": "\u006dutation { acknowledgeAnomaly(id: 1) { id } }"}"#, true),
            (r#"{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "00"}}}"#, true),
            ("nonsense", false),
        ] {
            let (seen, request) = graph(Request::new(Body::from(body))).await;
            assert_eq!(seen, changes, "{body}");
            assert_eq!(to_bytes(request.into_body(), 1000).await.unwrap(), body, "it goes on whole");
        }
    }
}
