//! The three stages of one partition, run together.

use std::time::Instant;

use super::batch::Step;
use crate::{
    components::{
        Alerter, CallError, Detector, Featurizer, Sandbox, StageName,
        wit::{
            detect::{Detected, DryRunResult},
            featurize::{Featurized, Rejected},
            types::{Alert, Anomaly, Drift, FeatureBatch, Prognosis, SensorTable},
        },
    },
    metrics::Metrics,
    name_dictionary,
};

/// The configurations of the partition's stages, as JSON.
#[derive(Clone, Debug)]
pub(crate) struct StageConfigs {
    pub(super) featurize: String,
    pub(super) detect: String,
    pub(super) alert: String,
}

impl From<[String; 3]> for StageConfigs {
    fn from([featurize, detect, alert]: [String; 3]) -> Self {
        Self { featurize, detect, alert }
    }
}

/// The three stages of one partition. After an error their states are inconsistent and they must be replaced.
pub(crate) trait Stages: std::fmt::Debug + Send {
    /// Runs one step through the three stages.
    fn run(&mut self, step: &Step, metrics: &Metrics) -> Result<StepOutput, CallError>;

    /// The state of the three stages, taken between two steps.
    fn snapshot(&mut self) -> Result<StageSnapshots, CallError>;

    /// Scores windows with the detector without learning from them.
    fn dry_run(&mut self, batches: &[FeatureBatch], model: Option<&str>) -> Result<Vec<DryRunResult>, CallError>;
}

/// Opens the stages of a partition: as components in the host, as plain functions in a simulation.
pub(crate) trait StageFactory: std::fmt::Debug + Send + Sync {
    /// Opens new stages, or with snapshots stages that continue from them.
    fn open(&self, configs: &StageConfigs, snapshots: Option<&StageSnapshots>) -> Result<Box<dyn Stages>, CallError>;
}

impl StageFactory for Sandbox {
    fn open(&self, configs: &StageConfigs, snapshots: Option<&StageSnapshots>) -> Result<Box<dyn Stages>, CallError> {
        Ok(Box::new(PartitionStages::open(self, configs, snapshots)?))
    }
}

/// Output of one step.
#[derive(Debug)]
pub(crate) struct StepOutput {
    pub(super) features: FeatureBatch,
    pub(super) rejected: Vec<Rejected>,
    /// Readings that are already stored; indices as in `rejected`.
    pub(super) repeated: Vec<u32>,
    /// Readings that arrived after their sensor's watermark.
    pub(super) late: Vec<u32>,
    pub(super) anomalies: Vec<Anomaly>,
    pub(super) alerts: Vec<Alert>,
    pub(super) drifts: Vec<Drift>,
    pub(super) prognoses: Vec<Prognosis>,
}

impl StepOutput {
    pub(super) fn empty() -> Self {
        let sensors =
            SensorTable { names: name_dictionary::empty(), assets: name_dictionary::empty(), asset: Vec::new() };
        Self {
            features: FeatureBatch { sensors, blocks: Vec::new() },
            rejected: Vec::new(),
            repeated: Vec::new(),
            late: Vec::new(),
            anomalies: Vec::new(),
            alerts: Vec::new(),
            drifts: Vec::new(),
            prognoses: Vec::new(),
        }
    }
}

/// Snapshots of the three stages, taken between the same two records.
#[derive(Clone, Debug)]
pub(crate) struct StageSnapshots {
    pub(super) featurize: Vec<u8>,
    pub(super) detect: Vec<u8>,
    pub(super) alert: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct PartitionStages {
    featurizer: Featurizer,
    detector: Detector,
    alerter: Alerter,
}

impl PartitionStages {
    pub(super) fn open(
        sandbox: &Sandbox,
        configs: &StageConfigs,
        snapshots: Option<&StageSnapshots>,
    ) -> Result<Self, CallError> {
        Ok(Self {
            featurizer: Featurizer::open(sandbox, &configs.featurize, snapshots.map(|all| all.featurize.as_slice()))?,
            detector: Detector::open(sandbox, &configs.detect, snapshots.map(|all| all.detect.as_slice()))?,
            alerter: Alerter::open(sandbox, &configs.alert, snapshots.map(|all| all.alert.as_slice()))?,
        })
    }
}

impl PartitionStages {
    /// Runs the alert stage on detections, and adds both to the output.
    fn run_alert_stage(
        &mut self,
        detected: Detected,
        output: &mut StepOutput,
        metrics: &Metrics,
    ) -> Result<(), CallError> {
        let Detected { scores, anomalies, drifts, prognoses, .. } = detected;
        let scored = scores.asset.len();
        if scored > 0 || !anomalies.is_empty() {
            let started = Instant::now();
            output.alerts.extend(self.alerter.push(&scores, &anomalies)?);
            metrics.stage(StageName::Alert).observe(started.elapsed().as_secs_f64());
            metrics.items(StageName::Alert).inc_by(scored as u64);
        }
        output.anomalies.extend(anomalies);
        output.drifts.extend(drifts);
        output.prognoses.extend(prognoses);
        Ok(())
    }
}

impl Stages for PartitionStages {
    fn snapshot(&mut self) -> Result<StageSnapshots, CallError> {
        Ok(StageSnapshots {
            featurize: self.featurizer.snapshot()?,
            detect: self.detector.snapshot()?,
            alert: self.alerter.snapshot()?,
        })
    }

    // A trap makes the instance unusable, which the next step detects.
    fn dry_run(&mut self, batches: &[FeatureBatch], model: Option<&str>) -> Result<Vec<DryRunResult>, CallError> {
        let results = batches.iter().map(|batch| self.detector.dry_run(batch, model));
        Ok(results.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn run(&mut self, step: &Step, metrics: &Metrics) -> Result<StepOutput, CallError> {
        let mut output = StepOutput::empty();
        let started = Instant::now();
        let mut part = match step {
            Step::Push(batch) => self.featurizer.push(&batch.readings)?,
            Step::Tick(now) => self.featurizer.tick(*now)?,
            Step::Flush => self.featurizer.flush()?,
            Step::ResetBaseline { asset, time } => {
                self.detector.reset_baseline(asset)?;
                output.alerts = self.alerter.resolve(asset, *time)?;
                return Ok(output);
            }
            Step::Dropped => return Ok(output),
        };
        if let Step::Push(batch) = step {
            metrics.stage(StageName::Featurize).observe(started.elapsed().as_secs_f64());
            metrics.items(StageName::Featurize).inc_by(batch.value_count());
        }
        // Featurize may return its results in several calls; each passes through the stages separately.
        loop {
            let Featurized { features, rejected, repeated, late, has_more } = part;
            let windows: usize = features.blocks.iter().map(|block| block.sensor.len()).sum();
            let started = Instant::now();
            let detected = self.detector.push(&features)?;
            if windows > 0 {
                metrics.stage(StageName::Detect).observe(started.elapsed().as_secs_f64());
                metrics.items(StageName::Detect).inc_by(windows as u64);
            }
            self.run_alert_stage(detected, &mut output, metrics)?;
            append_features(&mut output.features, features);
            output.rejected.extend(rejected);
            output.repeated.extend(repeated);
            output.late.extend(late);
            if !has_more {
                break;
            }
            part = self.featurizer.resume()?;
        }
        let mut waited = match step {
            Step::Push(_) | Step::ResetBaseline { .. } | Step::Dropped => return Ok(output),
            Step::Tick(now) => self.detector.tick(*now)?,
            Step::Flush => self.detector.flush()?,
        };
        loop {
            let more = waited.has_more;
            self.run_alert_stage(waited, &mut output, metrics)?;
            if !more {
                break;
            }
            waited = self.detector.resume()?;
        }
        if let Step::Tick(now) = step {
            output.alerts.extend(self.alerter.tick(*now)?);
        }
        Ok(output)
    }
}

/// Appends features. A sensor that occurs in both is twice in the table, which is valid.
fn append_features(all: &mut FeatureBatch, more: FeatureBatch) {
    if all.blocks.is_empty() {
        *all = more;
        return;
    }
    let sensors = u32::try_from(all.sensors.names.ends.len()).unwrap_or(u32::MAX);
    let assets = u32::try_from(all.sensors.assets.ends.len()).unwrap_or(u32::MAX);
    for name in name_dictionary::names(&more.sensors.names) {
        name_dictionary::push_name(&mut all.sensors.names, name);
    }
    for asset in name_dictionary::names(&more.sensors.assets) {
        name_dictionary::push_name(&mut all.sensors.assets, asset);
    }
    all.sensors.asset.extend(more.sensors.asset.into_iter().map(|asset| asset + assets));
    all.blocks.extend(more.blocks.into_iter().map(|mut block| {
        block.sensor.iter_mut().for_each(|sensor| *sensor += sensors);
        block
    }));
}
