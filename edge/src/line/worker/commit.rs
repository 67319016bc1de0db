//! Commits a worker's results: findings at once, readings and snapshots at checkpoints.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::{Instant, SystemTime},
};

use wheeltapper_store::{AppliedOffset, Commit};

use super::{
    Worker,
    error::WorkerError,
    topics::{TopicEnds, TopicFiles},
};
use crate::{
    clock,
    line::checkpoint::{CheckpointJob, SnapshotMetadata},
    rows::{alert_row, anomaly_row, drift_row, prognosis_row},
    topics::Finding,
};

impl Worker {
    pub(super) fn write_processed(&mut self) -> Result<(), WorkerError> {
        let mut topics = self.topics.lock();
        for batch in self.output.processed.drain(..) {
            topics.processed.append(&batch)?;
        }
        Ok(())
    }

    /// Writes the findings so far to the topics and the store.
    pub(super) fn commit(&mut self) -> Result<(), WorkerError> {
        if !self.output.is_urgent() {
            return Ok(());
        }
        let started = Instant::now();
        self.topic_ends = self.write_findings()?;
        self.store_findings()?;
        self.config.metrics.store_seconds.observe(started.elapsed().as_secs_f64());
        self.publish_findings();
        self.last_commit = Instant::now();
        Ok(())
    }

    /// Appends findings and dead letters to their topics; returns the new ends of the topics.
    fn write_findings(&self) -> Result<TopicEnds, WorkerError> {
        let mut topics = self.topics.lock();
        for finding in &self.output.findings {
            let event = serde_json::to_vec(finding).map_err(io::Error::from)?;
            topics.anomalies.append(&event)?;
        }
        for (_, event) in &self.output.dead_letters {
            let event = serde_json::to_vec(event).map_err(io::Error::from)?;
            topics.dead_letters.append(&event)?;
        }
        topics.anomalies.sync()?;
        topics.dead_letters.sync()?;
        Ok(TopicEnds { anomalies: topics.anomalies.end(), dead_letters: topics.dead_letters.end() })
    }

    /// Starts a checkpoint of the readings, the windows and a snapshot; once it is complete, the log before this offset
    /// is no longer needed. Findings before it are committed first, as no replay will produce them again.
    pub(super) fn begin_checkpoint(&mut self) -> Result<(), WorkerError> {
        self.collect_checkpoint(true)?;
        self.commit()?;
        if (self.position <= self.snapshot_offset && self.has_snapshot) || self.position < self.applied_offset {
            return Ok(());
        }
        self.write_processed()?;
        let processed = {
            let mut topics = self.topics.lock();
            topics.processed.sync()?;
            topics.processed.end()
        };
        let job = CheckpointJob {
            offset: self.position,
            metadata: SnapshotMetadata { processed },
            snapshots: self.stages.snapshot()?,
            data: Arc::new(self.output.take_checkpoint_data()),
        };
        self.checkpoint_data = Some(Arc::clone(&job.data));
        self.checkpointer.start_writing(job)?;
        self.last_checkpoint = Instant::now();
        Ok(())
    }

    /// Makes a checkpoint and waits until it is written.
    pub(super) fn checkpoint_and_wait(&mut self) -> Result<(), WorkerError> {
        self.begin_checkpoint()?;
        self.collect_checkpoint(true)
    }

    /// Handles a checkpoint that was written; with `wait`, waits for the one in progress.
    pub(super) fn collect_checkpoint(&mut self, wait: bool) -> Result<(), WorkerError> {
        let Some(written) = self.checkpointer.take_written(wait)? else { return Ok(()) };
        self.checkpoint_data = None;
        self.config.metrics.readings_stored.inc_by(written.count);
        self.config.metrics.readings_duplicate.inc_by(written.duplicates);
        self.snapshot_offset = written.offset;
        self.has_snapshot = true;
        self.processed_end = written.metadata.processed;
        self.snapshots.keep_only(written.offset);
        self.filter.prune(written.offset);
        self.expire_topics();
        self.shared.replay_offset.store(written.offset, Ordering::Release);
        self.shared.checkpointed_offset.store(written.offset, Ordering::Release);
        Ok(())
    }

    /// Drops old segments of the topics that the line writes. Segments that cannot be dropped are dropped by a later
    /// call.
    fn expire_topics(&mut self) {
        let (retention, now) = (self.config.retention, SystemTime::now());
        let needed = self.shared.findings_retained_from.load(Ordering::Acquire);
        let mut topics = self.topics.lock();
        let TopicFiles { processed, anomalies, dead_letters } = &mut *topics;
        for (topic, needed) in [
            (processed, self.processed_end),
            (anomalies, self.topic_ends.anomalies.min(needed)),
            (dead_letters, self.topic_ends.dead_letters),
        ] {
            if let Err(error) = topic.expire(retention, needed, now) {
                tracing::warn!(partition = self.partition, %error, "old segments could not be deleted");
            }
        }
    }

    fn store_findings(&mut self) -> Result<(), WorkerError> {
        let (mut anomalies, mut alerts, mut drifts, mut prognoses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for finding in &self.output.findings {
            match finding {
                Finding::Anomaly(anomaly) => anomalies.push(anomaly_row(anomaly)),
                Finding::Alert(alert) => alerts.push(alert_row(alert)),
                Finding::Drift(drift) => drifts.push(drift_row(drift)),
                Finding::Prognosis(prognosis) => prognoses.push(prognosis_row(prognosis)),
            }
        }
        let dead_letters: Vec<_> = self.output.dead_letters.iter().map(|(row, _)| row.clone()).collect();
        let topic_ends = serde_json::to_string(&self.topic_ends).map_err(io::Error::from)?;
        let skipped = std::mem::take(&mut self.output.skipped_ranges);
        self.config.store.commit(&Commit {
            partition: self.partition,
            applied: Some(AppliedOffset { offset: self.position.max(self.applied_offset), topic_ends: &topic_ends }),
            anomalies: &anomalies,
            alerts: &alerts,
            drifts: &drifts,
            prognoses: &prognoses,
            dead_letters: &dead_letters,
            skipped: &skipped,
            ..Commit::default()
        })?;
        Ok(())
    }

    /// Publishes the findings that have just been committed.
    fn publish_findings(&mut self) {
        self.shared.findings_end.publish(self.topic_ends.anomalies);
        let metrics = &self.config.metrics;
        let waited = (clock::now().saturating_sub(self.earliest_arrival)).max(0);
        for finding in self.output.findings.drain(..) {
            match &finding {
                Finding::Anomaly(_) => {
                    metrics.anomalies.inc();
                    if self.earliest_arrival < i64::MAX {
                        #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a delay, for a histogram")]
                        metrics.reading_to_anomaly_seconds.observe(waited as f64 / 1e9);
                    }
                }
                Finding::Alert(_) => {
                    metrics.alerts.inc();
                }
                Finding::Drift(_) => {
                    metrics.drifts.inc();
                }
                Finding::Prognosis(_) => {}
            }
            // It is fine if there is no receiver.
            let _ = self.config.findings_sender.send(Arc::new(finding));
        }
        self.output.dead_letters.clear();
        self.earliest_arrival = i64::MAX;
    }
}
