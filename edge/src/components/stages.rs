//! One instance of a stage, and the calls it takes.

use std::{fmt, time::Duration};

use wasmtime::{Store, Trap, UpdateDeadline, component::ResourceAny};

use super::engine::{Guest, Sandbox, StageName, epochs, thread_cpu_time};

/// The contracts' types, as generated from `wit/`.
#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
pub mod wit {
    pub mod ingest_stage {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "ingest-stage",
            additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        });
    }
    pub use ingest_stage::exports::wheeltapper::pipeline::ingest;
    pub use ingest_stage::wheeltapper::pipeline::types;

    pub mod featurize_stage {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "featurize-stage",
            with: { "wheeltapper:pipeline/types": super::types },
        });
    }
    pub use featurize_stage::exports::wheeltapper::pipeline::featurize;

    pub mod detect_stage {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "detect-stage",
            with: { "wheeltapper:pipeline/types": super::types },
        });
    }
    pub use detect_stage::exports::wheeltapper::pipeline::detect;

    pub mod alert_stage {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "alert-stage",
            with: { "wheeltapper:pipeline/types": super::types },
        });
    }

    pub mod schedule_stage {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "schedule-stage",
            with: { "wheeltapper:pipeline/types": super::types },
            additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        });
    }
    pub use schedule_stage::exports::wheeltapper::pipeline::schedule;
}

use wit::types::{Alert, Anomaly, FeatureBatch, ReadingBatch, ScoreBatch, StageError, WorkOrder};

/// Why a call gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The stage refused; its state is as before and it can be called again.
    #[error("{stage} refused: {message}")]
    Refused {
        /// Which stage.
        stage: StageName,
        /// Its words.
        message: String,
    },
    /// The instance is lost: it trapped, ran past its deadline, or wanted more memory than it may have.
    #[error("{stage} failed: {message}")]
    Lost {
        /// Which stage.
        stage: StageName,
        /// What happened.
        message: String,
    },
}

impl CallError {
    fn refused(stage: StageName, error: &StageError) -> Self {
        let message = match error {
            StageError::Config(text) => format!("its configuration cannot be used: {text}"),
            StageError::Snapshot(text) => format!("its snapshot cannot be read: {text}"),
            StageError::Batch(text) => format!("the batch breaks the contract: {text}"),
        };
        Self::Refused { stage, message }
    }
}

/// What all instances have in common.
struct Cell {
    stage: StageName,
    store: Store<Guest>,
}

impl fmt::Debug for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Cell").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Cell {
    fn new(sandbox: &Sandbox, stage: StageName) -> Self {
        let mut store = Store::new(&sandbox.engine, Guest::new(sandbox.limits));
        store.limiter(|guest| &mut guest.limits);
        let deadline = sandbox.limits.deadline;
        // The engine's clock is wall time; what counts is the CPU time of the call.
        store.epoch_deadline_callback(move |mut context| {
            let guest = context.data_mut();
            let now = thread_cpu_time();
            let began = *guest.call_began.get_or_insert(now);
            Ok(after(deadline, now.saturating_sub(began)))
        });
        Self { stage, store }
    }

    /// Begins the time that the next call may take.
    fn arm(&mut self) {
        // The thread's clock is read at the first tick: most calls are over by then, and reading it takes longer than an empty
        // call.
        self.store.data_mut().call_began = None;
        self.store.set_epoch_deadline(1);
    }

    /// Says what became of a lost instance, with the panic's own words when there are some.
    fn lost(&self, error: &wasmtime::Error) -> CallError {
        let stderr = self.store.data().stderr.contents();
        let words = String::from_utf8_lossy(&stderr);
        let words = words.trim();
        let message = match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => {
                "used more CPU time than a call may and was stopped; raise [line] deadline if the work is sound"
                    .to_owned()
            }
            Some(trap) if words.is_empty() => format!("trapped: {trap}"),
            Some(_) => format!("panicked: {words}"),
            None => format!("was stopped: {error:#}"),
        };
        CallError::Lost { stage: self.stage, message }
    }
}

/// What becomes of a call that has used so much CPU time of its `deadline`.
fn after(deadline: Duration, used: Duration) -> UpdateDeadline {
    match deadline.checked_sub(used) {
        Some(left) if !left.is_zero() => UpdateDeadline::Continue(epochs(left)),
        _ => UpdateDeadline::Interrupt,
    }
}

/// Instances differ only in their world: opening, restoring and snapshots are alike.
macro_rules! stage {
    ($(#[$docs:meta])* $name:ident, $stage:expr, $bindings:ty, $interface:ident, $resource:ident) => {
        $(#[$docs])*
        pub struct $name {
            cell: Cell,
            bindings: $bindings,
            handle: ResourceAny,
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl $name {
            /// A fresh instance, or with a snapshot one that goes on where that was taken.
            ///
            /// # Errors
            /// [`CallError`]: the configuration or the snapshot cannot be used, or the instance was lost.
            pub fn open(sandbox: &Sandbox, config: &str, snapshot: Option<&[u8]>) -> Result<Self, CallError> {
                let mut cell = Cell::new(sandbox, $stage);
                cell.arm();
                let bindings = sandbox
                    .component($stage)
                    .and_then(|component| <$bindings>::instantiate(&mut cell.store, component, &sandbox.linker))
                    .map_err(|error| cell.lost(&error))?;
                cell.arm();
                let guest = bindings.$interface().$resource();
                let opened = match snapshot {
                    None => guest.call_open(&mut cell.store, config),
                    Some(snapshot) => guest.call_restore(&mut cell.store, config, snapshot),
                };
                let handle = opened
                    .map_err(|error| cell.lost(&error))?
                    .map_err(|error| CallError::refused($stage, &error))?;
                Ok(Self { cell, bindings, handle })
            }

            /// As a fresh instance would be, in this one.
            ///
            /// # Errors
            /// [`CallError`].
            pub fn renew(&mut self, config: &str) -> Result<(), CallError> {
                self.cell.arm();
                self.handle.resource_drop(&mut self.cell.store).map_err(|error| self.cell.lost(&error))?;
                let guest = self.bindings.$interface().$resource();
                let opened = guest.call_open(&mut self.cell.store, config);
                self.handle = opened
                    .map_err(|error| self.cell.lost(&error))?
                    .map_err(|error| CallError::refused($stage, &error))?;
                Ok(())
            }

            /// The state as bytes.
            ///
            /// # Errors
            /// [`CallError::Lost`].
            pub fn snapshot(&mut self) -> Result<Vec<u8>, CallError> {
                self.cell.arm();
                let guest = self.bindings.$interface().$resource();
                guest.call_snapshot(&mut self.cell.store, self.handle).map_err(|error| self.cell.lost(&error))
            }
        }
    };
}

/// One call of a stage's resource.
macro_rules! call {
    ($(#[$docs:meta])* $stage:ty, $name:ident($($argument:ident: $kind:ty),*) -> $output:ty, $interface:ident, $resource:ident, $call:ident) => {
        impl $stage {
            $(#[$docs])*
            ///
            /// # Errors
            /// [`CallError`].
            pub fn $name(&mut self, $($argument: $kind),*) -> Result<$output, CallError> {
                self.cell.arm();
                let guest = self.bindings.$interface().$resource();
                match guest.$call(&mut self.cell.store, self.handle, $($argument),*) {
                    Ok(Ok(output)) => Ok(output),
                    Ok(Err(error)) => Err(CallError::refused(self.cell.stage, &error)),
                    Err(error) => Err(self.cell.lost(&error)),
                }
            }
        }
    };
}

stage!(/** Decodes and validates. */ Ingester, StageName::Ingest, wit::ingest_stage::IngestStage, wheeltapper_pipeline_ingest, ingester);
call!(/** Decodes events. */ Ingester, decode(envelopes: &[wit::ingest::Envelope]) -> wit::ingest::Decoded, wheeltapper_pipeline_ingest, ingester, call_decode);

stage!(/** Keeps windows and computes features. */ Featurizer, StageName::Featurize, wit::featurize_stage::FeaturizeStage, wheeltapper_pipeline_featurize, featurizer);
call!(/** Takes readings. */ Featurizer, push(batch: &ReadingBatch) -> wit::featurize::Featurized, wheeltapper_pipeline_featurize, featurizer, call_push);
call!(/** Closes idle sensors' windows. */ Featurizer, tick(now: i64) -> wit::featurize::Featurized, wheeltapper_pipeline_featurize, featurizer, call_tick);
call!(/** Closes all windows. */ Featurizer, flush() -> wit::featurize::Featurized, wheeltapper_pipeline_featurize, featurizer, call_flush);
call!(/** Gives what the last call left when it said that there was more. */ Featurizer, resume() -> wit::featurize::Featurized, wheeltapper_pipeline_featurize, featurizer, call_resume);

stage!(/** Scores windows. */ Detector, StageName::Detect, wit::detect_stage::DetectStage, wheeltapper_pipeline_detect, detector);
call!(/** Takes features. */ Detector, push(batch: &FeatureBatch) -> wit::detect::Detected, wheeltapper_pipeline_detect, detector, call_push);
call!(/** Scores windows that wait for an idle sensor. */ Detector, tick(now: i64) -> wit::detect::Detected, wheeltapper_pipeline_detect, detector, call_tick);
call!(/** Scores all windows that wait. */ Detector, flush() -> wit::detect::Detected, wheeltapper_pipeline_detect, detector, call_flush);
call!(/** Gives what the last tick or flush left when it said that there was more. */ Detector, resume() -> wit::detect::Detected, wheeltapper_pipeline_detect, detector, call_resume);
call!(/** Judges windows, and learns nothing from them. */ Detector, probe(batch: &FeatureBatch, model: Option<&str>) -> Vec<wit::detect::Probed>, wheeltapper_pipeline_detect, detector, call_probe);

stage!(/** Gathers anomalies into alerts. */ Alerter, StageName::Alert, wit::alert_stage::AlertStage, wheeltapper_pipeline_alert, alerter);
call!(/** Takes scores and anomalies. */ Alerter, push(scores: &ScoreBatch, anomalies: &[Anomaly]) -> Vec<Alert>, wheeltapper_pipeline_alert, alerter, call_push);
call!(/** Lets time pass. */ Alerter, tick(now: i64) -> Vec<Alert>, wheeltapper_pipeline_alert, alerter, call_tick);

stage!(/** Plans repairs. */ Scheduler, StageName::Schedule, wit::schedule_stage::ScheduleStage, wheeltapper_pipeline_schedule, scheduler);
call!(/** Takes alerts. */ Scheduler, push(alerts: &[Alert]) -> Vec<WorkOrder>, wheeltapper_pipeline_schedule, scheduler, call_push);
call!(/** Plans anew. */ Scheduler, tick(now: i64) -> Vec<WorkOrder>, wheeltapper_pipeline_schedule, scheduler, call_tick);
call!(/** Does what people want of orders. */ Scheduler, amend(amendments: &[wit::schedule::Amendment]) -> Vec<WorkOrder>, wheeltapper_pipeline_schedule, scheduler, call_amend);
call!(/** The orders in the plan. */ Scheduler, orders() -> Vec<WorkOrder>, wheeltapper_pipeline_schedule, scheduler, call_orders);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{
        collections::BTreeMap,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;
    use crate::components::Limits;

    /// On an overloaded machine much time passes while a call has little of a core. Here the engine's clock runs away.
    #[test]
    fn a_call_is_stopped_for_the_cpu_time_it_used_and_not_for_the_time_that_passed() {
        let cache = tempfile::tempdir().unwrap();
        let limits = Limits { memory: 1 << 30, deadline: Duration::from_secs(5) };
        let sandbox = Sandbox::load(cache.path(), &BTreeMap::new(), limits).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let engine = &sandbox.engine;
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    for _ in 0..10_000 {
                        engine.increment_epoch();
                    }
                }
            });
            let flushed = (0..20).try_for_each(|_| Featurizer::open(&sandbox, "{}", None)?.flush().map(drop));
            done.store(true, Ordering::Relaxed);
            flushed.unwrap();
        });
    }

    #[test]
    fn no_cpu_time_is_left_after_the_limit() {
        assert!(matches!(after(Duration::from_secs(5), Duration::from_secs(5)), UpdateDeadline::Interrupt));
        assert!(matches!(after(Duration::from_secs(5), Duration::from_secs(9)), UpdateDeadline::Interrupt));
        assert!(matches!(after(Duration::from_secs(5), Duration::from_secs(4)), UpdateDeadline::Continue(100)));
    }
}
