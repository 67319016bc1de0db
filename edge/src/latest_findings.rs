//! The newest findings, for the start page of the dashboard and for the terminal.

use serde::Serialize;
use wheeltapper_store::{AlertRow, AnomalyRow, Counts, Filter, Store, StoreError, WorkOrderRow};

/// Rows per table.
const ROWS_PER_TABLE: usize = 20;

/// The newest findings and work orders.
#[derive(Debug, Serialize)]
pub struct LatestFindings {
    /// Row counts of all tables.
    pub counts: Counts,
    /// Anomalies, newest first.
    pub anomalies: Vec<AnomalyRow>,
    /// Alerts, newest first.
    pub alerts: Vec<AlertRow>,
    /// Work orders, newest first.
    pub work_orders: Vec<WorkOrderRow>,
}

impl LatestFindings {
    /// Reads the newest rows of each table from the store.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn read(store: &Store) -> Result<Self, StoreError> {
        let newest = Filter { limit: Some(ROWS_PER_TABLE), ..Filter::default() };
        Ok(Self {
            counts: store.counts()?,
            anomalies: store.anomalies(&newest)?,
            alerts: store.alerts(&newest)?,
            work_orders: store.work_orders(&newest)?,
        })
    }
}
