//! Starts a worker's thread.

use std::sync::Arc;

use crossbeam_channel::bounded;
use wheeltapper_log::Reader;

use super::{Worker, config::WorkerConfig, topics::WorkerTopics};
use crate::{
    line::{
        stages::StageConfigs,
        worker_handle::{WorkerHandle, WorkerShared},
    },
    supervisor::Supervisor,
};

/// Starts the worker of `partition` with `reader`, at the offset in the store. After a fault it is reopened in the same
/// way.
///
/// # Errors
/// When the topics, the store or the snapshots cannot be read, or a stage rejects its configuration.
pub fn start_worker(
    supervisor: &Supervisor,
    config: WorkerConfig,
    partition: u16,
    reader: Reader,
) -> anyhow::Result<WorkerHandle> {
    let config = Arc::new(config);
    let shared = Arc::new(WorkerShared::new(StageConfigs::from(config.stage_configs.clone()), &config.signals));
    let topics = Arc::new(WorkerTopics::open(&config.topics, partition)?);
    let (findings, raw) = (topics.findings_reader(), reader.clone());
    let own = Arc::clone(&shared);
    let (report, opened) = bounded(1);
    let mut report = Some(report);
    let task = supervisor.spawn(format!("line-{partition}"), move |context| {
        let first = report.take();
        let opened =
            Worker::open(Arc::clone(&config), partition, reader.clone(), Arc::clone(&topics), Arc::clone(&own));
        let mut worker = match (opened, first) {
            (Ok(worker), first) => {
                if let Some(first) = first {
                    let _ = first.send(None);
                }
                worker
            }
            (Err(error), Some(first)) => {
                // Returned to the caller, which stops the host.
                let _ = first.send(Some(error));
                return Ok(());
            }
            (Err(error), None) => return Err(error.into()),
        };
        let _running = RunningGuard::new(&own);
        Ok(worker.run(context)?)
    })?;
    match opened.recv() {
        Ok(None) => Ok(WorkerHandle { shared, findings, raw, task }),
        Ok(Some(error)) => Err(error.into()),
        Err(_) => anyhow::bail!("its thread ended while it was opened; see the log for the reason"),
    }
}

/// The worker accepts queries while this guard lives.
struct RunningGuard<'a>(&'a WorkerShared);

impl<'a> RunningGuard<'a> {
    fn new(shared: &'a WorkerShared) -> Self {
        shared.set_running(true);
        Self(shared)
    }
}

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        self.0.set_running(false);
    }
}
