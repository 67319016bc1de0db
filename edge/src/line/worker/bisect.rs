//! Bisection of a step on which the stages fail twice: the smallest slice of the input that makes them fail is found
//! and quarantined, and the rest is processed.
//!
//! Assets are independent and a stage is a fold, so slices that are run one after the other give the same result as the
//! batch without the quarantined slice. A replay runs that batch: the quarantined ranges are stored by asset and
//! record, in the same commit as the results of the rest.

use wheeltapper_log::Record;
use wheeltapper_store::SkippedRange;

use super::{READ_BYTES, Worker, error::WorkerError, open_stages};
use crate::{
    components::CallError,
    line::{
        batch::{Batch, PlannedStep, Step},
        replay_filter::{BatchSlice, QuarantinedRange},
    },
    topics::{ReadOutcome, read_or_skip},
};

/// Maximum number of failures while one step is bisected. Each failure costs up to the CPU-time limit of a call, and
/// the line waits meanwhile. Slices that remain after that are quarantined without a try.
const MAX_FAILED_SLICES: usize = 48;

impl Worker {
    /// Runs the slices of a failed step that can be run, and quarantines the rest. `next` is the offset after the step.
    pub(super) fn bisect(&mut self, step: &Step, next: u64, error: &CallError) -> Result<(), WorkerError> {
        self.replace_stages(error)?;
        let Step::Push(batch) = step else {
            // A tick concerns all assets, and a reset of a baseline is a record of its own.
            self.add_skipped_range(self.position, next, None);
            let skipped = if let Step::ResetBaseline { asset, .. } = step { asset.as_str() } else { "" };
            tracing::error!(
                partition = self.partition, from = self.position, to = next, asset = %skipped, %error,
                "a tick or the reset of an asset's baseline was skipped because the stages fail on it"
            );
            return Ok(());
        };
        // So that each try starts at this offset.
        self.checkpoint_and_wait()?;
        let records = self.records_until(next)?;
        let whole = self.whole_slice(batch);
        let mut open = Vec::new();
        match whole.split() {
            Some((first, second)) => open.extend([second, first]),
            None => self.quarantine(&records, &whole, next, error)?,
        }
        let mut done = Vec::new();
        let mut failures = 0;
        while let Some(slice) = open.pop() {
            let steps = self.batcher.plan_steps(&records, &self.filter.only_slice(slice.clone()))?;
            let result =
                if failures < MAX_FAILED_SLICES { self.try_steps(steps, next, &mut done) } else { Err(error.clone()) };
            let Err(error) = result else { continue };
            if failures < MAX_FAILED_SLICES {
                failures += 1;
                self.replace_stages(&error)?;
                for step in &done {
                    self.stages.run(step, &self.config.metrics)?;
                }
            }
            match slice.split().filter(|_| failures < MAX_FAILED_SLICES) {
                Some((first, second)) => open.extend([second, first]),
                None => self.quarantine(&records, &slice, next, &error)?,
            }
        }
        Ok(())
    }

    /// The records from the worker's position to `next`.
    fn records_until(&mut self, next: u64) -> Result<Vec<Record>, WorkerError> {
        let mut records: Vec<Record> = Vec::new();
        let mut at = self.position;
        while at < next {
            match read_or_skip(&mut self.reader, at, next, READ_BYTES)? {
                ReadOutcome::Records(more) => {
                    at = more.last().map_or(next, |last| last.next_offset);
                    records.extend(more);
                }
                ReadOutcome::Lost(resume) => at = resume,
            }
        }
        Ok(records)
    }

    fn whole_slice(&self, batch: &Batch) -> BatchSlice {
        let sensors: Vec<u32> = batch.sensors.iter().map(|&(sensor, _)| sensor).collect();
        let mut assets = self.config.registry.assets_of(&sensors);
        assets.sort_unstable();
        assets.dedup();
        BatchSlice { assets, records: batch.origins.iter().map(|&(_, offset)| offset).collect() }
    }

    /// Runs the steps of a slice, and accepts their output once all have succeeded.
    fn try_steps(&mut self, steps: Vec<PlannedStep>, next: u64, done: &mut Vec<Step>) -> Result<(), CallError> {
        let mut outputs = Vec::new();
        for PlannedStep { step, .. } in steps {
            outputs.push((self.stages.run(&step, &self.config.metrics)?, step));
        }
        for (output, step) in outputs {
            self.accept_output(&step, output, next);
            done.push(step);
        }
        Ok(())
    }

    /// Quarantines a slice: its readings become dead letters, and a replay skips it.
    fn quarantine(
        &mut self,
        records: &[Record],
        slice: &BatchSlice,
        next: u64,
        error: &CallError,
    ) -> Result<(), WorkerError> {
        let message = format!("{error}; the readings are kept here: replay them once the component is fixed");
        let (Some(&from), Some(&last)) = (slice.records.first(), slice.records.last()) else { return Ok(()) };
        let to = records.iter().find(|record| record.offset == last).map_or(next, |record| record.next_offset);
        for &asset in &slice.assets {
            let name = self.config.registry.asset_name(asset).unwrap_or_else(|| "".into());
            let asset_slice = BatchSlice { assets: vec![asset], records: slice.records.clone() };
            for PlannedStep { step, .. } in self.batcher.plan_steps(records, &self.filter.only_slice(asset_slice))? {
                if let Step::Push(batch) = step {
                    self.config.metrics.rejected("stage-failure").inc_by(batch.value_count());
                    self.output.quarantine(self.partition, &name, &batch, &message);
                }
            }
            self.add_skipped_range(from, to, Some((asset, &name)));
            tracing::error!(
                partition = self.partition, asset = %name, from, to, %error,
                "readings of an asset were quarantined as dead letters"
            );
        }
        Ok(())
    }

    fn add_skipped_range(&mut self, from: u64, to: u64, asset: Option<(u32, &str)>) {
        self.filter.add_skipped_range(QuarantinedRange { from, to, asset: asset.map(|(number, _)| number) });
        let asset = asset.map(|(_, name)| name.to_owned());
        self.output.skipped_ranges.push(SkippedRange { start: from, stop: to, asset });
    }

    /// Replaces the failed instances by new ones with the state before the step: the last snapshot and the records
    /// since.
    pub(super) fn replace_stages(&mut self, error: &CallError) -> Result<(), WorkerError> {
        tracing::warn!(partition = self.partition, %error, "the stages are reopened");
        let stage = match error {
            CallError::InstanceFailed { stage, .. } | CallError::Rejected { stage, .. } => *stage,
        };
        self.config.metrics.restarts(stage).inc();
        let snapshot = self.has_snapshot.then_some(self.snapshot_offset);
        self.stages = open_stages(self.config.stage_factory.as_ref(), &self.configs, &self.snapshots, snapshot)?;
        let mut at = self.snapshot_offset;
        while at < self.position {
            let records = match read_or_skip(&mut self.reader, at, self.position, READ_BYTES)? {
                ReadOutcome::Records(records) if records.is_empty() => break,
                ReadOutcome::Records(records) => records,
                ReadOutcome::Lost(resume) => {
                    at = resume;
                    continue;
                }
            };
            for PlannedStep { step, next } in self.batcher.plan_steps(&records, &self.filter)? {
                self.stages.run(&step, &self.config.metrics)?;
                at = next;
            }
        }
        Ok(())
    }
}
