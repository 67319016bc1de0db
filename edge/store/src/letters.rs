//! Dead letters.

use rusqlite::{OptionalExtension as _, Row};

use crate::{
    DeadLetter, Filter, Store, StoreError,
    look::{Columns, select},
};

const LETTERS: &str = "SELECT id, time, source, reason, message, payload, readings, sensor, format FROM dead_letters";

impl Store {
    /// Dead letters, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dead_letters(&self, filter: &Filter) -> Result<Vec<DeadLetter>, StoreError> {
        let columns = Columns { time: "time", sensor: Some("sensor"), asset: None, reason: Some("reason") };
        self.read(|connection| select(connection, LETTERS, filter.clause(&columns), letter))
    }

    /// One dead letter, if it is there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, StoreError> {
        let statement = format!("{LETTERS} WHERE id = ?1");
        self.read(|connection| Ok(connection.query_row(&statement, [id], letter).optional()?))
    }

    /// Deletes a dead letter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete_dead_letter(&self, id: &str) -> Result<(), StoreError> {
        self.writer()?.execute("DELETE FROM dead_letters WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Deletes the dead letters from before a time; tells how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn purge_dead_letters(&self, before: i64) -> Result<usize, StoreError> {
        Ok(self.writer()?.execute("DELETE FROM dead_letters WHERE time < ?1", [before])?)
    }
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
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
