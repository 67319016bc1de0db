//! Row and reading counts, updated with each commit.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::Serialize;

use crate::{Store, StoreError};

/// Rows and readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Scalar readings stored.
    pub readings: u64,
    /// Samples of waveforms stored.
    pub waveform_samples: u64,
    /// Windows stored.
    pub windows: u64,
    /// Anomalies stored.
    pub anomalies: u64,
    /// Alerts stored.
    pub alerts: u64,
    /// Work orders stored.
    pub work_orders: u64,
    /// Dead letters stored.
    pub dead_letters: u64,
    /// Readings ever rejected, including those whose dead letter was deleted.
    pub rejected_readings: u64,
}

pub(crate) fn add_to_counter(connection: &Connection, name: &str, by: u64) -> Result<(), StoreError> {
    if by > 0 {
        connection
            .prepare_cached(
                "INSERT INTO counters VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            )?
            .execute(params![name, i64::try_from(by).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

impl Store {
    /// Returns the current counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT name, value FROM counters")?;
            let counters: BTreeMap<String, i64> =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
            let counter =
                |name: &str| counters.get(name).copied().and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
            let rows = |table: &str| -> Result<u64, StoreError> {
                let count: i64 =
                    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
                Ok(u64::try_from(count).unwrap_or(0))
            };
            Ok(Counts {
                readings: counter("readings"),
                waveform_samples: counter("waveform_samples"),
                windows: counter("windows"),
                anomalies: rows("anomalies")?,
                alerts: rows("alerts")?,
                work_orders: rows("work_orders")?,
                dead_letters: rows("dead_letters")?,
                rejected_readings: counter("rejected_readings"),
            })
        })
    }
}
