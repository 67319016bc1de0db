//! Checks pages, indexes and compressed columns for damage.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, params};

use crate::{Store, StoreError, file::open_file, readings::decode_columns};

/// Time limit of one statement of a thorough check. The statement holds a snapshot, and the write-ahead log grows
/// meanwhile.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Chunks that are decoded per snapshot.
const CHUNKS_PER_SNAPSHOT: u32 = 256;

/// The result of a check that found no damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckOutcome {
    /// False when the check ended before it was complete, because of the time limit or a stop request. The part that
    /// was checked is valid.
    pub is_complete: bool,
}

impl Store {
    /// Checks for damage on a separate connection. A quick check reads pages for at most
    /// [`crate::StoreOptions::quick_check_timeout`]. A thorough check reads each table, its indexes and all chunks of
    /// readings, which may take minutes.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or another error of kind [`crate::StoreErrorKind::Corrupt`], when there is damage; any
    /// other error when the check could not be made.
    pub fn check_integrity(&self, quick: bool) -> Result<(), StoreError> {
        self.check_integrity_until(quick, || false).map(drop)
    }

    /// As [`Self::check_integrity`], but ends when `stop` returns true. It is called every few milliseconds.
    ///
    /// # Errors
    /// As [`Self::check_integrity`].
    pub fn check_integrity_until(
        &self,
        quick: bool,
        stop: impl Fn() -> bool + Clone + Send + 'static,
    ) -> Result<CheckOutcome, StoreError> {
        let shared = &*self.shared;
        let open = || open_file(&shared.path, OpenFlags::SQLITE_OPEN_READ_ONLY, &shared.options);
        if quick {
            let mut connection = open()?;
            let complete =
                run_check_pragma(&mut connection, "quick_check(1)", shared.options.quick_check_timeout, &stop)?;
            return Ok(CheckOutcome { is_complete: complete });
        }
        let mut connection = open()?;
        let tables: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut complete = true;
        for table in tables {
            // A separate snapshot for each table, so that the write-ahead log can be checkpointed in between.
            let check = format!("integrity_check('{}')", table.replace('\'', "''"));
            complete &= run_check_pragma(&mut connection, &check, STATEMENT_TIMEOUT, &stop)?;
        }
        complete &= check_chunks(&connection, &stop)?;
        Ok(CheckOutcome { is_complete: complete })
    }
}

/// Runs one check pragma. Returns false if it was interrupted.
fn run_check_pragma(
    connection: &mut Connection,
    check: &str,
    limit: Duration,
    stop: &(impl Fn() -> bool + Clone + Send + 'static),
) -> Result<bool, StoreError> {
    let (end, stopped) = (Instant::now() + limit, stop.clone());
    connection.progress_handler(10_000, Some(move || Instant::now() > end || stopped()))?;
    let result = connection.query_row(&format!("PRAGMA {check}"), [], |row| row.get::<_, String>(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match result.map_err(StoreError::from) {
        Ok(result) if result == "ok" => Ok(true),
        Ok(result) if result.eq_ignore_ascii_case("interrupted") => Ok(false),
        Ok(result) => Err(StoreError::Corrupt(result)),
        Err(error) if error.is_interrupt() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Decodes all chunks of readings, with a new snapshot for every [`CHUNKS_PER_SNAPSHOT`] chunks. Returns false if it
/// was stopped.
fn check_chunks(connection: &Connection, stop: &impl Fn() -> bool) -> Result<bool, StoreError> {
    let mut statement = connection.prepare(
        "SELECT sensor, start_time, times, vals, count FROM reading_chunks
         WHERE (sensor, start_time) > (?1, ?2) ORDER BY sensor, start_time LIMIT ?3",
    )?;
    let mut last = (i64::MIN, i64::MIN);
    loop {
        if stop() {
            return Ok(false);
        }
        let mut page = statement.query(params![last.0, last.1, CHUNKS_PER_SNAPSHOT])?;
        let mut progress = ControlFlow::Break(());
        while let Some(chunk) = page.next()? {
            last = (chunk.get(0)?, chunk.get(1)?);
            progress = ControlFlow::Continue(());
            let (sensor, start) = last;
            let damaged = |reason: String| {
                StoreError::Corrupt(format!("the readings of sensor {sensor} from {start} on: {reason}"))
            };
            let (times, _) = decode_columns(chunk, 2).map_err(|error| damaged(error.to_string()))?;
            let count: i64 = chunk.get(4)?;
            if i64::try_from(times.len()).ok() != Some(count) {
                return Err(damaged(format!("expected {count} readings, found {}", times.len())));
            }
        }
        if progress.is_break() {
            return Ok(true);
        }
    }
}
