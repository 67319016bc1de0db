//! An entry of the audit log.

use serde_json::{Value, json};

/// An entry of the audit log, decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Number of the entry, from 1, without gaps.
    pub seq: i64,
    /// Time of the action, in nanoseconds since 1970.
    pub time: i64,
    /// See [`crate::AuditEvent::actor`].
    pub actor: String,
    /// See [`crate::AuditEvent::action`].
    pub action: String,
    /// See [`crate::AuditEvent::target`].
    pub target: String,
    /// See [`crate::AuditEvent::outcome`].
    pub outcome: String,
    /// See [`crate::AuditEvent::address`].
    pub address: String,
    /// See [`crate::AuditEvent::detail`].
    pub detail: String,
    /// Keyed hash of the entry and the previous hash, in hexadecimal.
    pub hash: String,
}

impl AuditEntry {
    /// The entry as JSON, as the API and the export write it.
    pub fn to_json(&self) -> Value {
        json!({
            "seq": self.seq, "time": rfc3339(self.time), "actor": self.actor, "action": self.action,
            "target": self.target, "outcome": self.outcome, "address": self.address, "detail": self.detail,
            "hash": self.hash,
        })
    }
}

/// Formats nanoseconds since 1970 as RFC 3339.
pub(crate) fn rfc3339(time: i64) -> String {
    let instant = jiff::Timestamp::from_nanosecond(i128::from(time));
    instant.map_or_else(|_| time.to_string(), |instant| instant.to_string())
}
