//! The audit: who did what, append-only, each entry chained to the one before.
//!
//! An entry's hash is BLAKE3 under a key of the keyring, over the previous hash and the entry. Who can edit the file but
//! does not have the keyring cannot make one that fits. A head record, hashed likewise, says which entry is the last.

use blake3::Hasher;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde_json::{Value, json};

use crate::{Access, AccessError, keyring::Ring, seal};

/// Longer texts of an entry are cut: some come from clients.
const LONGEST: usize = 2048;
/// Rows that are sealed anew in one transaction.
const AT_ONCE: i64 = 1000;
const TABLE: &str = "audit";
/// What the first entry says: a file that was emptied does not begin with it.
pub(crate) const FIRST: &str = "audit begins";

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// Who did it.
    pub actor: &'a str,
    /// What: `login`, or a method and route.
    pub action: &'a str,
    /// To what.
    pub target: &'a str,
    /// How it ended: a status, or `ok` or `failed`.
    pub outcome: &'a str,
    /// From where; sealed.
    pub address: &'a str,
    /// What else is worth knowing; sealed.
    pub detail: &'a str,
}

/// An entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub seq: i64,
    /// When, in nanoseconds since 1970.
    pub time: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// How it ended.
    pub outcome: String,
    /// From where.
    pub address: String,
    /// What else.
    pub detail: String,
    /// Its hash, hexadecimal.
    pub hash: String,
}

impl Entry {
    /// As the API and the export write it.
    pub fn json(&self) -> Value {
        json!({
            "seq": self.seq, "time": rfc3339(self.time), "actor": self.actor, "action": self.action,
            "target": self.target, "outcome": self.outcome, "address": self.address, "detail": self.detail,
            "hash": self.hash,
        })
    }
}

/// A time as RFC 3339.
pub(crate) fn rfc3339(time: i64) -> String {
    let instant = jiff::Timestamp::from_nanosecond(i128::from(time));
    instant.map_or_else(|_| time.to_string(), |instant| instant.to_string())
}

/// A row as it lies in the file.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) seq: i64,
    pub(crate) time: i64,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) outcome: String,
    pub(crate) address: String,
    pub(crate) detail: String,
    pub(crate) key: String,
    pub(crate) hash: Vec<u8>,
}

pub(crate) const COLUMNS: &str = "seq, time, actor, action, target, outcome, address, detail, key, hash";

impl Stored {
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            time: row.get(1)?,
            actor: row.get(2)?,
            action: row.get(3)?,
            target: row.get(4)?,
            outcome: row.get(5)?,
            address: row.get(6)?,
            detail: row.get(7)?,
            key: row.get(8)?,
            hash: row.get(9)?,
        })
    }

    /// The entry with its sealed columns opened.
    pub(crate) fn opened(self, ring: &Ring) -> Result<Entry, AccessError> {
        let open = |column: &str, sealed: &str| -> Result<String, AccessError> {
            let plain = seal::open(ring, TABLE, &format!("{}/{column}", self.seq), sealed)?;
            String::from_utf8(plain).map_err(|_| AccessError::Seal(format!("audit {}: it is no text", self.seq)))
        };
        Ok(Entry {
            address: open("address", &self.address)?,
            detail: open("detail", &self.detail)?,
            seq: self.seq,
            time: self.time,
            actor: self.actor,
            action: self.action,
            target: self.target,
            outcome: self.outcome,
            hash: hex::encode(self.hash),
        })
    }

    /// For lists: what cannot be opened says so, and the rest is shown.
    fn shown(mut self, ring: &Ring) -> Entry {
        for (column, sealed) in [("address", &mut self.address), ("detail", &mut self.detail)] {
            let row = format!("{}/{column}", self.seq);
            *sealed = match seal::open(ring, TABLE, &row, sealed) {
                Ok(plain) => String::from_utf8_lossy(&plain).into_owned(),
                Err(_) => "(cannot be opened)".into(),
            };
        }
        Entry {
            seq: self.seq,
            time: self.time,
            actor: self.actor,
            action: self.action,
            target: self.target,
            outcome: self.outcome,
            address: self.address,
            detail: self.detail,
            hash: hex::encode(self.hash),
        }
    }
}

/// The hash of an entry that follows the one with the hash `previous`.
pub(crate) fn hash(key: &[u8; 32], previous: &[u8], entry: &Entry) -> [u8; 32] {
    let mut hasher = Hasher::new_keyed(key);
    let mut part = |bytes: &[u8]| {
        // The length first: else what ends one text could as well begin the next.
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    part(b"entry");
    part(previous);
    part(&entry.seq.to_le_bytes());
    part(&entry.time.to_le_bytes());
    for text in [&entry.actor, &entry.action, &entry.target, &entry.outcome, &entry.address, &entry.detail] {
        part(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The hash of the head record: the last entry's number and hash.
pub(crate) fn hash_of_head(key: &[u8; 32], seq: i64, last: &[u8]) -> [u8; 32] {
    *Hasher::new_keyed(key).update(b"head").update(&seq.to_le_bytes()).update(last).finalize().as_bytes()
}

/// Before the first entry.
pub(crate) const BEGINNING: [u8; 32] = [0; 32];

/// Which entry the head record says is the last, with the record's key and hash.
pub(crate) fn head(connection: &Connection) -> Result<Option<(i64, String, Vec<u8>)>, AccessError> {
    let mut asked = connection.prepare_cached("SELECT seq, key, hash FROM audit_head")?;
    Ok(asked.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?)
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// The number of the entry after `last`. Where the head record does not fit the last entry, somebody took entries away or
/// changed them: a number is left out, so that the gap stays and is found, and the audit goes on.
fn next(last: i64, hash: &[u8], head: Option<(i64, String, Vec<u8>)>, ring: &Ring) -> i64 {
    let Some((seq, key, found)) = head else { return if last == 0 { 1 } else { last + 2 } };
    let key = ring.find(&key).map(crate::keyring::Key::for_audit);
    let fits = seq == last && key.is_some_and(|key| hash_of_head(&key, last, hash).as_slice() == found);
    if fits { last + 1 } else { seq.max(last) + 2 }
}

/// The first entry, which is written when the file is made.
pub(crate) fn begin(write: &Transaction<'_>, ring: &Ring, now: i64) -> Result<Entry, AccessError> {
    let event = Event { actor: "wheeltapper", action: FIRST, target: "access.db", outcome: "ok", ..Event::default() };
    append(write, ring, &event, now)
}

/// Appends within a transaction that has begun.
pub(crate) fn append(write: &Transaction<'_>, ring: &Ring, event: &Event<'_>, now: i64) -> Result<Entry, AccessError> {
    let last: Option<(i64, Vec<u8>)> = write
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (seq, previous) = last.unwrap_or((0, BEGINNING.to_vec()));
    let seq = next(seq, &previous, head(write)?, ring);
    let mut entry = Entry {
        seq,
        time: now,
        actor: cut(event.actor),
        action: cut(event.action),
        target: cut(event.target),
        outcome: cut(event.outcome),
        address: cut(event.address),
        detail: cut(event.detail),
        hash: String::new(),
    };
    let key = ring.newest()?;
    let made = hash(&key.for_audit(), &previous, &entry);
    entry.hash = hex::encode(made);
    let sealed =
        |column: &str, text: &str| seal::seal(ring, TABLE, &format!("{}/{column}", entry.seq), text.as_bytes());
    write
        .prepare_cached(&format!("INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"))?
        .execute(params![
        entry.seq,
        entry.time,
        entry.actor,
        entry.action,
        entry.target,
        entry.outcome,
        sealed("address", &entry.address)?,
        sealed("detail", &entry.detail)?,
        key.id,
        made
    ])?;
    write
        .prepare_cached("INSERT OR REPLACE INTO audit_head (one, seq, key, hash) VALUES (1, ?1, ?2, ?3)")?
        .execute(params![entry.seq, key.id, hash_of_head(&key.for_audit(), entry.seq, &made)])?;
    Ok(entry)
}

impl Access {
    /// Appends an entry, which is on the disk when this returns; gives its number.
    ///
    /// # Errors
    /// [`AccessError`] when it could not be written.
    pub fn record(&self, event: &Event<'_>, now: i64) -> Result<i64, AccessError> {
        self.record_all(&[*event], now)
    }

    /// Appends several entries with one write; gives the last one's number.
    ///
    /// # Errors
    /// [`AccessError`] when they could not be written; none of them is then.
    pub fn record_all(&self, events: &[Event<'_>], now: i64) -> Result<i64, AccessError> {
        let ring = self.keyring.current()?;
        let entries = self.database.write(|write| {
            events.iter().map(|event| append(write, &ring, event, now)).collect::<Result<Vec<_>, AccessError>>()
        })?;
        if let Some(syslog) = &self.syslog {
            for entry in &entries {
                syslog.send(entry);
            }
        }
        Ok(entries.last().map_or(0, |entry| entry.seq))
    }

    /// Entries before number `before` (or the last ones), newest first.
    ///
    /// # Errors
    /// [`AccessError`] when they cannot be read.
    pub fn audit(&self, before: Option<i64>, limit: usize) -> Result<Vec<Entry>, AccessError> {
        let ring = self.keyring.current()?;
        self.database.read(|connection| {
            let mut asked = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM audit WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = asked.query_map(params![before.unwrap_or(i64::MAX), limit], Stored::read)?;
            rows.map(|row| Ok(row?.shown(&ring))).collect()
        })
    }

    /// Hands over all entries from number `from` on, oldest first, until `take` says no.
    ///
    /// # Errors
    /// [`AccessError`] when they cannot be read.
    pub fn export_audit(&self, from: i64, mut take: impl FnMut(&Entry) -> bool) -> Result<(), AccessError> {
        let ring = self.keyring.current()?;
        let connection = self.database.apart()?;
        let mut asked = connection.prepare(&format!("SELECT {COLUMNS} FROM audit WHERE seq >= ?1 ORDER BY seq"))?;
        for row in asked.query_map([from], Stored::read)? {
            if !take(&row?.shown(&ring)) {
                break;
            }
        }
        Ok(())
    }

    /// Seals under the newest key what is sealed under an older one; how many entries that were.
    ///
    /// # Errors
    /// [`AccessError`] when a value does not open; what was sealed anew before stays so.
    pub fn reseal(&self) -> Result<usize, AccessError> {
        let ring = self.keyring.current()?;
        let newest = ring.newest()?.id.clone();
        let (mut after, mut done) = (0, 0);
        loop {
            let (last, count) = self.database.write(|write| reseal_some(write, &ring, &newest, after))?;
            done += count;
            match last {
                Some(last) => after = last,
                None => return Ok(done),
            }
        }
    }
}

/// Looks at the next rows; the last one's number, and how many were sealed anew.
fn reseal_some(
    write: &Transaction<'_>,
    ring: &Ring,
    newest: &str,
    after: i64,
) -> Result<(Option<i64>, usize), AccessError> {
    let mut asked =
        write.prepare_cached("SELECT seq, address, detail FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let rows: Vec<(i64, String, String)> = asked
        .query_map(params![after, AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut count = 0;
    for (seq, address, detail) in &rows {
        if [address, detail].iter().all(|sealed| seal::key_of(sealed) == Some(newest)) {
            continue;
        }
        let again = |column: &str, sealed: &str| {
            let row = format!("{seq}/{column}");
            seal::seal(ring, TABLE, &row, &seal::open(ring, TABLE, &row, sealed)?)
        };
        write.prepare_cached("UPDATE audit SET address = ?2, detail = ?3 WHERE seq = ?1")?.execute(params![
            seq,
            again("address", address)?,
            again("detail", detail)?
        ])?;
        count += 1;
    }
    Ok((rows.last().map(|(seq, ..)| *seq), count))
}
