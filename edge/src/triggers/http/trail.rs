//! Writing down what was changed, once it is known how it ended.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{extract::Request, response::Response};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use wheeltapper_access::{Event, Identity};

use super::{
    demand::{Audited, Demand},
    guard::Door,
};
use crate::{
    api::{Deeds, Done},
    clock,
};

/// So much of what was said with a deed is written down, in characters.
const SAID: usize = 1_000;

/// What will be written down; nothing where nothing changes.
#[derive(Debug, Default)]
pub(super) struct Trail {
    deed: Option<Deed>,
    /// What the component did.
    pub(super) deeds: Deeds,
    note: Note,
}

#[derive(Debug)]
struct Deed {
    actor: String,
    action: String,
    target: String,
    address: String,
    /// What was done is told by the deeds alone.
    graph: bool,
}

/// What a handler tells of what it does, beside what the request's path says.
#[derive(Clone, Debug, Default)]
pub(super) struct Note(Arc<Mutex<(String, String)>>);

impl Note {
    /// To what it is done, and what is set. Never a secret.
    pub(super) fn tell(&self, target: &str, detail: &Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (target.to_owned(), detail.to_string());
    }

    fn told(&self) -> (String, String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Trail {
    /// Looks at a request before it goes on.
    pub(super) fn begin(demand: &Demand, who: Option<&Identity>, address: &str, request: &mut Request) -> Self {
        let mut trail = Self::default();
        if let Some(identity) = who.filter(|_| demand.audited != Audited::No) {
            trail.deed = Some(Deed {
                actor: identity.name.clone(),
                action: format!("{} {}", request.method(), demand.template),
                target: target(demand.template, request.uri().path()),
                address: address.to_owned(),
                graph: demand.audited == Audited::Graph,
            });
            request.extensions_mut().insert(trail.note.clone());
        }
        trail
    }

    /// Writes down how it ended; the answer goes out when that is on the disk.
    pub(super) async fn end(self, door: &Arc<Door>, response: Response) -> Response {
        let Some(deed) = self.deed else { return response };
        let (done, note) = (self.deeds.take(), self.note.told());
        let entries = entries(&deed, done, note, response.status().as_u16());
        if !entries.is_empty() {
            write(door, move |write| {
                for [action, target, outcome, detail] in &entries {
                    write(&Event { actor: &deed.actor, action, target, outcome, address: &deed.address, detail });
                }
            })
            .await;
        }
        response
    }
}

/// Action, target, outcome and detail of each entry: one for a route, one for each deed of a GraphQL request.
fn entries(deed: &Deed, done: Vec<Done>, (target, detail): (String, String), status: u16) -> Vec<[String; 4]> {
    let said = |text: &str| text.chars().take(SAID).collect::<String>();
    if deed.graph {
        let outcome = |done: &Done| if done.done { "done" } else { "refused" }.to_owned();
        let entry =
            |done: &Done| [format!("graphql {}", done.deed), done.target.clone(), outcome(done), said(&done.text)];
        return done.iter().map(entry).collect();
    }
    let target = if target.is_empty() { deed.target.clone() } else { target };
    let detail = match done.first() {
        Some(done) if detail.is_empty() => said(&done.text),
        _ => said(&detail),
    };
    vec![[deed.action.clone(), target, status.to_string(), detail]]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_stands_in_the_path() {
        assert_eq!(target("/api/v1/anomalies/{id}/acknowledge", "/api/v1/anomalies/a%2Fb/acknowledge"), "a/b");
        assert_eq!(target("/api/v1/users", "/api/v1/users"), "");
    }

    fn deed(graph: bool) -> Deed {
        let text = |text: &str| text.to_owned();
        Deed { actor: text("ada"), action: text("POST /x"), target: text("t"), address: text("::1"), graph }
    }

    fn done(done: bool) -> Done {
        Done { deed: "comment", target: "a".into(), text: "ö".repeat(2 * SAID), done }
    }

    #[test]
    fn of_graphql_each_deed_is_written_down_and_nothing_else() {
        assert!(entries(&deed(true), Vec::new(), Default::default(), 200).is_empty(), "it only looked");
        let entries = entries(&deed(true), vec![done(true), done(false)], Default::default(), 200);
        let short: Vec<_> =
            entries.iter().map(|[action, target, outcome, _]| (&**action, &**target, &**outcome)).collect();
        assert_eq!(short, [("graphql comment", "a", "done"), ("graphql comment", "a", "refused")]);
        assert_eq!(entries[0][3].chars().count(), SAID);
    }

    #[test]
    fn of_a_route_one_entry_is_written_whatever_came_of_it() {
        let plain = entries(&deed(false), Vec::new(), Default::default(), 404);
        assert_eq!(plain, [["POST /x", "t", "404", ""].map(str::to_owned)]);
        let note = Note::default();
        note.tell("bob", &serde_json::json!({ "roles": ["admin"] }));
        let told = entries(&deed(false), Vec::new(), note.told(), 200);
        assert_eq!(told, [["POST /x", "bob", "200", r#"{"roles":["admin"]}"#].map(str::to_owned)]);
    }
}
