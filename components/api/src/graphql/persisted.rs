//! Persisted documents (Apollo's automatic persisted queries): a client sends the hash of a document. If it is unknown,
//! the client sends hash and document, and from then on only the hash.
//!
//! An instance may be dropped after a request, and its cached documents with it. The client then receives
//! `PersistedQueryNotFound` and sends the document again, as the protocol specifies.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_graphql::Response as SchemaResponse;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::error_response;

/// Maximum number of cached documents; the newest are kept.
const MAX_CACHED: usize = 64;

/// Documents that are always available.
const BUILT_IN: [&str; 3] = [
    "query Fleet($first: Int) { machines(first: $first) { nodes { asset sensors openAlerts severity title faultMode health p50Hours nextOrder } pageInfo { endCursor hasNextPage } } }",
    "query OpenAlerts($first: Int) { alerts(state: OPEN, first: $first) { nodes { id asset sensor severity title message recommendation opened updated } pageInfo { endCursor hasNextPage } } }",
    "query Plan($first: Int) { workOrders(status: PLANNED, first: $first) { nodes { id asset type priority scheduledTime estimatedDurationMinutes technician pinned } pageInfo { endCursor hasNextPage } } }",
];

static CACHE: Mutex<VecDeque<(String, String)>> = Mutex::new(VecDeque::new());

/// Returns the document with the hash; `query` if it was sent along and matches.
pub(super) fn resolve(persisted: &Value, query: Option<String>) -> Result<String, Box<SchemaResponse>> {
    let hash = persisted.get("sha256Hash").and_then(Value::as_str).map(str::to_ascii_lowercase);
    let version = persisted.get("version").and_then(Value::as_i64);
    let (Some(hash), Some(1)) = (hash, version) else {
        return persisted_query_error("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED");
    };
    match query {
        Some(query) if hash_of(&query) == hash => {
            cache_document(hash, &query);
            Ok(query)
        }
        Some(_) => persisted_query_error("provided sha does not match query", "PERSISTED_QUERY_HASH_MISMATCH"),
        None => find_document(&hash)
            .map_or_else(|| persisted_query_error("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND"), Ok),
    }
}

fn persisted_query_error(message: &str, code: &str) -> Result<String, Box<SchemaResponse>> {
    Err(Box::new(error_response(message, code)))
}

fn hash_of(document: &str) -> String {
    crate::api_response::hex(&Sha256::digest(document.as_bytes()))
}

fn find_document(hash: &str) -> Option<String> {
    let cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = cache.iter().find(|(cached_hash, _)| cached_hash == hash).map(|(_, document)| document.clone());
    found.or_else(|| BUILT_IN.iter().find(|document| hash_of(document) == hash).map(|&document| document.to_owned()))
}

fn cache_document(hash: String, document: &str) {
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.iter().any(|(cached_hash, _)| *cached_hash == hash) {
        return;
    }
    if cache.len() >= MAX_CACHED {
        cache.pop_front();
    }
    cache.push_back((hash, document.to_owned()));
}
