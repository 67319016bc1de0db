//! Queries for drifts and prognoses.

use crate::{
    DriftRow, Filter, PrognosisRow, Store, StoreError,
    queries::{FilterColumns, select},
};

impl Store {
    /// Drifts, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drifts(&self, filter: &Filter) -> Result<Vec<DriftRow>, StoreError> {
        let columns =
            FilterColumns { time: "time", tie_breaker: "id", sensor: None, asset: Some("asset"), reason: None };
        let what = "SELECT id, asset, time, kind, sensors, p_value, message FROM drifts";
        self.read(|connection| {
            select(connection, what, filter.to_clause(&columns), |row| {
                let sensors: String = row.get(4)?;
                Ok(DriftRow {
                    id: row.get(0)?,
                    asset: row.get(1)?,
                    time: row.get(2)?,
                    kind: row.get(3)?,
                    sensors: serde_json::from_str(&sensors).unwrap_or_default(),
                    p_value: row.get(5)?,
                    message: row.get(6)?,
                })
            })
        })
    }

    /// Prognoses of remaining life, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn prognoses(&self, filter: &Filter) -> Result<Vec<PrognosisRow>, StoreError> {
        let columns =
            FilterColumns { time: "time", tie_breaker: "asset", sensor: None, asset: Some("asset"), reason: None };
        let what = "SELECT asset, time, health, p10_hours, p50_hours, p90_hours, model FROM prognoses";
        self.read(|connection| {
            select(connection, what, filter.to_clause(&columns), |row| {
                Ok(PrognosisRow {
                    asset: row.get(0)?,
                    time: row.get(1)?,
                    health: row.get(2)?,
                    p10_hours: row.get(3)?,
                    p50_hours: row.get(4)?,
                    p90_hours: row.get(5)?,
                    model: row.get(6)?,
                })
            })
        })
    }
}
