//! The store: one SQLite file, which can also be opened with other SQLite tools.
//!
//! Findings are stored as rows. Raw readings are stored in `reading_chunks`, one row per sensor and checkpoint, with
//! times and values as columns compressed by pco. Their hourly aggregates are stored in a separate table. All data of a
//! checkpoint becomes visible at once.

mod actions;
mod backup;
mod checkpoint;
mod chunk;
mod chunk_merge;
mod column_codec;
mod commit;
mod connection;
mod counts;
mod dead_letters;
mod downsample;
mod drift_queries;
mod duplicates;
mod error;
mod export;
mod file;
mod finding_writes;
#[cfg(feature = "simulation")]
pub mod fuzz;
mod integrity_check;
mod options;
mod queries;
mod readings;
mod retention;
mod rows;
mod schema;
#[cfg(feature = "simulation")]
pub mod simulated;
mod states;
mod wal;
mod wal_checkpoint;
mod window_chunks;
mod window_queries;

pub use actions::{ActionRow, ActionWrite, TaskRow};
pub use backup::copy_file;
pub use checkpoint::CheckpointWriter;
pub use column_codec::{decode_f64, decode_i64, encode_f64, encode_i64};
pub use commit::{AppliedOffset, Checkpoint, Commit, SensorReadings, WaveformRow, WindowBlock, WindowRow};
pub use counts::Counts;
pub use downsample::DownsampledReadings;
pub use error::{StoreError, StoreErrorKind};
pub use export::Table;
pub use integrity_check::CheckOutcome;
pub use options::StoreOptions;
pub use queries::{Filter, HourlyAggregate};
pub use retention::{ExpiredRows, StoreRetention};
pub use rows::{PartitionProgress, SensorRow, SkippedRange};
pub use wal::WalCheckpoint;
pub use wal_checkpoint::StoreSizes;
pub use wheeltapper_domain::{AlertRow, AnomalyRow, DeadLetter, DriftRow, PrognosisRow, WorkOrderRow};
pub use window_queries::{FeatureWindow, WindowFilter};

use std::sync::Arc;

/// A value of a result row or a query parameter.
pub use rusqlite::types::Value as Cell;

/// A handle to the store; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<connection::StoreShared>,
}
