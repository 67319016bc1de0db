//! The stages featurize, detect and alert as a chain in one process, as the host runs them.

use wheeltapper_alert::{Alert, AlertState, Alerter, Anomaly, Scores, Severity};
use wheeltapper_detect::{Detected, FeatureBlock, Stage};
use wheeltapper_featurize::{Batch, FeatureRow, Featurized, Featurizer, features::WINDOW_FEATURES};

use crate::machine::{Readings, S, T0};

/// What a recording led to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every record of every alert, in order.
    pub records: Vec<Alert>,
    /// Number of scored windows, and of anomalies.
    pub scored: usize,
    pub anomalies: Vec<(f64, String, Option<&'static str>, String)>,
    pub drifts: Vec<(f64, String)>,
}

/// An alert from its first record to its last.
#[derive(Clone, Debug)]
pub struct Episode {
    /// Hours since the start of the recording.
    pub opened: f64,
    pub resolved: Option<f64>,
    pub severity: Severity,
    pub sensor: String,
    pub fault_mode: Option<String>,
    pub message: String,
}

fn hours(time: i64) -> f64 {
    (time - T0) as f64 / (3600 * S) as f64
}

impl Outcome {
    /// The alerts; one that opened again counts once.
    pub fn episodes(&self) -> Vec<Episode> {
        let mut ids: Vec<&str> = Vec::new();
        for record in &self.records {
            if !ids.contains(&record.id.as_str()) {
                ids.push(&record.id);
            }
        }
        ids.iter()
            .map(|id| {
                let mut records = self.records.iter().filter(|record| record.id == **id);
                let first = records.next().unwrap();
                let last = self.records.iter().rfind(|record| record.id == **id).unwrap();
                Episode {
                    opened: hours(first.opened),
                    resolved: (last.state == AlertState::Resolved).then(|| hours(last.resolved.unwrap())),
                    severity: last.severity,
                    sensor: last.sensor.clone(),
                    fault_mode: last.fault_mode.clone(),
                    message: last.message.clone(),
                }
            })
            .collect()
    }

    /// Alerts that opened within these hours.
    pub fn opened_between(&self, from: f64, to: f64) -> Vec<Episode> {
        self.episodes().into_iter().filter(|episode| (from..to).contains(&episode.opened)).collect()
    }

    pub fn worst(&self) -> Option<Severity> {
        self.records.iter().map(|record| record.severity).max()
    }
}

/// The chain; readings are pushed in batches of a few minutes, as a host receives them.
pub struct Chain {
    featurizer: Featurizer,
    stage: Stage,
    alerter: Alerter,
    outcome: Outcome,
}

impl Chain {
    /// `sensors` is the part of the configuration that describes the sensors, for detect.
    pub fn open(sensors: &str) -> Self {
        Self {
            featurizer: Featurizer::open("").unwrap(),
            stage: Stage::open(&format!(r#"{{"sensors":{sensors}}}"#)).unwrap(),
            alerter: Alerter::open("").unwrap(),
            outcome: Outcome::default(),
        }
    }

    /// Resets the baseline, as after a repair.
    pub fn reset_baseline(&mut self, asset: &str) {
        self.stage.reset_baseline(asset);
    }

    pub fn push(&mut self, sensors: &[(&str, &str)], readings: &Readings) {
        for chunk in readings.chunks(20_000) {
            let batch = Batch {
                sensors,
                sensor: &chunk.iter().map(|reading| reading.0).collect::<Vec<_>>(),
                time: &chunk.iter().map(|reading| reading.1).collect::<Vec<_>>(),
                value: &chunk.iter().map(|reading| reading.2).collect::<Vec<_>>(),
                waveforms: &[],
                arrivals: &[],
            };
            let first = self.featurizer.push(&batch).unwrap();
            let windows = self.featurizer.complete(first);
            self.detect(&windows);
        }
    }

    pub fn finish(mut self) -> Outcome {
        let first = self.featurizer.flush();
        let windows = self.featurizer.complete(first);
        self.detect(&windows);
        let rest = self.stage.flush();
        self.alert(rest);
        self.outcome
    }

    fn detect(&mut self, windows: &Featurized) {
        let table: Vec<(&str, &str)> = windows.sensors.iter().map(|(name, asset)| (&**name, &**asset)).collect();
        let features: Vec<String> = WINDOW_FEATURES.iter().map(|&name| name.to_owned()).collect();
        let rows: &[FeatureRow] = &windows.windows;
        let block = FeatureBlock {
            features: &features,
            sensor: &rows.iter().map(|row| row.sensor).collect::<Vec<_>>(),
            start: &rows.iter().map(|row| row.start).collect::<Vec<_>>(),
            end: &rows.iter().map(|row| row.end).collect::<Vec<_>>(),
            count: &rows.iter().map(|row| row.count).collect::<Vec<_>>(),
            values: &rows.iter().flat_map(|row| row.values).collect::<Vec<_>>(),
        };
        let detected = self.stage.push(&table, &[block]).unwrap();
        self.alert(detected);
    }

    fn alert(&mut self, detected: Detected) {
        self.outcome.scored += detected.scores.len();
        self.outcome.drifts.extend(detected.drifts.iter().map(|drift| (hours(drift.time), drift.message.clone())));
        let mut assets: Vec<&str> = Vec::new();
        let asset: Vec<u32> = detected
            .scores
            .iter()
            .map(|score| {
                let at = assets.iter().position(|known| *known == score.asset).unwrap_or_else(|| {
                    assets.push(&score.asset);
                    assets.len() - 1
                });
                u32::try_from(at).unwrap()
            })
            .collect();
        let scores = Scores {
            assets: &assets,
            asset: &asset,
            start: &detected.scores.iter().map(|score| score.start).collect::<Vec<_>>(),
            end: &detected.scores.iter().map(|score| score.end).collect::<Vec<_>>(),
            score: &detected.scores.iter().map(|score| score.score).collect::<Vec<_>>(),
        };
        let anomalies: Vec<Anomaly> = detected.anomalies.iter().map(to_alert_stage).collect();
        for anomaly in &detected.anomalies {
            let of = (hours(anomaly.end), anomaly.sensor.clone(), anomaly.fault_mode, anomaly.message.clone());
            self.outcome.anomalies.push(of);
        }
        self.outcome.records.extend(self.alerter.push(&scores, &anomalies).unwrap());
    }
}

fn to_alert_stage(anomaly: &wheeltapper_detect::Anomaly) -> Anomaly {
    Anomaly {
        id: anomaly.id.clone(),
        asset: anomaly.asset.clone(),
        sensor: anomaly.sensor.clone(),
        feature: anomaly.contributions.first().map(|part| part.feature.clone()),
        start: anomaly.start,
        end: anomaly.end,
        score: anomaly.score,
        threshold: anomaly.threshold,
        severity: match anomaly.severity {
            wheeltapper_detect::Severity::Low => Severity::Low,
            wheeltapper_detect::Severity::Medium => Severity::Medium,
            wheeltapper_detect::Severity::High => Severity::High,
            wheeltapper_detect::Severity::Critical => Severity::Critical,
        },
        fault_mode: anomaly.fault_mode.map(str::to_owned),
        message: anomaly.message.clone(),
    }
}
