//! Regular work: limits, retention, metrics, and the check of the store.

use std::{
    io,
    sync::PoisonError,
    time::{Duration, Instant},
};

use wheeltapper_store::Store;

use super::Host;
use crate::{
    clock,
    line::WorkerHandle,
    supervisor::{Supervisor, TaskHandle},
};

/// Delay between the start and the first full check of the store for damage.
const FIRST_STORE_CHECK_DELAY: Duration = Duration::from_secs(600);
/// Interval between full checks of the store.
const STORE_CHECK_INTERVAL: Duration = Duration::from_secs(86_400);
/// Interval between full checks while the store is damaged.
const DAMAGED_STORE_CHECK_INTERVAL: Duration = Duration::from_secs(3600);
/// Interval between two drops of old readings from the store.
const EXPIRE_STORE_INTERVAL: Duration = Duration::from_secs(60);

impl Host {
    /// Runs once a second: updates the intake's backlog limit, measures the rate and drops old segments.
    pub fn housekeeping(&self) {
        let mut needed: Vec<u64> = self.workers.iter().map(WorkerHandle::replay_offset).collect();
        needed.push(self.dead_letter_writer.position());
        self.release_findings();
        self.metrics.sensors.set(i64::try_from(self.registry.len()).unwrap_or(i64::MAX));
        self.update_store_metrics();
        self.intake.set_backlog(usize::try_from(self.backlog_bytes()).unwrap_or(usize::MAX));
        self.metrics.queue_bytes.set(i64::try_from(self.intake.queued_bytes()).unwrap_or(i64::MAX));
        self.committer.expire(self.retention, needed);
        let mut rate = self.rate_sample.lock().unwrap_or_else(PoisonError::into_inner);
        let readings = self.metrics.readings_in.get();
        let seconds = rate.0.elapsed().as_secs_f64();
        if seconds > 0.0 {
            #[allow(clippy::cast_precision_loss, reason = "only displayed")]
            self.metrics.readings_rate().set((readings - rate.1) as f64 / seconds);
        }
        *rate = (Instant::now(), readings);
    }

    /// Writes a snapshot of the QoS 2 exchanges if one is due; it bounds how much is read at the next start. Waits for
    /// the disk.
    pub fn snapshot_exchanges(&self) {
        self.metrics.mqtt("open_exchanges").set(i64::try_from(self.exchanges.count()).unwrap_or(i64::MAX));
        if let Err(error) = self.exchanges.snapshot_if_due(&self.committer) {
            tracing::warn!(
                error = format!("{error:#}"),
                "the snapshot of the QoS 2 exchanges failed; it will be retried"
            );
        }
    }

    /// Tells the workers which findings the planner and the notifier have processed.
    fn release_findings(&self) {
        let planned = self.planner.retained_offsets();
        for (partition, worker) in self.workers.iter().enumerate() {
            let planned = planned.get(partition).copied().unwrap_or(0);
            worker.release_findings(planned.min(self.notifier.min_needed_offset(partition)));
        }
    }

    /// Updates the metrics of the store's size.
    fn update_store_metrics(&self) {
        match self.store.sizes() {
            Ok(sizes) => self.metrics.set_store_sizes(&sizes),
            Err(error) => tracing::warn!(%error, "cannot read the store's sizes"),
        }
    }

    /// Drops rows that are older than the retention of `[store]`, and the oldest rows above its maximum size. Runs at
    /// most once a minute.
    ///
    /// # Errors
    /// When the store cannot be written; the next call tries again.
    pub fn expire_store(&self) -> anyhow::Result<()> {
        let mut expired = self.last_expiry.lock().unwrap_or_else(PoisonError::into_inner);
        if expired.is_some_and(|last| last.elapsed() < EXPIRE_STORE_INTERVAL) {
            return Ok(());
        }
        let dropped = self.store.expire(clock::now(), &store_retention(&self.config().store))?;
        if dropped.total_rows() > 0 {
            tracing::info!(rows = dropped.total_rows(), "old rows were deleted from the store");
        }
        *expired = Some(Instant::now());
        Ok(())
    }
}

/// Checks the whole store for damage once a day. Damage in a page that is rarely read would otherwise go unnoticed
/// until the good backups are gone.
pub(super) fn start_store_check(supervisor: &Supervisor, store: &Store) -> io::Result<TaskHandle> {
    let store = store.clone();
    supervisor.spawn("store-check", move |task| {
        // The quick check was just made at the start.
        let mut pause = FIRST_STORE_CHECK_DELAY;
        while task.sleep(pause) {
            let stop = task.clone();
            match store.check_integrity_until(false, move || stop.is_stopping()) {
                Ok(_) => {
                    task.mark_healthy();
                    pause = STORE_CHECK_INTERVAL;
                }
                Err(error) => {
                    task.report_fault(error.to_string());
                    pause = DAMAGED_STORE_CHECK_INTERVAL;
                }
            }
        }
        Ok(())
    })
}

/// The store's retention according to the configuration.
fn store_retention(config: &wheeltapper_config::StoreSettings) -> wheeltapper_store::StoreRetention {
    let raw = Some(config.retention.to_std());
    wheeltapper_store::StoreRetention {
        readings: raw,
        waveforms: raw,
        windows: raw,
        hourly: Some(config.hourly_retention.to_std()),
        findings: Some(config.findings_retention.to_std()),
        dead_letters: Some(config.dead_letters_retention.to_std()),
        dead_letter_bytes: Some(config.dead_letters_size.bytes()),
        max_bytes: Some(config.max_size.bytes()),
    }
}
