//! Verification of the audit log: finds the first entry that was changed, removed or inserted.

use rusqlite::Connection;

use crate::{
    Access, AccessError,
    audit::{self, COLUMNS, GENESIS_HASH, StoredEntry},
    keyring::KeySet,
};

/// The result of [`Access::verify_audit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditVerification {
    /// Number of entries in the audit log.
    pub entries: u64,
    /// The first defect, or `None` when the audit log is intact.
    pub first_defect: Option<AuditDefect>,
}

impl AuditVerification {
    /// Whether the audit log is intact.
    pub fn is_intact(&self) -> bool {
        self.first_defect.is_none()
    }
}

/// A defect in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDefect {
    /// Number of the defective or missing entry.
    pub seq: i64,
    /// What is wrong with the entry.
    pub reason: String,
}

impl Access {
    /// Checks every entry, the hash chain and the head record. Other threads and processes can write at the same time.
    ///
    /// An older copy of the whole file passes this check. Only a comparison with an export or with syslog shows that it
    /// is old.
    ///
    /// # Errors
    /// [`AccessError`] when the file cannot be read.
    pub fn verify_audit(&self) -> Result<AuditVerification, AccessError> {
        let ring = self.keyring.current_keys()?;
        let mut connection = self.database.open_reader()?;
        // One snapshot for entries and head.
        let snapshot = connection.transaction()?;
        verify(&snapshot, &ring)
    }
}

fn verify(connection: &Connection, ring: &KeySet) -> Result<AuditVerification, AccessError> {
    let (mut entries, mut last, mut previous) = (0, 0, GENESIS_HASH);
    let mut bad = None;
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM audit ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        entries += 1;
        if bad.is_some() {
            continue;
        }
        match check_entry(StoredEntry::read(row), ring, last, &previous) {
            Ok((seq, hash)) => (last, previous) = (seq, hash),
            Err(found) => bad = Some(found),
        }
    }
    if bad.is_none() {
        bad = check_head(audit::read_head(connection), ring, last, &previous)?;
    }
    Ok(AuditVerification { entries, first_defect: bad })
}

fn check_entry(
    row: rusqlite::Result<StoredEntry>,
    ring: &KeySet,
    last: i64,
    previous: &[u8; 32],
) -> Result<(i64, [u8; 32]), AuditDefect> {
    let expected = last + 1;
    let bad = |seq: i64, why: &str| Err(AuditDefect { seq, reason: why.to_owned() });
    let Ok(stored) = row else { return bad(expected, "the row has invalid content") };
    let seq = stored.seq;
    if seq > expected {
        return bad(expected, "the entry is missing");
    }
    if seq < expected {
        return bad(seq, "the entry was inserted");
    }
    let Some(key) = ring.find(&stored.key) else {
        return bad(seq, &format!("the entry names key {}, which is not in the keyring", stored.key));
    };
    let Ok(found) = <[u8; 32]>::try_from(stored.hash.as_slice()) else {
        return bad(seq, "the hash of the entry is not 32 bytes long");
    };
    let entry = match stored.decrypt(ring) {
        Ok(entry) => entry,
        Err(error) => return bad(seq, &error.to_string()),
    };
    if seq == 1 && entry.action != audit::FIRST_ACTION {
        return bad(seq, "the audit log does not start with its first entry; all earlier entries are missing");
    }
    if audit::entry_hash(&key.audit_key(), previous, &entry) != found {
        return bad(
            seq,
            "the entry was changed, inserted or moved: its hash does not match its content and the previous entry",
        );
    }
    Ok((seq, found))
}

fn check_head(
    head: Result<Option<(i64, String, Vec<u8>)>, AccessError>,
    ring: &KeySet,
    last: i64,
    hash: &[u8; 32],
) -> Result<Option<AuditDefect>, AccessError> {
    let bad = |seq: i64, why: &str| Ok(Some(AuditDefect { seq, reason: why.to_owned() }));
    let Some((seq, key, found)) = head? else {
        // The first entry is written when the file is created, so a head record always exists.
        return bad(last + 1, "the head record is missing; entries may be missing too");
    };
    if seq > last {
        return bad(last + 1, &format!("the entries from here to {seq} are missing"));
    }
    let Some(key) = ring.find(&key) else {
        return bad(last, &format!("the head record names key {key}, which is not in the keyring"));
    };
    let fits = seq == last && audit::head_hash(&key.audit_key(), last, hash).as_slice() == found;
    if fits { Ok(None) } else { bad(last, "the head record does not match the last entry; entries may be missing") }
}
