//! The store: one SQLite file, which can also be opened with other SQLite tools.
//!
//! Findings are stored as rows. Raw readings are stored in `reading_chunks`, one row per sensor and checkpoint, with
//! times and values as columns compressed by pco. Their hourly aggregates are stored in a separate table. All data of a
//! checkpoint becomes visible at once.

mod backup;
mod check;
mod checkpoint;
mod chunk;
mod commit;
mod connection;
mod counts;
mod course;
mod deeds;
mod error;
mod expire;
mod export;
mod findings;
#[cfg(feature = "simulation")]
pub mod fuzz;
mod letters;
mod look;
mod merge;
mod newest;
mod readings;
mod repeats;
mod rows;
mod schema;
#[cfg(feature = "simulation")]
pub mod simulated;
mod thin;
mod wal;
mod windows;

pub use backup::copy_file;
pub use check::Checked;
pub use checkpoint::CheckpointWriter;
pub use chunk::{decode_f64, decode_i64, encode_f64, encode_i64};
pub use commit::{Applied, Checkpoint, Commit, SensorColumn, WaveformRow, WindowBlock, WindowRow};
pub use connection::StoreOptions;
pub use counts::Counts;
pub use deeds::{ActionRow, Deed, TaskRow};
pub use error::{StoreError, StoreErrorKind};
pub use expire::{Expired, Retention};
pub use export::Table;
pub use look::{Filter, Hour};
pub use newest::{FeatureWindow, Span};
pub use rows::{
    AlertRow, AnomalyRow, DeadLetter, DriftRow, PartitionState, PrognosisRow, SensorRow, SkippedRow, WorkOrderRow,
};
pub use thin::ThinnedReadings;
pub use wal::{Folded, StoreSizes};

use std::sync::Arc;

/// A value of a result row or a query parameter.
pub use rusqlite::types::Value as Cell;

/// A handle to the store; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<connection::Shared>,
}
