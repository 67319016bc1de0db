//! The stages featurize, detect and alert as plain functions: the same code as in the components, without WebAssembly.
//! This makes an evaluation fast, and it needs no host.

use wheeltapper_alert::{Alert, AlertState, Alerter, Anomaly, Scores, Severity};
use wheeltapper_detect::{Detected, FeatureBlock, Stage};
use wheeltapper_featurize::{
    Batch, FeatureRow, Featurized, Featurizer, Waveform,
    features::{WAVEFORM_FEATURES, WINDOW_FEATURES},
};

use crate::{AlertUpdate, Error, PlantLine, ReadingBatch};

/// The three stages with the configuration of a plant.
#[derive(Debug)]
pub struct NativeLine {
    sensors: Vec<(String, String)>,
    featurizer: Featurizer,
    detector: Stage,
    alerter: Alerter,
    window_features: Vec<String>,
    waveform_features: Vec<String>,
}

impl NativeLine {
    /// Opens the stages as the host does for this `wheeltapper.toml`; an empty text means the defaults. `sensors` are
    /// the names and assets to which the indices of readings refer.
    ///
    /// # Errors
    /// [`Error::Pipeline`] if the configuration is invalid.
    pub fn open(toml: &str, sensors: &[(String, String)]) -> Result<Self, Error> {
        let config = wheeltapper_config::parse(toml, "the plant").map_err(failed)?;
        let names = |features: &[&str]| features.iter().map(|&name| name.to_owned()).collect();
        Ok(Self {
            sensors: sensors.to_vec(),
            featurizer: Featurizer::open(&config.featurize_json()).map_err(failed)?,
            detector: Stage::open(&config.detect_json(&[])).map_err(failed)?,
            alerter: Alerter::open(&config.alert_json()).map_err(failed)?,
            window_features: names(&WINDOW_FEATURES),
            waveform_features: names(&WAVEFORM_FEATURES),
        })
    }

    /// Runs detect and alert on a result of featurize and on everything that featurize returns after it.
    fn run_from(&mut self, mut part: Featurized, updates: &mut Vec<AlertUpdate>) -> Result<(), Error> {
        loop {
            let table: Vec<(&str, &str)> = part.sensors.iter().map(|(name, asset)| (&**name, &**asset)).collect();
            let windows = Columns::new(&part.windows);
            let waveforms = Columns::new(&part.waveforms);
            let blocks = [windows.block(&self.window_features), waveforms.block(&self.waveform_features)];
            let blocks: Vec<FeatureBlock<'_>> = blocks.into_iter().filter(|block| !block.sensor.is_empty()).collect();
            let detected = self.detector.push(&table, &blocks).map_err(failed)?;
            self.alert(detected, updates)?;
            if !part.has_more {
                return Ok(());
            }
            part = self.featurizer.resume();
        }
    }

    /// Runs alert on a result of a tick or flush of detect and on everything that detect returns after it.
    fn run_waiting(&mut self, mut detected: Detected, updates: &mut Vec<AlertUpdate>) -> Result<(), Error> {
        loop {
            let more = detected.has_more;
            self.alert(detected, updates)?;
            if !more {
                return Ok(());
            }
            detected = self.detector.resume();
        }
    }

    fn alert(&mut self, detected: Detected, updates: &mut Vec<AlertUpdate>) -> Result<(), Error> {
        let assets: Vec<&str> = detected.scores.iter().map(|score| score.asset.as_str()).collect();
        let rows: Vec<u32> = (0..).take(assets.len()).collect();
        let start: Vec<i64> = detected.scores.iter().map(|score| score.start).collect();
        let end: Vec<i64> = detected.scores.iter().map(|score| score.end).collect();
        let values: Vec<f64> = detected.scores.iter().map(|score| score.score).collect();
        let scores = Scores { assets: &assets, asset: &rows, start: &start, end: &end, score: &values };
        let anomalies: Vec<Anomaly> = detected.anomalies.iter().map(anomaly).collect();
        updates.extend(self.alerter.push(&scores, &anomalies).map_err(failed)?.into_iter().map(update));
        Ok(())
    }
}

impl PlantLine for NativeLine {
    fn push(&mut self, batch: &ReadingBatch) -> Result<Vec<AlertUpdate>, Error> {
        let sensors: Vec<(&str, &str)> =
            self.sensors.iter().map(|(name, asset)| (name.as_str(), asset.as_str())).collect();
        let waveform = |each: &crate::WaveformReading| (each.sensor, each.start, each.rate);
        let waveforms: Vec<Waveform<'_>> = batch
            .waveforms
            .iter()
            .map(|each| {
                let (sensor, start, rate) = waveform(each);
                Waveform { sensor, start, rate, samples: &each.samples }
            })
            .collect();
        let input = Batch {
            sensors: &sensors,
            sensor: &batch.sensor,
            time: &batch.time,
            value: &batch.value,
            waveforms: &waveforms,
            arrivals: &[],
        };
        let first = self.featurizer.push(&input).map_err(failed)?;
        let mut updates = Vec::new();
        self.run_from(first, &mut updates)?;
        Ok(updates)
    }

    fn tick(&mut self, now: i64) -> Result<Vec<AlertUpdate>, Error> {
        let mut updates = Vec::new();
        let first = self.featurizer.tick(now);
        self.run_from(first, &mut updates)?;
        let waiting = self.detector.tick();
        self.run_waiting(waiting, &mut updates)?;
        self.alerter.tick(now);
        Ok(updates)
    }

    fn flush(&mut self) -> Result<Vec<AlertUpdate>, Error> {
        let mut updates = Vec::new();
        let first = self.featurizer.flush();
        self.run_from(first, &mut updates)?;
        let waiting = self.detector.flush();
        self.run_waiting(waiting, &mut updates)?;
        Ok(updates)
    }
}

/// Feature rows as columns.
struct Columns {
    sensor: Vec<u32>,
    start: Vec<i64>,
    end: Vec<i64>,
    count: Vec<u32>,
    values: Vec<f64>,
}

impl Columns {
    fn new<const N: usize>(rows: &[FeatureRow<N>]) -> Self {
        Self {
            sensor: rows.iter().map(|row| row.sensor).collect(),
            start: rows.iter().map(|row| row.start).collect(),
            end: rows.iter().map(|row| row.end).collect(),
            count: rows.iter().map(|row| row.count).collect(),
            values: rows.iter().flat_map(|row| row.values).collect(),
        }
    }

    fn block<'a>(&'a self, features: &'a [String]) -> FeatureBlock<'a> {
        FeatureBlock {
            features,
            sensor: &self.sensor,
            start: &self.start,
            end: &self.end,
            count: &self.count,
            values: &self.values,
        }
    }
}

/// Converts an anomaly of detect to one of alert, as the contracts do.
fn anomaly(found: &wheeltapper_detect::Anomaly) -> Anomaly {
    Anomaly {
        id: found.id.clone(),
        asset: found.asset.clone(),
        sensor: found.sensor.clone(),
        feature: found.contributions.first().map(|first| first.feature.clone()),
        start: found.start,
        end: found.end,
        score: found.score,
        threshold: found.threshold,
        severity: match found.severity {
            wheeltapper_detect::Severity::Low => Severity::Low,
            wheeltapper_detect::Severity::Medium => Severity::Medium,
            wheeltapper_detect::Severity::High => Severity::High,
            wheeltapper_detect::Severity::Critical => Severity::Critical,
        },
        fault_mode: found.fault_mode.map(str::to_owned),
        message: found.message.clone(),
    }
}

fn update(alert: Alert) -> AlertUpdate {
    AlertUpdate {
        id: alert.id,
        asset: alert.asset,
        sensor: alert.sensor,
        severity: alert.severity,
        is_open: alert.state == AlertState::Open,
        at: alert.updated,
        fault_mode: alert.fault_mode,
        message: alert.message,
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Pipeline { recording: "a plant".to_owned(), reason: error.to_string() }
}
