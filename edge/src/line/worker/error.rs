//! Faults of a worker.

use std::io;

use wheeltapper_log::LogError;
use wheeltapper_store::StoreError;

use crate::{components::CallError, line::checkpoint::CheckpointError, topics::RecordError};

/// Why a worker must be reopened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("the files of the line: {0}; check that the disk has free space")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Stage(#[from] CallError),
}
