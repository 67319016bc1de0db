//! An instance of a stage, and its calls.

use std::{fmt, time::Duration};

use wasmtime::{Store, Trap, UpdateDeadline, component::ResourceAny};

use super::engine::{Sandbox, StageHostState, StageName, epoch_count, thread_cpu_time};

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

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The stage rejected the input; its state is unchanged and it can be called again.
    #[error("{stage} rejected the call: {message}")]
    Rejected {
        /// The stage.
        stage: StageName,
        /// The stage's error message.
        message: String,
    },
    /// The instance cannot be used any more: it trapped, or exceeded its CPU-time or memory limit.
    #[error("{stage} failed: {message}")]
    InstanceFailed {
        /// The stage.
        stage: StageName,
        /// What happened.
        message: String,
    },
}

impl CallError {
    fn rejected_by_stage(stage: StageName, error: &StageError) -> Self {
        let message = match error {
            StageError::Config(text) => format!("its configuration cannot be used: {text}"),
            StageError::Snapshot(text) => format!("its snapshot cannot be read: {text}"),
            StageError::Batch(text) => format!("the batch breaks the contract: {text}"),
        };
        Self::Rejected { stage, message }
    }
}

/// The part that is common to the instances of all stages.
struct InstanceCell {
    stage: StageName,
    store: Store<StageHostState>,
}

impl fmt::Debug for InstanceCell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InstanceCell").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl InstanceCell {
    fn new(sandbox: &Sandbox, stage: StageName) -> Self {
        let mut store = Store::new(&sandbox.engine, StageHostState::new(sandbox.limits));
        store.limiter(|state| &mut state.limits);
        let deadline = sandbox.limits.max_cpu_time;
        // The engine's epoch follows wall time; the limit is on the CPU time of the call.
        store.epoch_deadline_callback(move |mut context| {
            let state = context.data_mut();
            let now = thread_cpu_time();
            let began = *state.call_start_cpu_time.get_or_insert(now);
            Ok(deadline_update(deadline, now.saturating_sub(began)))
        });
        Self { stage, store }
    }

    /// Starts the CPU-time limit of the next call.
    fn start_time_limit(&mut self) {
        // The thread's clock is read at the first epoch: most calls end before it, and reading the clock takes longer
        // than an empty call.
        self.store.data_mut().call_start_cpu_time = None;
        self.store.set_epoch_deadline(1);
    }

    /// Describes why the instance failed, with the panic message if there is one.
    fn failed(&self, error: &wasmtime::Error) -> CallError {
        let stderr = self.store.data().stderr.contents();
        let panic_message = String::from_utf8_lossy(&stderr);
        let panic_message = panic_message.trim();
        let message = match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => {
                "exceeded the CPU time of a call and was stopped; raise [line] deadline if the input is valid"
                    .to_owned()
            }
            Some(trap) if panic_message.is_empty() => format!("trapped: {trap}"),
            Some(_) => format!("panicked: {panic_message}"),
            None => format!("was stopped: {error:#}"),
        };
        CallError::InstanceFailed { stage: self.stage, message }
    }
}

/// Whether a call that has used `used` of its CPU-time limit may continue.
fn deadline_update(deadline: Duration, used: Duration) -> UpdateDeadline {
    match deadline.checked_sub(used) {
        Some(left) if !left.is_zero() => UpdateDeadline::Continue(epoch_count(left)),
        _ => UpdateDeadline::Interrupt,
    }
}

/// The stages differ only in their WIT world: opening, restoring and snapshots are the same for all.
macro_rules! stage {
    ($(#[$docs:meta])* $name:ident, $stage:expr, $bindings:ty, $interface:ident, $resource:ident) => {
        $(#[$docs])*
        pub struct $name {
            cell: InstanceCell,
            bindings: $bindings,
            handle: ResourceAny,
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl $name {
            /// Opens an instance: a new one, or with a snapshot one that continues from it.
            ///
            /// # Errors
            /// [`CallError`] when the configuration or the snapshot cannot be used, or the instance failed.
            pub fn open(sandbox: &Sandbox, config: &str, snapshot: Option<&[u8]>) -> Result<Self, CallError> {
                let mut cell = InstanceCell::new(sandbox, $stage);
                cell.start_time_limit();
                let bindings = sandbox
                    .component($stage)
                    .and_then(|component| <$bindings>::instantiate(&mut cell.store, component, &sandbox.linker))
                    .map_err(|error| cell.failed(&error))?;
                cell.start_time_limit();
                let resource = bindings.$interface().$resource();
                let opened = match snapshot {
                    None => resource.call_open(&mut cell.store, config),
                    Some(snapshot) => resource.call_restore(&mut cell.store, config, snapshot),
                };
                let handle = opened
                    .map_err(|error| cell.failed(&error))?
                    .map_err(|error| CallError::rejected_by_stage($stage, &error))?;
                Ok(Self { cell, bindings, handle })
            }

            /// Resets this instance to the state of a new one.
            ///
            /// # Errors
            /// [`CallError`].
            pub fn reset(&mut self, config: &str) -> Result<(), CallError> {
                self.cell.start_time_limit();
                self.handle.resource_drop(&mut self.cell.store).map_err(|error| self.cell.failed(&error))?;
                let resource = self.bindings.$interface().$resource();
                let opened = resource.call_open(&mut self.cell.store, config);
                self.handle = opened
                    .map_err(|error| self.cell.failed(&error))?
                    .map_err(|error| CallError::rejected_by_stage($stage, &error))?;
                Ok(())
            }

            /// The state of the stage as bytes.
            ///
            /// # Errors
            /// [`CallError`] when the instance failed.
            pub fn snapshot(&mut self) -> Result<Vec<u8>, CallError> {
                self.cell.start_time_limit();
                let resource = self.bindings.$interface().$resource();
                resource.call_snapshot(&mut self.cell.store, self.handle).map_err(|error| self.cell.failed(&error))
            }
        }
    };
}

/// Defines one call of a stage's resource that the stage cannot reject.
macro_rules! infallible_call {
    ($(#[$docs:meta])* $stage:ty, $name:ident($($argument:ident: $kind:ty),*) -> $output:ty, $interface:ident, $resource:ident, $call:ident) => {
        impl $stage {
            $(#[$docs])*
            ///
            /// # Errors
            /// [`CallError`] when the instance failed.
            pub fn $name(&mut self, $($argument: $kind),*) -> Result<$output, CallError> {
                self.cell.start_time_limit();
                let resource = self.bindings.$interface().$resource();
                resource
                    .$call(&mut self.cell.store, self.handle, $($argument),*)
                    .map_err(|error| self.cell.failed(&error))
            }
        }
    };
}

/// Defines one call of a stage's resource.
macro_rules! call {
    ($(#[$docs:meta])* $stage:ty, $name:ident($($argument:ident: $kind:ty),*) -> $output:ty, $interface:ident, $resource:ident, $call:ident) => {
        impl $stage {
            $(#[$docs])*
            ///
            /// # Errors
            /// [`CallError`].
            pub fn $name(&mut self, $($argument: $kind),*) -> Result<$output, CallError> {
                self.cell.start_time_limit();
                let resource = self.bindings.$interface().$resource();
                match resource.$call(&mut self.cell.store, self.handle, $($argument),*) {
                    Ok(Ok(output)) => Ok(output),
                    Ok(Err(error)) => Err(CallError::rejected_by_stage(self.cell.stage, &error)),
                    Err(error) => Err(self.cell.failed(&error)),
                }
            }
        }
    };
}

stage!(/** Decodes and validates events. */ Ingester, StageName::Ingest, wit::ingest_stage::IngestStage, wheeltapper_pipeline_ingest, ingester);
call!(/** Decodes events into readings and rejections. */ Ingester, decode(envelopes: &[wit::ingest::Envelope]) -> wit::ingest::Decoded, wheeltapper_pipeline_ingest, ingester, call_decode);

stage!(/** Builds windows and computes features. */ Featurizer, StageName::Featurize, wit::featurize_stage::FeaturizeStage, wheeltapper_pipeline_featurize, featurizer);
call!(/** Adds readings; returns the features of the windows that they close. */ Featurizer, push(batch: &ReadingBatch) -> wit::featurize::Featurized, wheeltapper_pipeline_featurize, featurizer, call_push);
call!(/** Closes the windows of idle sensors. */ Featurizer, tick(now: i64) -> wit::featurize::Featurized, wheeltapper_pipeline_featurize, featurizer, call_tick);
call!(/** Closes all windows. */ Featurizer, flush() -> wit::featurize::Featurized, wheeltapper_pipeline_featurize, featurizer, call_flush);
call!(/** Continues the last call when it returned `more`. */ Featurizer, resume() -> wit::featurize::Featurized, wheeltapper_pipeline_featurize, featurizer, call_resume);

stage!(/** Scores windows and reports anomalies. */ Detector, StageName::Detect, wit::detect_stage::DetectStage, wheeltapper_pipeline_detect, detector);
call!(/** Scores the windows of a batch. */ Detector, push(batch: &FeatureBatch) -> wit::detect::Detected, wheeltapper_pipeline_detect, detector, call_push);
call!(/** Scores windows that are pending because a sensor is idle. */ Detector, tick(now: i64) -> wit::detect::Detected, wheeltapper_pipeline_detect, detector, call_tick);
call!(/** Scores all pending windows. */ Detector, flush() -> wit::detect::Detected, wheeltapper_pipeline_detect, detector, call_flush);
call!(/** Continues the last tick or flush when it returned `more`. */ Detector, resume() -> wit::detect::Detected, wheeltapper_pipeline_detect, detector, call_resume);
call!(/** Scores windows without learning from them. */ Detector, dry_run(batch: &FeatureBatch, model: Option<&str>) -> Vec<wit::detect::DryRunResult>, wheeltapper_pipeline_detect, detector, call_dry_run);
infallible_call!(/** Forgets what was learnt about an asset. */ Detector, reset_baseline(asset: &str) -> (), wheeltapper_pipeline_detect, detector, call_reset_baseline);

stage!(/** Groups anomalies into alerts. */ Alerter, StageName::Alert, wit::alert_stage::AlertStage, wheeltapper_pipeline_alert, alerter);
call!(/** Adds scores and anomalies; returns the alerts that changed. */ Alerter, push(scores: &ScoreBatch, anomalies: &[Anomaly]) -> Vec<Alert>, wheeltapper_pipeline_alert, alerter, call_push);
call!(/** Advances the time; returns the alerts that resolved. */ Alerter, tick(now: i64) -> Vec<Alert>, wheeltapper_pipeline_alert, alerter, call_tick);
infallible_call!(/** Resolves the open alerts of an asset at `now` (ns since 1970); returns them. */ Alerter, resolve(asset: &str, now: i64) -> Vec<Alert>, wheeltapper_pipeline_alert, alerter, call_resolve);

stage!(/** Plans repairs as work orders. */ Scheduler, StageName::Schedule, wit::schedule_stage::ScheduleStage, wheeltapper_pipeline_schedule, scheduler);
call!(/** Adds alerts; returns the work orders that changed. */ Scheduler, push(alerts: &[Alert]) -> Vec<WorkOrder>, wheeltapper_pipeline_schedule, scheduler, call_push);
call!(/** Plans again from `now`; returns the work orders that changed. */ Scheduler, tick(now: i64) -> Vec<WorkOrder>, wheeltapper_pipeline_schedule, scheduler, call_tick);
call!(/** Applies users' changes to work orders. */ Scheduler, amend(amendments: &[wit::schedule::Amendment]) -> Vec<WorkOrder>, wheeltapper_pipeline_schedule, scheduler, call_amend);
call!(/** Returns all work orders of the plan. */ Scheduler, orders() -> Vec<WorkOrder>, wheeltapper_pipeline_schedule, scheduler, call_orders);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{
        collections::BTreeMap,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;
    use crate::components::InstanceLimits;

    /// On an overloaded machine wall time passes while a call gets little CPU time. Here the engine's epoch advances
    /// far too fast.
    #[test]
    fn a_call_is_stopped_for_the_cpu_time_it_used_and_not_for_the_time_that_passed() {
        let cache = tempfile::tempdir().unwrap();
        let limits = InstanceLimits { memory: 1 << 30, max_cpu_time: Duration::from_secs(5) };
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
        assert!(matches!(deadline_update(Duration::from_secs(5), Duration::from_secs(5)), UpdateDeadline::Interrupt));
        assert!(matches!(deadline_update(Duration::from_secs(5), Duration::from_secs(9)), UpdateDeadline::Interrupt));
        assert!(matches!(
            deadline_update(Duration::from_secs(5), Duration::from_secs(4)),
            UpdateDeadline::Continue(100)
        ));
    }
}
