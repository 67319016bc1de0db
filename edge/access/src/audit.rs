//! The audit log: who did what. It is append-only, and each entry is chained to the previous one.
//!
//! The hash of an entry is keyed BLAKE3, with a key of the keyring, over the previous hash and the entry. Someone who
//! can edit the file but does not have the keyring cannot compute a matching hash. A head record, with a keyed hash of
//! its own, names the last entry.

use blake3::Hasher;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::{Access, AccessError, audit_entry::AuditEntry, column_encryption, keyring::KeySet};

/// Maximum bytes of a field of an entry. Longer texts are truncated, because some come from clients.
const MAX_FIELD_BYTES: usize = 2048;
/// Rows that one transaction of [`Access::reencrypt`] reads.
const REENCRYPT_BATCH: i64 = 1000;
const TABLE: &str = "audit";
/// The action of the first entry. The log of a file that was emptied does not start with it.
pub(crate) const FIRST_ACTION: &str = "audit begins";

/// An action to record in the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditEvent<'a> {
    /// Name of the identity that acted.
    pub actor: &'a str,
    /// The action, such as `login`, or an HTTP method and route.
    pub action: &'a str,
    /// The object of the action, such as the id of an alert.
    pub target: &'a str,
    /// The result: an HTTP status, `ok` or `failed`.
    pub outcome: &'a str,
    /// Client address; stored encrypted.
    pub address: &'a str,
    /// Further details; stored encrypted.
    pub detail: &'a str,
}

/// A row of the table `audit`, with encrypted columns.
#[derive(Debug)]
pub(crate) struct StoredEntry {
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

impl StoredEntry {
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

    /// Decrypts the row.
    pub(crate) fn decrypt(self, ring: &KeySet) -> Result<AuditEntry, AccessError> {
        let decrypt_column = |column: &str, encrypted: &str| -> Result<String, AccessError> {
            let plain = column_encryption::decrypt(ring, TABLE, &format!("{}/{column}", self.seq), encrypted)?;
            String::from_utf8(plain)
                .map_err(|_| AccessError::Decryption(format!("audit {}: the value is not UTF-8", self.seq)))
        };
        Ok(AuditEntry {
            address: decrypt_column("address", &self.address)?,
            detail: decrypt_column("detail", &self.detail)?,
            seq: self.seq,
            time: self.time,
            actor: self.actor,
            action: self.action,
            target: self.target,
            outcome: self.outcome,
            hash: hex::encode(self.hash),
        })
    }

    /// Decrypts the row for display. A column that cannot be decrypted is replaced by a note.
    fn decrypt_for_display(mut self, ring: &KeySet) -> AuditEntry {
        for (column, encrypted) in [("address", &mut self.address), ("detail", &mut self.detail)] {
            let row = format!("{}/{column}", self.seq);
            *encrypted = match column_encryption::decrypt(ring, TABLE, &row, encrypted) {
                Ok(plain) => String::from_utf8_lossy(&plain).into_owned(),
                Err(_) => "(cannot be decrypted)".into(),
            };
        }
        AuditEntry {
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

/// Computes the hash of an entry; `previous` is the hash of the entry before it.
pub(crate) fn entry_hash(key: &[u8; 32], previous: &[u8], entry: &AuditEntry) -> [u8; 32] {
    let mut hasher = Hasher::new_keyed(key);
    let mut field = |bytes: &[u8]| {
        // Hash the length first, so that bytes cannot move from the end of one field to the start of the next.
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    field(b"entry");
    field(previous);
    field(&entry.seq.to_le_bytes());
    field(&entry.time.to_le_bytes());
    for text in [&entry.actor, &entry.action, &entry.target, &entry.outcome, &entry.address, &entry.detail] {
        field(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Computes the hash of the head record from the number and hash of the last entry.
pub(crate) fn head_hash(key: &[u8; 32], seq: i64, last: &[u8]) -> [u8; 32] {
    *Hasher::new_keyed(key).update(b"head").update(&seq.to_le_bytes()).update(last).finalize().as_bytes()
}

/// The previous hash of the first entry.
pub(crate) const GENESIS_HASH: [u8; 32] = [0; 32];

/// Reads the head record: the number of the last entry, and the key id and hash of the record.
pub(crate) fn read_head(connection: &Connection) -> Result<Option<(i64, String, Vec<u8>)>, AccessError> {
    let mut statement = connection.prepare_cached("SELECT seq, key, hash FROM audit_head")?;
    Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?)
}

fn truncate(text: &str) -> String {
    if text.len() <= MAX_FIELD_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_FIELD_BYTES).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Returns the number of the entry after `last`. If the head record does not match the last entry, someone removed or
/// changed entries. Then one number is skipped: the gap proves the tampering, and the audit log can continue.
fn next_seq(last: i64, hash: &[u8], head: Option<(i64, String, Vec<u8>)>, ring: &KeySet) -> i64 {
    let Some((seq, key, found)) = head else { return if last == 0 { 1 } else { last + 2 } };
    let key = ring.find(&key).map(crate::keyring::KeyringKey::audit_key);
    let is_match = seq == last && key.is_some_and(|key| head_hash(&key, last, hash).as_slice() == found);
    if is_match { last + 1 } else { seq.max(last) + 2 }
}

/// Writes the first entry, when the file is created.
pub(crate) fn append_first_entry(write: &Transaction<'_>, ring: &KeySet, now: i64) -> Result<AuditEntry, AccessError> {
    let event = AuditEvent {
        actor: "wheeltapper",
        action: FIRST_ACTION,
        target: "access.db",
        outcome: "ok",
        ..AuditEvent::default()
    };
    append(write, ring, &event, now)
}

/// Appends an entry within an open transaction.
pub(crate) fn append(
    write: &Transaction<'_>,
    ring: &KeySet,
    event: &AuditEvent<'_>,
    now: i64,
) -> Result<AuditEntry, AccessError> {
    let last: Option<(i64, Vec<u8>)> = write
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (seq, previous) = last.unwrap_or((0, GENESIS_HASH.to_vec()));
    let seq = next_seq(seq, &previous, read_head(write)?, ring);
    let mut entry = AuditEntry {
        seq,
        time: now,
        actor: truncate(event.actor),
        action: truncate(event.action),
        target: truncate(event.target),
        outcome: truncate(event.outcome),
        address: truncate(event.address),
        detail: truncate(event.detail),
        hash: String::new(),
    };
    let key = ring.newest()?;
    let made = entry_hash(&key.audit_key(), &previous, &entry);
    entry.hash = hex::encode(made);
    let encrypt_column = |column: &str, text: &str| {
        column_encryption::encrypt(ring, TABLE, &format!("{}/{column}", entry.seq), text.as_bytes())
    };
    write
        .prepare_cached(&format!("INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"))?
        .execute(params![
        entry.seq,
        entry.time,
        entry.actor,
        entry.action,
        entry.target,
        entry.outcome,
        encrypt_column("address", &entry.address)?,
        encrypt_column("detail", &entry.detail)?,
        key.id,
        made
    ])?;
    write
        .prepare_cached("INSERT OR REPLACE INTO audit_head (one, seq, key, hash) VALUES (1, ?1, ?2, ?3)")?
        .execute(params![entry.seq, key.id, head_hash(&key.audit_key(), entry.seq, &made)])?;
    Ok(entry)
}

impl Access {
    /// Appends an entry and returns its number. The entry is synced to disk when this returns.
    ///
    /// # Errors
    /// [`AccessError`] when the entry could not be written.
    pub fn record(&self, event: &AuditEvent<'_>, now: i64) -> Result<i64, AccessError> {
        self.record_all(&[*event], now)
    }

    /// Appends several entries in one transaction and returns the number of the last one.
    ///
    /// # Errors
    /// [`AccessError`] when the transaction failed; then none of the entries is written.
    pub fn record_all(&self, events: &[AuditEvent<'_>], now: i64) -> Result<i64, AccessError> {
        let ring = self.keyring.current_keys()?;
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

    /// Returns up to `limit` entries with numbers below `before` (`None`: from the end), newest first.
    ///
    /// # Errors
    /// [`AccessError`] when the database or the keyring cannot be read.
    pub fn audit_entries(&self, before: Option<i64>, limit: usize) -> Result<Vec<AuditEntry>, AccessError> {
        let ring = self.keyring.current_keys()?;
        self.database.read(|connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM audit WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![before.unwrap_or(i64::MAX), limit], StoredEntry::read)?;
            rows.map(|row| Ok(row?.decrypt_for_display(&ring))).collect()
        })
    }

    /// Passes each entry from number `from` on to `take`, oldest first, until `take` returns false.
    ///
    /// # Errors
    /// [`AccessError`] when the database or the keyring cannot be read.
    pub fn export_audit(&self, from: i64, mut take: impl FnMut(&AuditEntry) -> bool) -> Result<(), AccessError> {
        let ring = self.keyring.current_keys()?;
        let connection = self.database.open_reader()?;
        let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM audit WHERE seq >= ?1 ORDER BY seq"))?;
        for row in statement.query_map([from], StoredEntry::read)? {
            if !take(&row?.decrypt_for_display(&ring)) {
                break;
            }
        }
        Ok(())
    }

    /// Re-encrypts the columns that use an older key with the newest key. Returns the number of changed entries.
    ///
    /// # Errors
    /// [`AccessError`] when a value cannot be decrypted; batches that were written before stay re-encrypted.
    pub fn reencrypt(&self) -> Result<usize, AccessError> {
        let ring = self.keyring.current_keys()?;
        let newest = ring.newest()?.id.clone();
        let (mut after, mut total) = (0, 0);
        loop {
            let (last, count) = self.database.write(|write| reencrypt_batch(write, &ring, &newest, after))?;
            total += count;
            match last {
                Some(last) => after = last,
                None => return Ok(total),
            }
        }
    }
}

/// Re-encrypts the next batch of rows. Returns the number of its last row, and how many rows changed.
fn reencrypt_batch(
    write: &Transaction<'_>,
    ring: &KeySet,
    newest: &str,
    after: i64,
) -> Result<(Option<i64>, usize), AccessError> {
    let mut statement =
        write.prepare_cached("SELECT seq, address, detail FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let rows: Vec<(i64, String, String)> = statement
        .query_map(params![after, REENCRYPT_BATCH], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut count = 0;
    for (seq, address, detail) in &rows {
        if [address, detail].iter().all(|encrypted| column_encryption::key_id_of(encrypted) == Some(newest)) {
            continue;
        }
        let reencrypt = |column: &str, encrypted: &str| {
            let row = format!("{seq}/{column}");
            column_encryption::encrypt(ring, TABLE, &row, &column_encryption::decrypt(ring, TABLE, &row, encrypted)?)
        };
        write.prepare_cached("UPDATE audit SET address = ?2, detail = ?3 WHERE seq = ?1")?.execute(params![
            seq,
            reencrypt("address", address)?,
            reencrypt("detail", detail)?
        ])?;
        count += 1;
    }
    Ok((rows.last().map(|(seq, ..)| *seq), count))
}
