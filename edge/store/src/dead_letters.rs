//! Queries for dead letters.

use rusqlite::{OptionalExtension as _, Row};

use crate::{
    DeadLetter, Filter, Store, StoreError,
    queries::{FilterColumns, select},
};

const SELECT_DEAD_LETTERS: &str =
    "SELECT id, time, source, reason, message, payload, readings, sensor, format FROM dead_letters";
const FILTER_COLUMNS: FilterColumns =
    FilterColumns { time: "time", tie_breaker: "id", sensor: Some("sensor"), asset: None, reason: Some("reason") };

impl Store {
    /// Dead letters, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dead_letters(&self, filter: &Filter) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(|connection| {
            select(connection, SELECT_DEAD_LETTERS, filter.to_clause(&FILTER_COLUMNS), dead_letter_row)
        })
    }

    /// Ids of dead letters, newest first. Use this to iterate over many, because payloads may be large.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dead_letter_ids(&self, filter: &Filter) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            select(connection, "SELECT id FROM dead_letters", filter.to_clause(&FILTER_COLUMNS), |row| row.get(0))
        })
    }

    /// Dead letters without their payloads, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn dead_letters_without_payload(&self, filter: &Filter) -> Result<Vec<DeadLetter>, StoreError> {
        let select_without_payload =
            "SELECT id, time, source, reason, message, x'' AS payload, readings, sensor, format FROM dead_letters";
        self.read(|connection| {
            select(connection, select_without_payload, filter.to_clause(&FILTER_COLUMNS), dead_letter_row)
        })
    }

    /// Returns one dead letter, if it exists.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, StoreError> {
        let statement = format!("{SELECT_DEAD_LETTERS} WHERE id = ?1");
        self.read(|connection| Ok(connection.query_row(&statement, [id], dead_letter_row).optional()?))
    }

    /// Deletes a dead letter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete_dead_letter(&self, id: &str) -> Result<(), StoreError> {
        self.write(|to| {
            to.prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?.execute([id])?;
            Ok(())
        })
    }

    /// Deletes the dead letters before a time. Returns their number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn purge_dead_letters(&self, before: i64) -> Result<usize, StoreError> {
        self.write(|to| Ok(to.execute("DELETE FROM dead_letters WHERE time < ?1", [before])?))
    }
}

fn dead_letter_row(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        id: row.get(0)?,
        time: row.get(1)?,
        source: row.get(2)?,
        reason: row.get(3)?,
        message: row.get(4)?,
        payload: row.get(5)?,
        readings: row.get(6)?,
        sensor: row.get(7)?,
        format: row.get(8)?,
    })
}
