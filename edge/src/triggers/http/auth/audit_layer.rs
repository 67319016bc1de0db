//! Records changes in the audit, once their outcome is known.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{extract::Request, response::Response};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use wheeltapper_access::{AuditEvent, Identity};

use super::{
    auth_state::AuthState,
    route_policy::{AuditMode, RoutePolicy},
};
use crate::{
    api::{ActionLog, ActionOutcome},
    clock,
};

/// The maximum length of an entry's detail, in characters.
const MAX_DETAIL_CHARS: usize = 1_000;

/// Collects what will be recorded of a request; nothing if the request changes nothing.
#[derive(Debug, Default)]
pub(crate) struct AuditRecorder {
    request: Option<AuditedRequest>,
    /// The actions of the component.
    pub(crate) actions: ActionLog,
    note: AuditNote,
}

#[derive(Debug)]
struct AuditedRequest {
    actor: String,
    action: String,
    target: String,
    address: String,
    /// Whether only the component's actions are recorded (GraphQL).
    is_graphql: bool,
}

/// What a handler adds to the audit entry: the target and the new values.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditNote(Arc<Mutex<(String, String)>>);

impl AuditNote {
    /// Sets the target, and the new values. Must not contain a secret.
    pub(crate) fn set(&self, target: &str, detail: &Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (target.to_owned(), detail.to_string());
    }

    fn get(&self) -> (String, String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl AuditRecorder {
    /// Starts the record of a request before its handler runs.
    pub(crate) fn begin(
        policy: &RoutePolicy,
        identity: Option<&Identity>,
        address: &str,
        request: &mut Request,
    ) -> Self {
        let mut recorder = Self::default();
        if let Some(identity) = identity.filter(|_| policy.audit != AuditMode::Skip) {
            recorder.request = Some(AuditedRequest {
                actor: identity.name.clone(),
                action: format!("{} {}", request.method(), policy.template),
                target: target(policy.template, request.uri().path()),
                address: address.to_owned(),
                is_graphql: policy.audit == AuditMode::RecordMutations,
            });
            request.extensions_mut().insert(recorder.note.clone());
        }
        recorder
    }

    /// Records the outcome; the response is sent once the entry is on disk.
    pub(crate) async fn end(self, auth: &Arc<AuthState>, response: Response) -> Response {
        let Some(request) = self.request else { return response };
        let (done, note) = (self.actions.take(), self.note.get());
        let entries = entries(&request, done, note, response.status().as_u16());
        if !entries.is_empty() {
            write_entries(auth, move |write| {
                for [action, target, outcome, detail] in &entries {
                    write(&AuditEvent {
                        actor: &request.actor,
                        action,
                        target,
                        outcome,
                        address: &request.address,
                        detail,
                    });
                }
            })
            .await;
        }
        response
    }
}

/// Action, target, outcome and detail of each entry: one for a route, one for each action of a GraphQL request.
fn entries(
    request: &AuditedRequest,
    done: Vec<ActionOutcome>,
    (target, detail): (String, String),
    status: u16,
) -> Vec<[String; 4]> {
    let truncated = |text: &str| text.chars().take(MAX_DETAIL_CHARS).collect::<String>();
    if request.is_graphql {
        let outcome = |done: &ActionOutcome| if done.succeeded { "done" } else { "rejected" }.to_owned();
        let entry = |done: &ActionOutcome| {
            [format!("graphql {}", done.action), done.target.clone(), outcome(done), truncated(&done.text)]
        };
        return done.iter().map(entry).collect();
    }
    let target = if target.is_empty() { request.target.clone() } else { target };
    let detail = match done.first() {
        Some(done) if detail.is_empty() => truncated(&done.text),
        _ => truncated(&detail),
    };
    vec![[request.action.clone(), target, status.to_string(), detail]]
}

/// Writes entries to the audit, on a thread that may wait for the disk.
pub(crate) async fn write_entries(
    auth: &Arc<AuthState>,
    write: impl FnOnce(&dyn Fn(&AuditEvent<'_>)) + Send + 'static,
) {
    let auth = Arc::clone(auth);
    let done = tokio::task::spawn_blocking(move || {
        write(&|event| {
            if let Err(error) = auth.access.record(event, clock::now()) {
                // The change has been made: to withhold the response would not undo it.
                tracing::error!(%error, actor = event.actor, action = event.action, "the audit could not be written");
            }
        });
    });
    if let Err(error) = done.await {
        tracing::error!(%error, "the audit could not be written");
    }
}

/// The part of the path that the template's `{…}` stands for.
fn target(template: &str, path: &str) -> String {
    let halves = template.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1)));
    let id = halves.and_then(|(before, after)| path.strip_prefix(before)?.strip_suffix(after));
    percent_decode_str(id.unwrap_or_default()).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_from_the_path() {
        assert_eq!(target("/api/v1/anomalies/{id}/acknowledge", "/api/v1/anomalies/a%2Fb/acknowledge"), "a/b");
        assert_eq!(target("/api/v1/users", "/api/v1/users"), "");
    }

    fn audited_request(graph: bool) -> AuditedRequest {
        let text = |text: &str| text.to_owned();
        AuditedRequest {
            actor: text("ada"),
            action: text("POST /x"),
            target: text("t"),
            address: text("::1"),
            is_graphql: graph,
        }
    }

    fn outcome(done: bool) -> ActionOutcome {
        ActionOutcome {
            action: "comment", target: "a".into(), text: "ö".repeat(2 * MAX_DETAIL_CHARS), succeeded: done
        }
    }

    #[test]
    fn each_graphql_action_is_recorded_and_nothing_else() {
        assert!(entries(&audited_request(true), Vec::new(), Default::default(), 200).is_empty(), "it only reads");
        let entries = entries(&audited_request(true), vec![outcome(true), outcome(false)], Default::default(), 200);
        let short: Vec<_> =
            entries.iter().map(|[action, target, outcome, _]| (&**action, &**target, &**outcome)).collect();
        assert_eq!(short, [("graphql comment", "a", "done"), ("graphql comment", "a", "rejected")]);
        assert_eq!(entries[0][3].chars().count(), MAX_DETAIL_CHARS);
    }

    #[test]
    fn a_route_records_one_entry_whatever_the_outcome() {
        let plain = entries(&audited_request(false), Vec::new(), Default::default(), 404);
        assert_eq!(plain, [["POST /x", "t", "404", ""].map(str::to_owned)]);
        let note = AuditNote::default();
        note.set("bob", &serde_json::json!({ "roles": ["admin"] }));
        let recorded = entries(&audited_request(false), Vec::new(), note.get(), 200);
        assert_eq!(recorded, [["POST /x", "bob", "200", r#"{"roles":["admin"]}"#].map(str::to_owned)]);
    }
}
