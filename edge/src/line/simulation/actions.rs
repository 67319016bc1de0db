//! What happens to a healthy host: senders, users, and the threads of the line step by step.

use std::sync::{Arc, atomic::Ordering};

use wheeltapper_log::{Append, CommitError, PartitionHealth};
use wheeltapper_store::ActionWrite;

use super::{
    checkpoint_gate::SimulatedGate, expected_state::time_of, plain_stages::BAD_CONFIG, simulated_host::Simulation,
};
use crate::{
    components::wit::schedule::Amendment,
    line::{
        PlannerCommand, WorkerConfig,
        planner::PlannerTask,
        stages::StageConfigs,
        worker::{RoundOutcome, Worker},
    },
    supervisor,
    topics::{RawRecord, partition_of},
};

impl Simulation {
    /// Sends a batch of readings, split by partition.
    pub(super) fn append(&mut self) {
        let Some(running) = &mut self.running else { return };
        let count = 1 + self.random.below(6);
        let mut numbers = Vec::new();
        let mut columns: Vec<(Vec<u32>, Vec<i64>, Vec<f64>)> =
            (0..self.partitions).map(|_| (Vec::new(), Vec::new(), Vec::new())).collect();
        for _ in 0..count {
            let number = self.next_reading;
            self.next_reading += 1;
            let sensor = self.random.below(self.sensors);
            let name = format!("site/m{}/s{sensor}", sensor % 3);
            let Ok(located) = running.registry.locate(std::iter::once(name.as_str()), None) else { continue };
            let Some(&Some(location)) = located.locations.first() else { continue };
            self.model.sent.insert(number, name);
            numbers.push(number);
            let (sensors, times, values) = &mut columns[usize::from(location.partition)];
            sensors.push(location.sensor);
            times.push(time_of(number));
            #[allow(clippy::cast_precision_loss, reason = "numbers of readings are small")]
            values.push(number as f64);
        }
        let mut parts = Vec::new();
        for (partition, (sensor, time, value)) in columns.into_iter().enumerate().filter(|(_, (s, ..))| !s.is_empty()) {
            let mut payload = Vec::new();
            RawRecord::Readings { arrival: 1, sensor, time, value }.encode(&mut payload);
            let mut framed = Vec::new();
            wheeltapper_log::encode_frame(&payload, &mut framed);
            parts.push((partition, framed));
        }
        if parts.is_empty() {
            return;
        }
        let touched = parts.iter().fold(0, |touched, (partition, _)| touched | 1 << partition);
        let outcomes = self.model.append_outcomes.clone();
        let switches = Arc::clone(&running.switches);
        let appended = numbers.clone();
        let done = Box::new(move |result: Result<(), CommitError>| {
            outcomes.record(&appended, result.is_ok());
            let healthy = switches.healthy_partitions.load(Ordering::Acquire) & touched == touched;
            if healthy && matches!(result, Err(CommitError::Failed(_))) {
                switches.wrong_rejections.fetch_add(1, Ordering::AcqRel);
            }
        });
        running.queue.push(Append { batches: parts, on_complete: done }.into());
        self.print_action(|| format!("append {numbers:?}"));
    }

    /// A user resets the baseline of a machine.
    pub(super) fn reset_baseline(&mut self) {
        let Some(running) = &mut self.running else { return };
        let asset = format!("site/m{}", self.random.below(3));
        let partition = usize::from(partition_of(&asset, self.partitions));
        let mut payload = Vec::new();
        RawRecord::ResetBaseline { asset: asset.clone(), time: 1 }.encode(&mut payload);
        let mut framed = Vec::new();
        wheeltapper_log::encode_frame(&payload, &mut framed);
        let acknowledged = Arc::clone(&self.model.acknowledged_resets);
        let done = Box::new(move |result: Result<(), CommitError>| {
            acknowledged.fetch_add(u64::from(result.is_ok()), Ordering::AcqRel);
        });
        self.model.resets += 1;
        running.queue.push(Append { batches: vec![(partition, framed)], on_complete: done }.into());
        self.print_action(|| format!("the baseline of {asset} is reset"));
    }

    pub(super) fn commit_log(&mut self) {
        let Some(running) = &mut self.running else { return };
        running.committer.try_heal();
        // Faults of single files are only injected into the first partition.
        let healthy = |(index, health): (usize, &PartitionHealth)| {
            if index > 0 && !self.has_general_fault && health.is_healthy() { 1 << index } else { 0 }
        };
        let healthy = running.committer.health().iter().enumerate().map(healthy).fold(0, |all, one| all | one);
        running.switches.healthy_partitions.store(healthy, Ordering::Release);
        let jobs = std::mem::take(&mut running.queue);
        let count = jobs.len();
        running.committer.commit_batch(jobs);
        self.print_action(|| format!("the committer takes {count} appends"));
    }

    pub(super) fn step_worker(&mut self) {
        let partitions = u64::from(self.partitions);
        let index = usize::try_from(self.random.below(partitions)).unwrap();
        self.step_worker_of(index);
    }

    /// Runs a round of a worker, or its supervisor's attempt to reopen it; returns true when there was something to do.
    pub(super) fn step_worker_of(&mut self, index: usize) -> bool {
        let print = self.print;
        let Some(running) = &mut self.running else { return true };
        let Some(line) = running.workers.get_mut(index) else { return true };
        let Some(worker) = &mut line.worker else {
            let opened = supervisor::catch_panic(|| {
                Worker::open(
                    Arc::clone(&line.config),
                    u16::try_from(index).unwrap(),
                    line.reader.clone(),
                    Arc::clone(&line.topics),
                    Arc::clone(&line.shared),
                )
            });
            match opened {
                Ok(Ok(worker)) => line.worker = Some(worker),
                Ok(Err(error)) if print => println!("worker {index} cannot be opened: {error}"),
                Ok(Err(_)) => {}
                Err(panic) => panic!("worker {index} panicked when it was opened: {}", panic.message),
            }
            return true;
        };
        let outcome = supervisor::catch_panic(|| worker.run_round());
        line.gate.wait_until_held();
        if print {
            let text = match &outcome {
                Ok(Ok(round)) => format!("{round:?}"),
                Ok(Err(error)) => format!("error: {error}"),
                Err(panic) => format!("panic: {}", panic.message),
            };
            println!("worker {index}: {text}");
        }
        match outcome {
            Ok(Ok(round)) => round == RoundOutcome::Progress,
            Ok(Err(_)) | Err(_) => {
                // Its checkpoint thread finishes its write.
                line.gate.release();
                line.worker = None;
                line.gate = Arc::new(SimulatedGate::default());
                let mut config = WorkerConfig::clone(&line.config);
                config.checkpoint_gate = line.gate.clone();
                line.config = Arc::new(config);
                true
            }
        }
    }

    pub(super) fn step_checkpoint(&mut self) {
        let index = usize::try_from(self.random.below(u64::from(self.partitions))).unwrap();
        if let Some(line) = self.running.as_ref().and_then(|running| running.workers.get(index)) {
            line.gate.run_one_transaction();
            self.print_action(|| format!("checkpoint of {index} makes a step"));
        }
    }

    pub(super) fn request_checkpoint(&mut self) {
        if let Some(running) = &self.running {
            for line in &running.workers {
                line.shared.checkpoint_requested.store(true, Ordering::Release);
            }
            self.print_action(|| "checkpoints are requested".to_owned());
        }
    }

    /// Runs a round of the planner, or an attempt to reopen it; returns true when there was something to do.
    pub(super) fn step_planner(&mut self) -> bool {
        let print = self.print;
        let Some(running) = &mut self.running else { return true };
        let Some(planner) = &mut running.planner else {
            match PlannerTask::open(&running.planner_config, Arc::clone(&running.planner_shared)) {
                Ok(planner) => running.planner = Some(planner),
                Err(error) if print => println!("the planner cannot be opened: {error:#}"),
                Err(_) => {}
            }
            return true;
        };
        let outcome = supervisor::catch_panic(|| planner.run_round());
        if print {
            let text = match &outcome {
                Ok(Ok(worked)) => format!("worked: {worked}"),
                Ok(Err(error)) => format!("error: {error:#}"),
                Err(panic) => format!("panic: {}", panic.message),
            };
            println!("planner {text}");
        }
        match outcome {
            Ok(Ok(worked)) => worked,
            Ok(Err(_)) | Err(_) => {
                running.planner = None;
                true
            }
        }
    }

    /// A user changes an existing work order.
    pub(super) fn amend(&mut self) {
        let Some(running) = &self.running else { return };
        let Ok(rows) = running.store.query_rows("SELECT id FROM work_orders ORDER BY id", Vec::new()) else { return };
        if rows.is_empty() {
            return;
        }
        let row = &rows[usize::try_from(self.random.below(rows.len() as u64)).unwrap()];
        let Some(wheeltapper_store::Cell::Text(order)) = row.first() else { return };
        let amendment =
            Amendment { order: order.clone(), scheduled: None, technician: None, pinned: None, status: None };
        let command = serde_json::to_vec(&PlannerCommand::Amend { amendment, now: 1 }).unwrap();
        let recorded =
            running.store.record_action(&ActionWrite { planner_command: Some(command), ..ActionWrite::default() });
        let (confirmed, unknown) = self.model.amendments.entry(order.clone()).or_default();
        match recorded {
            Ok(_) => *confirmed += 1,
            Err(_) => *unknown += 1,
        }
        self.print_action(|| format!("{order} is amended: {recorded:?}"));
    }

    pub(super) fn reconfigure(&mut self) {
        let bad = self.random.percent(30);
        let config = if bad { BAD_CONFIG.to_owned() } else { format!("v{}", self.random.below(9)) };
        if let Some(running) = &self.running {
            for line in &running.workers {
                line.shared.set_pending_configs(StageConfigs::from([config.clone(), String::new(), String::new()]));
            }
            running.planner_shared.set_pending_config(config.clone());
            self.print_action(|| format!("the configuration changes to {config}"));
        }
        if !bad {
            self.config = config;
        }
    }

    pub(super) fn tick(&mut self) {
        if let Some(running) = &self.running {
            running.planner_shared.request_tick(i64::try_from(self.next_reading).unwrap());
        }
    }
}
