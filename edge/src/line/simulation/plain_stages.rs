//! Stages as plain functions: a fold over the readings, so that a reading that is skipped, repeated or out of order is
//! detected.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use crate::{
    components::{
        CallError, StageName,
        wit::{
            detect::DryRunResult,
            schedule::Amendment,
            types::{Alert, AlertState, Anomaly, FeatureBatch, OrderStatus, Severity, WorkOrder},
        },
    },
    line::{
        batch::Step,
        planner::{ScheduleFactory, ScheduleStage},
        stages::{StageConfigs, StageFactory, StageSnapshots, Stages, StepOutput},
    },
    metrics::Metrics,
};

/// The configuration that every stage rejects.
pub(super) const BAD_CONFIG: &str = "bad";

/// Readings whose number ends accordingly cause an anomaly, an alert, or a failure of the stage. Numbers are the
/// readings' values.
pub(super) fn is_anomaly(reading: u64) -> bool {
    reading.is_multiple_of(5)
}
pub(super) fn is_alert(reading: u64) -> bool {
    reading.is_multiple_of(10)
}
pub(super) fn is_poison(reading: u64) -> bool {
    reading % 97 == 13
}

/// Switches with which the simulation controls the stages and counts errors.
#[derive(Debug, Default)]
pub(super) struct StageSwitches {
    /// The next step panics.
    pub(super) panic_next_step: AtomicBool,
    /// One bit per healthy partition, to which appends must succeed.
    pub(super) healthy_partitions: AtomicU32,
    /// Number of appends to such partitions that were rejected.
    pub(super) wrong_rejections: AtomicU32,
}

/// The state: the number of readings of each sensor, and of resets, that were processed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FoldState {
    pub(super) readings: BTreeMap<String, u64>,
    /// Number of resets of baselines.
    pub(super) resets: u64,
    /// The configurations that were active when a reading was processed, in order.
    pub(super) configs: Vec<String>,
}

#[derive(Debug)]
struct PlainStages {
    state: FoldState,
    config: String,
    switches: Arc<StageSwitches>,
}

impl Stages for PlainStages {
    fn run(&mut self, step: &Step, _: &Metrics) -> Result<StepOutput, CallError> {
        assert!(!self.switches.panic_next_step.swap(false, Ordering::AcqRel), "simulated panic of a worker");
        let mut output = StepOutput::empty();
        let batch = match step {
            Step::Push(batch) => batch,
            Step::ResetBaseline { .. } => {
                self.state.resets += 1;
                return Ok(output);
            }
            Step::Tick(_) | Step::Flush | Step::Dropped => return Ok(output),
        };
        let readings = &batch.readings.readings;
        for ((&sensor, &time), &value) in readings.sensor.iter().zip(&readings.time).zip(&readings.value) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of readings are small")]
            let number = value as u64;
            if is_poison(number) {
                return Err(CallError::InstanceFailed { stage: StageName::Featurize, message: "poison".into() });
            }
            let (_, name) = &batch.sensors[sensor as usize];
            *self.state.readings.entry(name.to_string()).or_default() += 1;
            if is_anomaly(number) {
                output.anomalies.push(anomaly(number, name, time));
            }
            if is_alert(number) {
                output.alerts.push(alert(number, name, time));
            }
        }
        if self.state.configs.last() != Some(&self.config) {
            self.state.configs.push(self.config.clone());
        }
        Ok(output)
    }

    fn snapshot(&mut self) -> Result<StageSnapshots, CallError> {
        let featurize = postcard::to_allocvec(&self.state).unwrap();
        Ok(StageSnapshots { featurize, detect: vec![1], alert: vec![2] })
    }

    fn dry_run(&mut self, _: &[FeatureBatch], _: Option<&str>) -> Result<Vec<DryRunResult>, CallError> {
        Ok(Vec::new())
    }
}

/// Opens plain stages.
#[derive(Debug, Default)]
pub(super) struct PlainFactory {
    pub(super) switches: Arc<StageSwitches>,
}

fn reject_bad_config(config: &str, stage: StageName) -> Result<(), CallError> {
    if config == BAD_CONFIG {
        return Err(CallError::Rejected { stage, message: "its configuration cannot be used".into() });
    }
    Ok(())
}

impl StageFactory for PlainFactory {
    fn open(&self, configs: &StageConfigs, snapshots: Option<&StageSnapshots>) -> Result<Box<dyn Stages>, CallError> {
        reject_bad_config(&configs.featurize, StageName::Featurize)?;
        let state = snapshots.map_or_else(FoldState::default, |all| postcard::from_bytes(&all.featurize).unwrap());
        Ok(Box::new(PlainStages { state, config: configs.featurize.clone(), switches: Arc::clone(&self.switches) }))
    }
}

fn anomaly(number: u64, sensor: &str, time: i64) -> Anomaly {
    Anomaly {
        id: format!("anomaly-{number}"),
        asset: asset(sensor),
        sensor: sensor.to_owned(),
        start: time,
        end: time + 1,
        score: 1.0,
        threshold: 0.9,
        confidence: 1.0,
        model: "simulated".into(),
        severity: Severity::High,
        fault_mode: None,
        message: String::new(),
        contributions: Vec::new(),
        trend: None,
    }
}

fn alert(number: u64, sensor: &str, time: i64) -> Alert {
    Alert {
        id: format!("alert-{number}"),
        asset: asset(sensor),
        sensor: sensor.to_owned(),
        severity: Severity::High,
        state: AlertState::Open,
        opened: time,
        updated: time,
        resolved: None,
        anomalies: 1,
        peak_score: 1.0,
        anomaly: format!("anomaly-{number}"),
        fault_mode: None,
        title: String::new(),
        message: String::new(),
        recommendation: String::new(),
    }
}

fn asset(sensor: &str) -> String {
    sensor.rsplit_once('/').map_or(sensor, |(asset, _)| asset).to_owned()
}

/// Plans one work order per alert, and counts in its notes how often it was amended.
#[derive(Debug)]
struct PlainSchedule {
    orders: BTreeMap<String, u32>,
    alerts: BTreeSet<String>,
    pending_panics: Arc<Mutex<u32>>,
}

fn order(alert: &str, amended: u32) -> WorkOrder {
    WorkOrder {
        id: format!("order-{alert}"),
        alert: alert.to_owned(),
        asset: "site/machine".into(),
        kind: "inspection".into(),
        priority: 1,
        status: OrderStatus::Planned,
        scheduled: None,
        duration_minutes: 60,
        technician: None,
        skills: Vec::new(),
        after: Vec::new(),
        cost: 0.0,
        notes: format!("{amended}"),
        pinned: false,
    }
}

impl ScheduleStage for PlainSchedule {
    fn push(&mut self, alerts: &[Alert]) -> Result<Vec<WorkOrder>, CallError> {
        let mut changed = Vec::new();
        for alert in alerts {
            // Like the real stage: a known alert changes nothing.
            if self.alerts.insert(alert.id.clone()) {
                self.orders.insert(alert.id.clone(), 0);
                changed.push(order(&alert.id, 0));
            }
        }
        Ok(changed)
    }

    fn tick(&mut self, _: i64) -> Result<Vec<WorkOrder>, CallError> {
        let mut panics = self.pending_panics.lock().unwrap_or_else(PoisonError::into_inner);
        let panic = *panics > 0;
        *panics = panics.saturating_sub(1);
        drop(panics);
        assert!(!panic, "simulated panic of the planner");
        Ok(Vec::new())
    }

    fn amend(&mut self, amendments: &[Amendment]) -> Result<Vec<WorkOrder>, CallError> {
        let mut changed = Vec::new();
        for amendment in amendments {
            let alert = amendment.order.strip_prefix("order-").unwrap_or_default().to_owned();
            let Some(amended) = self.orders.get_mut(&alert) else {
                return Err(CallError::Rejected { stage: StageName::Schedule, message: "no such order".into() });
            };
            *amended += 1;
            changed.push(order(&alert, *amended));
        }
        Ok(changed)
    }

    fn orders(&mut self) -> Result<Vec<WorkOrder>, CallError> {
        Ok(self.orders.iter().map(|(alert, &amended)| order(alert, amended)).collect())
    }

    fn snapshot(&mut self) -> Result<Vec<u8>, CallError> {
        Ok(postcard::to_allocvec(&(&self.orders, &self.alerts)).unwrap())
    }
}

/// Opens plain schedule stages.
#[derive(Debug, Default)]
pub(super) struct PlainScheduleFactory {
    /// Number of the next ticks that panic.
    pub(super) pending_panics: Arc<Mutex<u32>>,
}

impl ScheduleFactory for PlainScheduleFactory {
    fn open_schedule(&self, config: &str, snapshot: Option<&[u8]>) -> Result<Box<dyn ScheduleStage>, CallError> {
        reject_bad_config(config, StageName::Schedule)?;
        let (orders, alerts) = snapshot.map_or_else(Default::default, |bytes| postcard::from_bytes(bytes).unwrap());
        Ok(Box::new(PlainSchedule { orders, alerts, pending_panics: Arc::clone(&self.pending_panics) }))
    }
}
