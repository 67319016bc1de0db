//! Looking for damage: pages, indexes and compressed columns.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, params};

use crate::{Store, StoreError, connection::open_file, readings::columns};

/// How long one statement of a thorough check may hold a snapshot, as the write-ahead log grows meanwhile.
const STATEMENT: Duration = Duration::from_secs(10);
/// Chunks that are decoded under one snapshot.
const CHUNKS: u32 = 256;

/// How far a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// False when the time was up, or it was stopped, before everything was looked at. What was looked at is sound.
    pub complete: bool,
}

impl Store {
    /// Looks for damage on a connection of its own. A quick check looks at the pages for as long as
    /// [`crate::StoreOptions::quick_check`] says; a thorough one goes through each table, its indexes and all chunks of
    /// readings, which may take minutes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or another error whose kind is [`crate::StoreErrorKind::Corrupt`] when there is damage; any
    /// other error when it could not be looked for.
    pub fn check(&self, quick: bool) -> Result<(), StoreError> {
        self.check_until(quick, || false).map(drop)
    }

    /// As [`Self::check`], until `stop` says so, which is asked every few milliseconds.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_until(
        &self,
        quick: bool,
        stop: impl Fn() -> bool + Clone + Send + 'static,
    ) -> Result<Checked, StoreError> {
        let shared = &*self.shared;
        let open = || open_file(&shared.path, OpenFlags::SQLITE_OPEN_READ_ONLY, &shared.options);
        if quick {
            let mut connection = open()?;
            let complete = pragma(&mut connection, "quick_check(1)", shared.options.quick_check, &stop)?;
            return Ok(Checked { complete });
        }
        let mut connection = open()?;
        let tables: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut complete = true;
        for table in tables {
            // An own snapshot for each, so that the write-ahead log can be folded in between.
            let check = format!("integrity_check('{}')", table.replace('\'', "''"));
            complete &= pragma(&mut connection, &check, STATEMENT, &stop)?;
        }
        complete &= chunks(&connection, &stop)?;
        Ok(Checked { complete })
    }
}

/// Runs one check; false when it was ended.
fn pragma(
    connection: &mut Connection,
    check: &str,
    limit: Duration,
    stop: &(impl Fn() -> bool + Clone + Send + 'static),
) -> Result<bool, StoreError> {
    let (end, stopped) = (Instant::now() + limit, stop.clone());
    connection.progress_handler(10_000, Some(move || Instant::now() > end || stopped()))?;
    let found = connection.query_row(&format!("PRAGMA {check}"), [], |row| row.get::<_, String>(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match found.map_err(StoreError::from) {
        Ok(found) if found == "ok" => Ok(true),
        Ok(found) if found.eq_ignore_ascii_case("interrupted") => Ok(false),
        Ok(found) => Err(StoreError::Damaged(found)),
        Err(error) if error.is_interrupt() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Decodes all chunks of readings, some under each snapshot.
fn chunks(connection: &Connection, stop: &impl Fn() -> bool) -> Result<bool, StoreError> {
    let mut statement = connection.prepare(
        "SELECT sensor, start_time, times, vals, count FROM reading_chunks
         WHERE (sensor, start_time) > (?1, ?2) ORDER BY sensor, start_time LIMIT ?3",
    )?;
    let mut last = (i64::MIN, i64::MIN);
    loop {
        if stop() {
            return Ok(false);
        }
        let mut some = statement.query(params![last.0, last.1, CHUNKS])?;
        let mut at = ControlFlow::Break(());
        while let Some(chunk) = some.next()? {
            last = (chunk.get(0)?, chunk.get(1)?);
            at = ControlFlow::Continue(());
            let (sensor, start) = last;
            let damaged =
                |what: String| StoreError::Damaged(format!("the readings of sensor {sensor} from {start} on: {what}"));
            let (times, _) = columns(chunk, 2).map_err(|error| damaged(error.to_string()))?;
            let count: i64 = chunk.get(4)?;
            if i64::try_from(times.len()).ok() != Some(count) {
                return Err(damaged(format!("{} where {count} should be", times.len())));
            }
        }
        if at.is_break() {
            return Ok(true);
        }
    }
}
