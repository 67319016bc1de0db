//! The WebAssembly component: converts between the WIT contracts and [`crate::Stage`].

use std::{cell::RefCell, collections::BTreeMap};

wit_bindgen::generate!({ path: "../../wit", world: "detect-stage" });

use exports::wheeltapper::pipeline::detect::{Detected, Detector as Handle, DryRunResult, Guest, GuestDetector};
use wheeltapper::pipeline::types::{
    Anomaly, Contribution, Dictionary, Drift, DriftKind, FeatureBatch, FeatureBlock, Prognosis, ScoreBatch,
    SensorTable, Severity, StageError, Time, Trend,
};

struct Exports;

/// The exported resource.
pub struct DetectorResource(RefCell<crate::Stage>);

impl Guest for Exports {
    type Detector = DetectorResource;
}

impl GuestDetector for DetectorResource {
    fn open(config: String) -> Result<Handle, StageError> {
        let stage = crate::Stage::open(&config).map_err(|error| StageError::Config(error.to_string()))?;
        Ok(Handle::new(Self(RefCell::new(stage))))
    }

    fn restore(config: String, snapshot: Vec<u8>) -> Result<Handle, StageError> {
        let stage = crate::Stage::restore(&config, &snapshot).map_err(|error| match error {
            crate::RestoreError::Config(error) => StageError::Config(error.to_string()),
            crate::RestoreError::Snapshot(_) => StageError::Snapshot(error.to_string()),
        })?;
        Ok(Handle::new(Self(RefCell::new(stage))))
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().snapshot()
    }

    fn push(&self, batch: FeatureBatch) -> Result<Detected, StageError> {
        let table = table(&batch.sensors)?;
        let blocks: Vec<_> = batch.blocks.iter().map(block).collect();
        let out = self.0.borrow_mut().push(&table, &blocks).map_err(|error| StageError::Batch(error.to_string()))?;
        Ok(detected(out))
    }

    fn tick(&self, _now: Time) -> Result<Detected, StageError> {
        Ok(detected(self.0.borrow_mut().tick()))
    }

    fn flush(&self) -> Result<Detected, StageError> {
        Ok(detected(self.0.borrow_mut().flush()))
    }

    fn resume(&self) -> Result<Detected, StageError> {
        Ok(detected(self.0.borrow_mut().resume()))
    }

    fn dry_run(&self, batch: FeatureBatch, model: Option<String>) -> Result<Vec<DryRunResult>, StageError> {
        let table = table(&batch.sensors)?;
        let blocks: Vec<_> = batch.blocks.iter().map(block).collect();
        let out = self.0.borrow().dry_run(&table, &blocks, model.as_deref());
        Ok(out.map_err(|error| StageError::Batch(error.to_string()))?.into_iter().map(dry_run_result).collect())
    }

    fn reset_baseline(&self, asset: String) {
        self.0.borrow_mut().reset_baseline(&asset);
    }
}

fn block(block: &FeatureBlock) -> crate::FeatureBlock<'_> {
    crate::FeatureBlock {
        features: &block.features,
        sensor: &block.sensor,
        start: &block.start,
        end: &block.end,
        count: &block.count,
        values: &block.values,
    }
}

fn dry_run_result(result: crate::DryRunResult) -> DryRunResult {
    DryRunResult {
        asset: result.asset,
        sensor: result.sensor,
        start: result.start,
        end: result.end,
        score: result.score,
        threshold: result.threshold,
        confidence: result.confidence,
        model: result.model,
        learned: result.learned,
        needed: result.needed,
        anomaly: result.anomaly.map(anomaly),
    }
}

fn dictionary_names(dictionary: &Dictionary) -> Result<Vec<&str>, StageError> {
    let mut from = 0;
    dictionary
        .ends
        .iter()
        .map(|&end| {
            let name = dictionary.text.get(from..end as usize);
            from = end as usize;
            name.ok_or_else(|| {
                StageError::Batch(format!(
                    "a dictionary's end {end} is outside its text of {} bytes",
                    dictionary.text.len()
                ))
            })
        })
        .collect()
}

/// Converts a sensor table to pairs of sensor name and asset.
fn table(sensors: &SensorTable) -> Result<Vec<(&str, &str)>, StageError> {
    let (names, assets) = (dictionary_names(&sensors.names)?, dictionary_names(&sensors.assets)?);
    if names.len() != sensors.asset.len() {
        return Err(StageError::Batch(format!(
            "the sensor table has {} names and {} assets",
            names.len(),
            sensors.asset.len()
        )));
    }
    let asset = |at: u32| {
        assets
            .get(at as usize)
            .copied()
            .ok_or_else(|| StageError::Batch(format!("asset {at} is not in the table of {}", assets.len())))
    };
    names.iter().zip(&sensors.asset).map(|(name, &at)| Ok((*name, asset(at)?))).collect()
}

fn detected(out: crate::Detected) -> Detected {
    let mut scores = ScoreBatch {
        assets: Dictionary { text: String::new(), ends: Vec::new() },
        asset: Vec::new(),
        start: Vec::new(),
        end: Vec::new(),
        score: Vec::new(),
    };
    let mut known = BTreeMap::new();
    for score in &out.scores {
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let at = *known.entry(score.asset.as_str()).or_insert_with(|| {
            scores.assets.text.push_str(&score.asset);
            scores.assets.ends.push(u32::try_from(scores.assets.text.len()).unwrap_or(u32::MAX));
            next
        });
        scores.asset.push(at);
        scores.start.push(score.start);
        scores.end.push(score.end);
        scores.score.push(score.score);
    }
    Detected {
        scores,
        anomalies: out.anomalies.into_iter().map(anomaly).collect(),
        drifts: out.drifts.into_iter().map(drift).collect(),
        prognoses: out.prognoses.into_iter().map(prognosis).collect(),
        has_more: out.has_more,
    }
}

fn anomaly(found: crate::Anomaly) -> Anomaly {
    Anomaly {
        id: found.id,
        asset: found.asset,
        sensor: found.sensor,
        start: found.start,
        end: found.end,
        score: found.score,
        threshold: found.threshold,
        confidence: found.confidence,
        model: found.model.to_owned(),
        severity: match found.severity {
            crate::Severity::Low => Severity::Low,
            crate::Severity::Medium => Severity::Medium,
            crate::Severity::High => Severity::High,
            crate::Severity::Critical => Severity::Critical,
        },
        fault_mode: found.fault_mode.map(str::to_owned),
        message: found.message,
        contributions: found
            .contributions
            .into_iter()
            .map(|part| Contribution {
                sensor: part.sensor,
                feature: part.feature,
                share: part.share,
                expected: part.expected,
                actual: part.actual,
                unit: part.unit,
            })
            .collect(),
        trend: found.trend.map(|trend| Trend {
            sensor: trend.sensor,
            feature: trend.feature,
            unit: trend.unit,
            times: trend.times,
            values: trend.values,
        }),
    }
}

fn drift(drift: crate::Drift) -> Drift {
    Drift {
        id: drift.id,
        asset: drift.asset,
        time: drift.time,
        kind: match drift.kind {
            crate::DriftKind::Drifted => DriftKind::Drifted,
            crate::DriftKind::Kept => DriftKind::Kept,
            crate::DriftKind::Switched => DriftKind::Switched,
        },
        sensors: drift.sensors,
        p_value: drift.p_value,
        message: drift.message,
    }
}

fn prognosis(prognosis: crate::Prognosis) -> Prognosis {
    let [p10, p50, p90] = prognosis.hours;
    Prognosis {
        asset: prognosis.asset,
        time: prognosis.time,
        health: prognosis.health,
        p10,
        p50,
        p90,
        model: prognosis.model.to_owned(),
    }
}

export!(Exports);
