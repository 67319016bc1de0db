//! Going through the audit to see whether anybody changed it.

use rusqlite::Connection;

use crate::{
    Access, AccessError,
    audit::{self, BEGINNING, COLUMNS, Stored},
    keyring::Ring,
};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// How many entries there are.
    pub entries: u64,
    /// The first thing that is wrong.
    pub first_bad: Option<Bad>,
}

impl Verification {
    /// Whether all is as it was written.
    pub fn ok(&self) -> bool {
        self.first_bad.is_none()
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// With which entry.
    pub seq: i64,
    /// What.
    pub why: String,
}

impl Access {
    /// Checks every entry, the chain, and that the end is there. Others may write meanwhile.
    ///
    /// An older copy of the whole file is as sound as it was then: that it is old shows beside the export or syslog only.
    ///
    /// # Errors
    /// [`AccessError`] when the file cannot be read.
    pub fn verify_audit(&self) -> Result<Verification, AccessError> {
        let ring = self.keyring.current()?;
        let mut connection = self.database.apart()?;
        // One snapshot for entries and head.
        let snapshot = connection.transaction()?;
        verify(&snapshot, &ring)
    }
}

fn verify(connection: &Connection, ring: &Ring) -> Result<Verification, AccessError> {
    let (mut entries, mut last, mut previous) = (0, 0, BEGINNING);
    let mut bad = None;
    let mut asked = connection.prepare(&format!("SELECT {COLUMNS} FROM audit ORDER BY seq"))?;
    let mut rows = asked.query([])?;
    while let Some(row) = rows.next()? {
        entries += 1;
        if bad.is_some() {
            continue;
        }
        match check(Stored::read(row), ring, last, &previous) {
            Ok((seq, hash)) => (last, previous) = (seq, hash),
            Err(found) => bad = Some(found),
        }
    }
    if bad.is_none() {
        bad = check_head(audit::head(connection), ring, last, &previous)?;
    }
    Ok(Verification { entries, first_bad: bad })
}

fn check(row: rusqlite::Result<Stored>, ring: &Ring, last: i64, previous: &[u8; 32]) -> Result<(i64, [u8; 32]), Bad> {
    let expected = last + 1;
    let bad = |seq: i64, why: &str| Err(Bad { seq, why: why.to_owned() });
    let Ok(stored) = row else { return bad(expected, "the row does not hold what it should") };
    let seq = stored.seq;
    if seq > expected {
        return bad(expected, "it is missing");
    }
    if seq < expected {
        return bad(seq, "it was put in");
    }
    let Some(key) = ring.find(&stored.key) else {
        return bad(seq, &format!("it names the key {}, which is not in the keyring", stored.key));
    };
    let Ok(found) = <[u8; 32]>::try_from(stored.hash.as_slice()) else {
        return bad(seq, "its hash is none");
    };
    let entry = match stored.opened(ring) {
        Ok(entry) => entry,
        Err(error) => return bad(seq, &error.to_string()),
    };
    if seq == 1 && entry.action != audit::FIRST {
        return bad(seq, "the audit does not begin with its beginning; all that was before is missing");
    }
    if audit::hash(&key.for_audit(), previous, &entry) != found {
        return bad(seq, "it was changed, put in, or moved: its hash does not fit it and the entry before");
    }
    Ok((seq, found))
}

fn check_head(
    head: Result<Option<(i64, String, Vec<u8>)>, AccessError>,
    ring: &Ring,
    last: i64,
    hash: &[u8; 32],
) -> Result<Option<Bad>, AccessError> {
    let bad = |seq: i64, why: &str| Ok(Some(Bad { seq, why: why.to_owned() }));
    let Some((seq, key, found)) = head? else {
        // The first entry is written when the file is made, so there never is none.
        return bad(last + 1, "the record of the last entry is missing; entries may be too");
    };
    if seq > last {
        return bad(last + 1, &format!("it is missing, with all up to {seq}"));
    }
    let Some(key) = ring.find(&key) else {
        return bad(last, &format!("the record of the last entry names the key {key}, which is not in the keyring"));
    };
    let fits = seq == last && audit::hash_of_head(&key.for_audit(), last, hash).as_slice() == found;
    if fits { Ok(None) } else { bad(last, "the record of the last entry does not fit it; entries may be missing") }
}
