//! Writes checkpoints on a separate thread: compressing and storing readings takes a while, and findings must not wait.
//!
//! The worker hands over the data to store and the stages' snapshots, and continues. Later data is not in the
//! checkpoint; if the host dies before the checkpoint is stored, the replay starts at the previous one.

use std::{io, sync::Arc, thread};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use serde::{Deserialize, Serialize};
use wheeltapper_store::{Checkpoint, Commit, SensorReadings, Store, StoreError, WaveformRow, WindowBlock};

use super::{snapshot_folder::SnapshotFolder, stages::StageSnapshots};
use crate::supervisor::panic_message;

/// Data that the store keeps with a snapshot's offset.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct SnapshotMetadata {
    /// End of processed-data at the snapshot.
    pub(super) processed: u64,
}

/// The data of a checkpoint.
#[derive(Debug, Default)]
pub(super) struct CheckpointData {
    pub(super) readings: Vec<SensorReadings>,
    pub(super) waveforms: Vec<WaveformRow>,
    pub(super) windows: Vec<WindowBlock>,
    /// Number of readings and waveform samples.
    pub(super) count: u64,
}

/// A checkpoint to be written.
#[derive(Debug)]
pub(super) struct CheckpointJob {
    /// Offset up to which the stages have processed records.
    pub(super) offset: u64,
    pub(super) metadata: SnapshotMetadata,
    pub(super) snapshots: StageSnapshots,
    /// Shared with the worker, which answers queries from it until it is in the store.
    pub(super) data: Arc<CheckpointData>,
}

/// A checkpoint that is in the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct WrittenCheckpoint {
    pub(super) offset: u64,
    pub(super) metadata: SnapshotMetadata,
    pub(super) count: u64,
    /// Number of readings that were not written, because they are stored already.
    pub(super) duplicates: u64,
}

/// Why a checkpoint could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckpointError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("writing the snapshots: {0}; check that the disk has free space")]
    Snapshot(#[from] io::Error),
    #[error("the thread that writes checkpoints ended: {0}")]
    ThreadEnded(String),
}

/// Decides when a checkpoint may continue with its next transaction. In the host it always continues; a simulation
/// holds it, so that other commits and crashes happen between two transactions.
pub(crate) trait CheckpointGate: Send + Sync + std::fmt::Debug {
    /// Called before each transaction; false ends the write unfinished, like the death of the process.
    fn may_continue(&self) -> bool {
        true
    }

    /// Called by the worker before it hands a checkpoint over.
    fn on_begin(&self) {}

    /// Called when a checkpoint has been written, or has failed.
    fn on_end(&self) {}

    /// Called when the worker is about to wait for the checkpoint in progress.
    fn on_wait(&self) {}
}

/// The gate of a running host, which never holds a checkpoint.
#[derive(Debug)]
pub(crate) struct OpenGate;

impl CheckpointGate for OpenGate {}

/// The thread that writes one partition's checkpoints, one at a time. A panic in it reaches the worker as an error.
#[derive(Debug)]
pub(super) struct Checkpointer {
    jobs: Option<Sender<CheckpointJob>>,
    results: Receiver<Result<WrittenCheckpoint, CheckpointError>>,
    under_way: bool,
    gate: Arc<dyn CheckpointGate>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(
        partition: u16,
        store: Store,
        snapshots: SnapshotFolder,
        gate: Arc<dyn CheckpointGate>,
    ) -> io::Result<Self> {
        let (jobs, waiting) = bounded::<CheckpointJob>(1);
        let (report, done) = bounded(1);
        let own_gate = Arc::clone(&gate);
        let thread = thread::Builder::new().name(format!("checkpoint-{partition}")).spawn(move || {
            for job in waiting {
                let written = write_checkpoint(partition, &store, &snapshots, &job, own_gate.as_ref()).transpose();
                if matches!(written, Some(Ok(_)))
                    && let Err(error) = store.checkpoint_wal()
                {
                    tracing::warn!(%error, "the store's write-ahead log could not be checkpointed; it grows until this succeeds");
                }
                own_gate.on_end();
                let Some(written) = written else { return };
                let failed = written.is_err();
                if report.send(written).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), results: done, under_way: false, gate, thread: Some(thread) })
    }

    /// Whether a checkpoint is being written.
    pub(super) fn is_writing(&self) -> bool {
        self.under_way
    }

    /// Starts to write a checkpoint; no other may be in progress.
    ///
    /// # Errors
    /// [`CheckpointError::ThreadEnded`].
    pub(super) fn start_writing(&mut self, job: CheckpointJob) -> Result<(), CheckpointError> {
        self.gate.on_begin();
        self.under_way = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if self.under_way { Ok(()) } else { Err(self.thread_ended_error()) }
    }

    /// Returns the checkpoint that was written since the last call; with `wait`, waits for the one in progress.
    ///
    /// # Errors
    /// Why it could not be written. The worker must be reopened then.
    pub(super) fn take_written(&mut self, wait: bool) -> Result<Option<WrittenCheckpoint>, CheckpointError> {
        if !self.under_way {
            return Ok(None);
        }
        let result = if wait {
            self.gate.on_wait();
            self.results.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            self.results.try_recv()
        };
        match result {
            Ok(written) => {
                self.under_way = false;
                written.map(Some)
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.thread_ended_error()),
        }
    }

    /// The error for a thread that has ended, with its panic message.
    fn thread_ended_error(&mut self) -> CheckpointError {
        self.under_way = false;
        let panic = self.thread.take().and_then(|thread| thread.join().err());
        let message = panic.map_or_else(|| "it was stopped".to_owned(), |payload| panic_message(payload.as_ref()));
        CheckpointError::ThreadEnded(message)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // The thread finishes its current write; the channel has capacity for its report.
            let _ = thread.join();
        }
    }
}

/// Writes a checkpoint; returns `None` when the gate ended the write.
fn write_checkpoint(
    partition: u16,
    store: &Store,
    folder: &SnapshotFolder,
    job: &CheckpointJob,
    gate: &dyn CheckpointGate,
) -> Result<Option<WrittenCheckpoint>, CheckpointError> {
    let began = std::time::Instant::now();
    if !gate.may_continue() {
        return Ok(None);
    }
    folder.write(job.offset, &job.snapshots)?;
    let wrote = began.elapsed();
    let snapshot = serde_json::to_string(&job.metadata).map_err(io::Error::from)?;
    let commit = Commit {
        partition,
        checkpoint: Some(Checkpoint { snapshot_offset: job.offset, snapshot }),
        readings: &job.data.readings,
        waveforms: &job.data.waveforms,
        windows: &job.data.windows,
        ..Commit::default()
    };
    let mut writer = store.begin_checkpoint(&commit)?;
    loop {
        if !gate.may_continue() {
            return Ok(None);
        }
        if !writer.step()? {
            break;
        }
    }
    writer.finish()?;
    tracing::debug!(partition, count = job.data.count, snapshots = ?wrote, all = ?began.elapsed(), "checkpoint");
    let duplicates = writer.duplicates();
    Ok(Some(WrittenCheckpoint {
        offset: job.offset,
        metadata: job.metadata,
        count: job.data.count - duplicates,
        duplicates,
    }))
}
