//! The outbox as rows of a key-value store. Only rows that changed are written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Outbox, OutboxSettings, Parcel, breaker::Breaker, rate::Rate, summary::Summary, threads::Threads};
use crate::AlertMessage;

const META: &str = "meta";
const PARCEL: &str = "parcel/";
const WAITING: &str = "waiting/";

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) message: AlertMessage,
    /// When it was pushed.
    pub(super) since: i64,
    /// When it may be sent.
    pub(super) not_before: i64,
}

/// The small part of the state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) next_number: u64,
    /// The key of the last message of each route, which is pushed again after a crash.
    pub(super) last_keys: BTreeMap<String, String>,
    /// The keys of the newest messages that are finished: two routes may send the same alert to one channel.
    pub(super) finished_keys: VecDeque<String>,
    /// Messages beyond the maximum.
    pub(super) overflow: Summary,
    pub(super) overflow_not_before: i64,
    /// When the last summary was made.
    pub(super) last_summary: Option<i64>,
    pub(super) threads: Threads,
    pub(super) breaker: Breaker,
    pub(super) rate: Rate,
    /// Since when the channel has accepted nothing.
    pub(super) failing_since: Option<i64>,
}

/// The rows that changed since they were last stored.
#[derive(Debug, Default)]
pub(super) struct Changes {
    meta: bool,
    parcels: BTreeSet<String>,
    waiting: BTreeSet<u64>,
}

impl Changes {
    pub(super) fn meta(&mut self) {
        self.meta = true;
    }

    pub(super) fn parcel(&mut self, key: &str) {
        self.parcels.insert(key.to_owned());
    }

    pub(super) fn waiting(&mut self, number: u64) {
        self.waiting.insert(number);
    }
}

impl Outbox {
    /// Restores an outbox from its rows: key and value. Rows that cannot be read are left out; their number is returned.
    pub fn restore(settings: OutboxSettings, rows: impl IntoIterator<Item = (String, Vec<u8>)>) -> (Self, usize) {
        let mut outbox = Self::new(settings);
        let mut unreadable = 0;
        for (key, value) in rows {
            if outbox.restore_row(&key, &value).is_none() {
                unreadable += 1;
            }
        }
        // Numbers are not given twice, also if the row with the next one is lost.
        let next = outbox.waiting.last_key_value().map_or(0, |(number, _)| number + 1);
        outbox.meta.next_number = outbox.meta.next_number.max(next);
        (outbox, unreadable)
    }

    fn restore_row(&mut self, key: &str, value: &[u8]) -> Option<()> {
        if key == META {
            self.meta = serde_json::from_slice::<Meta>(value).ok()?;
        } else if let Some(key) = key.strip_prefix(PARCEL) {
            let parcel: Parcel = serde_json::from_slice(value).ok()?;
            self.parcels.insert(key.to_owned(), parcel);
        } else {
            let number: u64 = key.strip_prefix(WAITING)?.parse().ok()?;
            let waiting: Waiting = serde_json::from_slice(value).ok()?;
            self.waiting.insert(number, waiting);
        }
        Some(())
    }

    /// Returns the rows that changed since the last call: key, and value or `None` if the row is to be deleted. They
    /// must be stored before a parcel is sent.
    pub fn take_changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let changes = std::mem::take(&mut self.changes);
        // Serialization of these types cannot fail: their maps have text keys.
        let mut rows = Vec::new();
        if changes.meta {
            rows.push((META.to_owned(), serde_json::to_vec(&self.meta).ok()));
        }
        for key in changes.parcels {
            let value = self.parcels.get(&key).and_then(|parcel| serde_json::to_vec(parcel).ok());
            rows.push((format!("{PARCEL}{key}"), value));
        }
        for number in changes.waiting {
            let value = self.waiting.get(&number).and_then(|waiting| serde_json::to_vec(waiting).ok());
            rows.push((format!("{WAITING}{number:020}"), value));
        }
        rows
    }
}
