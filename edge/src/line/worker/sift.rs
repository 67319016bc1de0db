//! When the stages are lost on a step twice: the part of the input that they are lost on is found and given up, and the
//! rest goes through.
//!
//! Assets do not concern each other, and a stage is a fold, so parts that are run one after the other give what the batch
//! without the culprit gives. That batch is what a replay runs: what is given up is stored, by asset and record, in the
//! commit that stores what the rest gave.

use wheeltapper_log::Record;
use wheeltapper_store::SkippedRow;

use super::{READ_BYTES, Worker, WorkerError, open_stages};
use crate::{
    components::CallError,
    line::{
        batch::{Batch, Planned, Step},
        read::{Read, read},
        sieve::{Part, Skip},
    },
};

/// How often the stages may be lost on parts of one step: each time costs up to a deadline, and the line waits. What is
/// still open then is given up untried.
const MOST_LOST: usize = 48;

impl Worker {
    /// Runs what can be run of a step that the stages were lost on, and gives up the rest. `next` is the offset after it.
    pub(super) fn sift(&mut self, step: &Step, next: u64, error: &CallError) -> Result<(), WorkerError> {
        self.replace_stages(error)?;
        let Step::Push(batch) = step else {
            // A tick concerns all.
            self.skip(self.position, next, None);
            tracing::error!(partition = self.partition, from = self.position, to = next, %error, "a tick was given up");
            return Ok(());
        };
        // So that each try starts from here.
        self.checkpoint_now()?;
        let records = self.records(next)?;
        let whole = self.whole(batch);
        let mut open = Vec::new();
        match whole.halves() {
            Some((first, second)) => open.extend([second, first]),
            None => self.give_up(&records, &whole, next, error)?,
        }
        let mut done = Vec::new();
        let mut lost = 0;
        while let Some(part) = open.pop() {
            let steps = self.batcher.plan(&records, &self.sieve.only(part.clone()))?;
            let tried = if lost < MOST_LOST { self.try_steps(steps, next, &mut done) } else { Err(error.clone()) };
            let Err(error) = tried else { continue };
            if lost < MOST_LOST {
                lost += 1;
                self.replace_stages(&error)?;
                for step in &done {
                    self.stages.run(step, &self.config.metrics)?;
                }
            }
            match part.halves().filter(|_| lost < MOST_LOST) {
                Some((first, second)) => open.extend([second, first]),
                None => self.give_up(&records, &part, next, &error)?,
            }
        }
        Ok(())
    }

    /// The records from the worker's place to `next`.
    fn records(&mut self, next: u64) -> Result<Vec<Record>, WorkerError> {
        let mut records: Vec<Record> = Vec::new();
        let mut at = self.position;
        while at < next {
            match read(&mut self.reader, at, next, READ_BYTES)? {
                Read::Records(more) => {
                    at = more.last().map_or(next, |last| last.next);
                    records.extend(more);
                }
                Read::Lost(resume) => at = resume,
            }
        }
        Ok(records)
    }

    fn whole(&self, batch: &Batch) -> Part {
        let sensors: Vec<u32> = batch.sensors.iter().map(|&(sensor, _)| sensor).collect();
        let mut assets = self.config.registry.assets_of(&sensors);
        assets.sort_unstable();
        assets.dedup();
        Part { assets, records: batch.origins.iter().map(|&(_, offset)| offset).collect() }
    }

    /// Runs a part, and takes what it gave once all of it went through.
    fn try_steps(&mut self, steps: Vec<Planned>, next: u64, done: &mut Vec<Step>) -> Result<(), CallError> {
        let mut gave = Vec::new();
        for Planned { step, .. } in steps {
            gave.push((self.stages.run(&step, &self.config.metrics)?, step));
        }
        for (output, step) in gave {
            self.take(&step, output, next);
            done.push(step);
        }
        Ok(())
    }

    /// Gives up a part: it goes to the dead letters, and a replay leaves it out.
    fn give_up(&mut self, records: &[Record], part: &Part, next: u64, error: &CallError) -> Result<(), WorkerError> {
        let message = format!("{error}; the readings are kept here: replay them once the component is mended");
        let (Some(&from), Some(&last)) = (part.records.first(), part.records.last()) else { return Ok(()) };
        let to = records.iter().find(|record| record.offset == last).map_or(next, |record| record.next);
        for &asset in &part.assets {
            let name = self.config.registry.asset_name(asset).unwrap_or_else(|| "".into());
            let alone = Part { assets: vec![asset], records: part.records.clone() };
            for Planned { step, .. } in self.batcher.plan(records, &self.sieve.only(alone))? {
                if let Step::Push(batch) = step {
                    self.config.metrics.refused("stage-failure").inc_by(batch.len());
                    self.effects.give_up(self.partition, &name, &batch, &message);
                }
            }
            self.skip(from, to, Some((asset, &name)));
            tracing::error!(
                partition = self.partition, asset = %name, from, to, %error,
                "readings of an asset were given up and lie among the dead letters"
            );
        }
        Ok(())
    }

    fn skip(&mut self, from: u64, to: u64, asset: Option<(u32, &str)>) {
        self.sieve.skip(Skip { from, to, asset: asset.map(|(number, _)| number) });
        let asset = asset.map(|(_, name)| name.to_owned());
        self.effects.skipped.push(SkippedRow { start: from, stop: to, asset });
    }

    /// Fresh instances with the state that the lost ones had before the step: the last snapshot and what came since.
    pub(super) fn replace_stages(&mut self, error: &CallError) -> Result<(), WorkerError> {
        tracing::warn!(partition = self.partition, %error, "the stages are opened anew");
        let stage = match error {
            CallError::Lost { stage, .. } | CallError::Refused { stage, .. } => *stage,
        };
        self.config.metrics.restarts(stage).inc();
        let snapshot = self.has_snapshot.then_some(self.snapshot_offset);
        self.stages = open_stages(self.config.stage_factory.as_ref(), &self.configs, &self.snapshots, snapshot)?;
        let mut at = self.snapshot_offset;
        while at < self.position {
            let records = match read(&mut self.reader, at, self.position, READ_BYTES)? {
                Read::Records(records) if records.is_empty() => break,
                Read::Records(records) => records,
                Read::Lost(resume) => {
                    at = resume;
                    continue;
                }
            };
            for Planned { step, next } in self.batcher.plan(&records, &self.sieve)? {
                self.stages.run(&step, &self.config.metrics)?;
                at = next;
            }
        }
        Ok(())
    }
}
