//! The newest of everything, for the first page and the terminal.

use serde::Serialize;
use wheeltapper_store::{AlertRow, AnomalyRow, Counts, Filter, Store, StoreError, WorkOrderRow};

/// How many of each.
const NEWEST: usize = 20;

/// The newest findings and orders.
#[derive(Debug, Serialize)]
pub struct Latest {
    /// How many there are of everything.
    pub counts: Counts,
    /// Newest first.
    pub anomalies: Vec<AnomalyRow>,
    /// Newest first.
    pub alerts: Vec<AlertRow>,
    /// Newest first.
    pub work_orders: Vec<WorkOrderRow>,
}

impl Latest {
    /// Reads them from the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(store: &Store) -> Result<Self, StoreError> {
        let newest = Filter { limit: Some(NEWEST), ..Filter::default() };
        Ok(Self {
            counts: store.counts()?,
            anomalies: store.anomalies(&newest)?,
            alerts: store.alerts(&newest)?,
            work_orders: store.work_orders(&newest)?,
        })
    }
}
