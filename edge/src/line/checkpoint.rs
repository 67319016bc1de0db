//! Writing a checkpoint beside the line: compressing and storing readings takes a while, and findings must not wait.
//!
//! The worker hands over what is to be stored and the stages' snapshots, and goes on. What follows is not in the
//! checkpoint; if the host dies before it is stored, the replay starts at the one before.

use std::{io, sync::Arc, thread};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};
use wheeltapper_store::{Checkpoint, Commit, SensorColumn, Store, StoreError, WaveformRow, WindowBlock};

use super::{recovery::SnapshotFolder, stages::StageSnapshots};

/// What the store keeps of a snapshot beside its offset.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct SnapshotNote {
    /// End of processed-data at the snapshot.
    pub(super) processed: u64,
}

/// What a checkpoint stores.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) readings: Vec<SensorColumn>,
    pub(super) waveforms: Vec<WaveformRow>,
    pub(super) windows: Vec<WindowBlock>,
    /// Readings and samples.
    pub(super) count: u64,
}

/// A checkpoint to be written.
#[derive(Debug)]
pub(super) struct Job {
    /// Offset up to which the stages have gone.
    pub(super) offset: u64,
    pub(super) note: SnapshotNote,
    pub(super) snapshots: StageSnapshots,
    /// Shared with the worker, which answers questions about it until it is in the store.
    pub(super) stored: Arc<Stored>,
}

/// A checkpoint that is in the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) offset: u64,
    pub(super) note: SnapshotNote,
    pub(super) count: u64,
}

/// Why it is not.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckpointError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the snapshots: {0}; check that the disk has room")]
    Snapshot(#[from] io::Error),
}

/// The thread that writes one partition's checkpoints, one at a time.
#[derive(Debug)]
pub(super) struct Checkpointer {
    jobs: Option<Sender<Job>>,
    done: Receiver<Result<Written, CheckpointError>>,
    under_way: bool,
    thread: Option<thread::JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(partition: u16, store: Store, snapshots: SnapshotFolder) -> io::Result<Self> {
        let (jobs, waiting) = bounded::<Job>(1);
        let (told, done) = bounded(1);
        let thread = thread::Builder::new().name(format!("checkpoint-{partition}")).spawn(move || {
            for job in waiting {
                if told.send(write(partition, &store, &snapshots, &job)).is_err() {
                    return;
                }
                if let Err(error) = store.fold() {
                    tracing::warn!(%error, "the store's write-ahead log could not be folded; it grows until it can");
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), done, under_way: false, thread: Some(thread) })
    }

    /// Whether one is being written.
    pub(super) fn under_way(&self) -> bool {
        self.under_way
    }

    /// Begins to write one; none may be under way.
    pub(super) fn begin(&mut self, job: Job) {
        if let Some(jobs) = &self.jobs {
            self.under_way = jobs.send(job).is_ok();
        }
    }

    /// The one that was written since it was last asked; with `wait`, the one that is under way.
    pub(super) fn written(&mut self, wait: bool) -> Result<Option<Written>, CheckpointError> {
        if !self.under_way {
            return Ok(None);
        }
        let result = if wait { self.done.recv().ok() } else { self.done.try_recv().ok() };
        self.under_way = result.is_none() && !wait;
        result.transpose()
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // It may want to tell of one more.
        let _ = self.done.recv();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(partition: u16, store: &Store, folder: &SnapshotFolder, job: &Job) -> Result<Written, CheckpointError> {
    let began = std::time::Instant::now();
    folder.write(job.offset, &job.snapshots)?;
    let wrote = began.elapsed();
    let snapshot = serde_json::to_string(&job.note).map_err(io::Error::from)?;
    store.commit(&Commit {
        partition,
        checkpoint: Some(Checkpoint { snapshot_offset: job.offset, snapshot }),
        readings: &job.stored.readings,
        waveforms: &job.stored.waveforms,
        windows: &job.stored.windows,
        ..Commit::default()
    })?;
    tracing::debug!(partition, count = job.stored.count, snapshots = ?wrote, all = ?began.elapsed(), "checkpoint");
    Ok(Written { offset: job.offset, note: job.note, count: job.stored.count })
}
