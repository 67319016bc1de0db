//! Documents that are known by their hash (Apollo's automatic persisted queries): a client sends the hash; if we do not know
//! it, hash and document, and from then on the hash alone.
//!
//! An instance may be gone after a request, and the document with it. Then the client is told that it is not known, and
//! sends it again, as the protocol has it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_graphql::Response as Told;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::refusal;

/// Documents that are kept, the newest.
const KEPT: usize = 64;

/// Documents that are always known.
const BUILT_IN: [&str; 3] = [
    "query Fleet($first: Int) { machines(first: $first) { nodes { asset sensors openAlerts severity title faultMode health p50Hours nextOrder } pageInfo { endCursor hasNextPage } } }",
    "query OpenAlerts($first: Int) { alerts(state: OPEN, first: $first) { nodes { id asset sensor severity title message recommendation opened updated } pageInfo { endCursor hasNextPage } } }",
    "query Plan($first: Int) { workOrders(status: PLANNED, first: $first) { nodes { id asset type priority scheduledTime estimatedDurationMinutes technician pinned } pageInfo { endCursor hasNextPage } } }",
];

static KNOWN: Mutex<VecDeque<(String, String)>> = Mutex::new(VecDeque::new());

/// The document that is meant; `query` if it was sent along.
pub(super) fn resolve(persisted: &Value, query: Option<String>) -> Result<String, Box<Told>> {
    let hash = persisted.get("sha256Hash").and_then(Value::as_str).map(str::to_ascii_lowercase);
    let version = persisted.get("version").and_then(Value::as_i64);
    let (Some(hash), Some(1)) = (hash, version) else {
        return refused("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED");
    };
    match query {
        Some(query) if hash_of(&query) == hash => {
            remember(hash, &query);
            Ok(query)
        }
        Some(_) => refused("provided sha does not match query", "PERSISTED_QUERY_HASH_MISMATCH"),
        None => known(&hash).map_or_else(|| refused("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND"), Ok),
    }
}

fn refused(message: &str, code: &str) -> Result<String, Box<Told>> {
    Err(Box::new(refusal(message, code)))
}

fn hash_of(document: &str) -> String {
    crate::answer::hex(&Sha256::digest(document.as_bytes()))
}

fn known(hash: &str) -> Option<String> {
    let kept = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = kept.iter().find(|(known, _)| known == hash).map(|(_, document)| document.clone());
    found.or_else(|| BUILT_IN.iter().find(|document| hash_of(document) == hash).map(|&document| document.to_owned()))
}

fn remember(hash: String, document: &str) {
    let mut kept = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.iter().any(|(known, _)| *known == hash) {
        return;
    }
    if kept.len() >= KEPT {
        kept.pop_front();
    }
    kept.push_back((hash, document.to_owned()));
}
