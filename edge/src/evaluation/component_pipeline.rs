//! Implements [`wheeltapper_evaluate::Pipeline`] with the built components.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use wheeltapper_evaluate::{Benchmark, Error, Pipeline, Recording, RemainingLife, WaveformRecording, WindowVerdict};

use crate::{
    components::{
        Alerter, CallError, Detector, Featurizer, Sandbox,
        wit::{
            detect::Detected,
            featurize::Featurized,
            types::{AlertState, ReadingBatch, ReadingColumns, SensorTable, Waveform},
        },
    },
    name_dictionary,
};

const SECOND_NS: i64 = 1_000_000_000;
/// Rows per call.
const ROWS_PER_CALL: usize = 500;
/// Scores from this value are anomalies, as in the default configuration.
const THRESHOLD: f64 = 0.999;
/// The drive-end bearing of the CWRU test rig.
const BEARING: &str = "6205";

/// Runs featurize and detect on benchmarks.
#[derive(Debug)]
pub struct ComponentPipeline {
    sandbox: Sandbox,
    /// Replaces the model that suits a profile.
    model: Option<String>,
}

/// An instance of featurize and one of detect.
struct StagePair {
    featurizer: Featurizer,
    detector: Detector,
}

impl ComponentPipeline {
    /// Uses the components of `sandbox`. `model` replaces the model that suits a benchmark's kind of data.
    pub fn new(sandbox: Sandbox, model: Option<String>) -> Self {
        Self { sandbox, model }
    }

    fn open(
        &self,
        recording: &str,
        featurize: &serde_json::Value,
        detect: &serde_json::Value,
    ) -> Result<StagePair, Error> {
        let failed = line_error(recording);
        Ok(StagePair {
            featurizer: Featurizer::open(&self.sandbox, &featurize.to_string(), None).map_err(failed)?,
            detector: Detector::open(&self.sandbox, &detect.to_string(), None).map_err(failed)?,
        })
    }

    /// Sets the alarms from open alerts, by the rules of the alert stage.
    fn set_alarms_from_alerts(
        &self,
        recording: &str,
        detected: &Detected,
        verdicts: &mut HashMap<i64, WindowVerdict>,
    ) -> Result<(), Error> {
        let mut alerter = Alerter::open(&self.sandbox, "", None).map_err(line_error(recording))?;
        let alerts = alerter.push(&detected.scores, &detected.anomalies).map_err(line_error(recording))?;
        let mut states = alerts.iter().peekable();
        let mut order: Vec<&mut WindowVerdict> = verdicts.values_mut().collect();
        order.sort_by_key(|verdict| verdict.end);
        let mut open = false;
        for verdict in order {
            while let Some(alert) = states.next_if(|alert| alert.updated <= verdict.end) {
                open = alert.state == AlertState::Open;
            }
            verdict.alarm = open;
        }
        Ok(())
    }

    /// The model by the kind of data: a process with several sensors, or a single series. One setting for all files.
    fn model_for(&self, profile: Benchmark) -> &str {
        match (&self.model, profile) {
            (Some(model), _) => model,
            (None, Benchmark::Nab) => "stream",
            // Wear, in features of snapshots: deviations from a forecast of the earlier snapshots.
            (None, Benchmark::Ims) => "forecast",
            (None, _) => "process",
        }
    }
}

impl StagePair {
    fn push(&mut self, batch: &ReadingBatch) -> Result<Detected, CallError> {
        let first = self.featurizer.push(batch)?;
        self.detect(first)
    }

    /// Runs detect on a result of featurize and on everything that featurize returns after it.
    fn detect(&mut self, mut part: Featurized) -> Result<Detected, CallError> {
        let mut detected = self.detector.push(&part.features)?;
        while part.has_more {
            part = self.featurizer.resume()?;
            append_detections(&mut detected, self.detector.push(&part.features)?);
        }
        Ok(detected)
    }

    fn flush(&mut self) -> Result<Detected, CallError> {
        let first = self.featurizer.flush()?;
        let mut detected = self.detect(first)?;
        let mut rest = self.detector.flush()?;
        loop {
            let more = rest.has_more;
            append_detections(&mut detected, rest);
            if !more {
                return Ok(detected);
            }
            rest = self.detector.resume()?;
        }
    }

    /// Runs a recording's rows; each row is its own window.
    fn rows(&mut self, recording: &Recording, times: &[i64]) -> Result<Detected, CallError> {
        let mut all = no_detections();
        for (rows, times) in recording.rows.chunks(ROWS_PER_CALL).zip(times.chunks(ROWS_PER_CALL)) {
            append_detections(&mut all, self.push(&batch(recording, rows, times))?);
        }
        append_detections(&mut all, self.flush()?);
        Ok(all)
    }
}

/// Windows of one second: rows are at least one second apart.
fn windows() -> serde_json::Value {
    json!({ "size_seconds": 1, "slide_seconds": 1, "lateness_seconds": 0 })
}

impl Pipeline for ComponentPipeline {
    fn score_rows(
        &mut self,
        profile: Benchmark,
        fit: usize,
        recording: &Recording,
    ) -> Result<Vec<WindowVerdict>, Error> {
        let detect = json!({
            "model": self.model_for(profile),
            "warmup_windows": fit.max(5),
            "spread_windows": 0,
            "learn": 1,
            "threshold": THRESHOLD,
        });
        let mut pair = self.open(&recording.asset, &windows(), &detect)?;
        let times = strictly_increasing(&recording.times);
        let detected = pair.rows(recording, &times).map_err(line_error(&recording.asset))?;
        let mut verdicts = verdicts(&detected);
        if profile == Benchmark::Ims {
            // Users see alerts.
            self.set_alarms_from_alerts(&recording.asset, &detected, &mut verdicts)?;
        }
        let unscored = |end| WindowVerdict { end, score: 0.0, alarm: false, fault_mode: None };
        Ok(times
            .iter()
            .skip(fit)
            .map(|&time| verdicts.remove(&time).unwrap_or_else(|| unscored(time + SECOND_NS)))
            .collect())
    }

    fn score_waveforms(
        &mut self,
        _: Benchmark,
        recordings: &[(WaveformRecording, bool)],
        seconds: f64,
    ) -> Result<Vec<Vec<WindowVerdict>>, Error> {
        let Some((first, _)) = recordings.first() else { return Ok(Vec::new()) };
        let samples = |waveform: &WaveformRecording| samples_per_segment(waveform, seconds);
        let training_waveforms: usize =
            recordings.iter().filter(|(_, learn)| *learn).map(|(each, _)| each.samples.len() / samples(each)).sum();
        let (sensor, speed) = (first.sensor.clone(), format!("{}-shaft/speed", first.asset));
        let mut featurize = windows();
        featurize["sensors"] = json!({ &sensor: { "unit": "g", "bearing": BEARING, "speed_sensor": &speed } });
        // Three windows of readings carry as much information as one waveform.
        let detect = json!({
            "warmup_windows": 3 * training_waveforms.max(2),
            "spread_windows": 0,
            "learn": 1,
            "threshold": THRESHOLD,
            "sensors": { &sensor: { "unit": "g", "kind": "vibration" } },
        });
        let mut pair = self.open(&first.asset, &featurize, &detect)?;
        let table = table(&[(&sensor, &first.asset), (&speed, "shaft")]);
        let mut now = first.start.div_euclid(SECOND_NS) * SECOND_NS;
        let mut verdicts = Vec::with_capacity(recordings.len());
        for (waveform, _) in recordings {
            let mut recording_verdicts = Vec::new();
            for window in waveform.samples.chunks_exact(samples(waveform)) {
                let batch = ReadingBatch {
                    sensors: table.clone(),
                    readings: ReadingColumns { sensor: vec![1], time: vec![now], value: vec![waveform.rpm] },
                    waveforms: vec![Waveform { sensor: 0, start: now, rate: waveform.rate, samples: window.to_vec() }],
                    arrivals: Vec::new(),
                };
                let mut detected = pair.push(&batch).map_err(line_error(&waveform.asset))?;
                append_detections(&mut detected, pair.detector.flush().map_err(line_error(&waveform.asset))?);
                let end = now + seconds_ns(seconds);
                let unscored = WindowVerdict { end, score: 0.0, alarm: false, fault_mode: None };
                recording_verdicts.push(verdicts_of(&detected, &first.asset).remove(&now).unwrap_or(unscored));
                now += seconds_ns(seconds.ceil() + 1.0);
            }
            verdicts.push(recording_verdicts);
        }
        Ok(verdicts)
    }

    fn estimate_remaining_life(
        &mut self,
        histories: &[Recording],
        running: &[Recording],
    ) -> Result<Vec<RemainingLife>, Error> {
        let Some(first) = histories.first() else { return Ok(Vec::new()) };
        let runs: Vec<&Vec<Vec<f64>>> = histories.iter().map(|history| &history.rows).collect();
        let detect = json!({
            "spread_windows": 0,
            "learn": 1,
            "run_to_failure": { "sensors": &first.sensors, "runs": runs, "horizon_windows": 125 },
        });
        let mut pair = self.open(&first.asset, &windows(), &detect)?;
        let mut estimates = Vec::with_capacity(running.len());
        for (number, unit) in running.iter().enumerate() {
            // Units are independent, though a name may occur twice.
            let unit = Recording { asset: format!("unit-{number}"), ..unit.clone() };
            let times: Vec<i64> = (0..).map(|row| row * SECOND_NS).take(unit.rows.len()).collect();
            let detected = pair.rows(&unit, &times).map_err(line_error(&unit.asset))?;
            let last = detected
                .prognoses
                .iter()
                .rfind(|prognosis| prognosis.asset == unit.asset && prognosis.model == "library");
            // A window represents a cycle, and is one second long.
            let cycles = |hours: Option<f64>| hours.map_or(f64::INFINITY, |hours| hours * 3600.0);
            let life = last.map(|prognosis| RemainingLife {
                end: prognosis.time,
                q10: cycles(prognosis.p10),
                q50: cycles(prognosis.p50),
                q90: cycles(prognosis.p90),
            });
            estimates.push(life.ok_or_else(|| Error::Pipeline {
                recording: unit.asset.clone(),
                reason: "detect returned no prognosis of remaining life from the library".to_owned(),
            })?);
        }
        Ok(estimates)
    }
}

fn line_error(recording: &str) -> impl Fn(CallError) -> Error + Copy + '_ {
    move |error| Error::Pipeline { recording: recording.to_owned(), reason: error.to_string() }
}

#[allow(clippy::cast_possible_truncation, reason = "a length of time")]
fn seconds_ns(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of samples")]
fn samples_per_segment(waveform: &WaveformRecording, seconds: f64) -> usize {
    ((waveform.rate * seconds).round() as usize).max(1)
}

/// Rounds to whole seconds that increase strictly, as the clocks of some benchmarks repeat.
fn strictly_increasing(times: &[i64]) -> Vec<i64> {
    let mut last = i64::MIN;
    let next = times.iter().map(|time| {
        last = (time.div_euclid(SECOND_NS) * SECOND_NS).max(last.saturating_add(SECOND_NS));
        last
    });
    next.collect()
}

fn table(sensors: &[(&str, &str)]) -> SensorTable {
    let mut table =
        SensorTable { names: name_dictionary::empty(), assets: name_dictionary::empty(), asset: Vec::new() };
    let mut known = BTreeMap::new();
    for (name, asset) in sensors {
        name_dictionary::push_name(&mut table.names, name);
        let index = *known.entry(*asset).or_insert_with(|| name_dictionary::push_name(&mut table.assets, asset));
        table.asset.push(index);
    }
    table
}

fn batch(recording: &Recording, rows: &[Vec<f64>], times: &[i64]) -> ReadingBatch {
    let names: Vec<String> = recording.sensors.iter().map(|sensor| format!("{}/{sensor}", recording.asset)).collect();
    let sensors: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), recording.asset.as_str())).collect();
    let mut columns = ReadingColumns { sensor: Vec::new(), time: Vec::new(), value: Vec::new() };
    for (row, &time) in rows.iter().zip(times) {
        for (sensor, &value) in (0..).zip(row) {
            if value.is_finite() {
                columns.sensor.push(sensor);
                columns.time.push(time);
                columns.value.push(value);
            }
        }
    }
    ReadingBatch { sensors: table(&sensors), readings: columns, waveforms: Vec::new(), arrivals: Vec::new() }
}

fn no_detections() -> Detected {
    Detected {
        scores: crate::components::wit::types::ScoreBatch {
            assets: name_dictionary::empty(),
            asset: Vec::new(),
            start: Vec::new(),
            end: Vec::new(),
            score: Vec::new(),
        },
        anomalies: Vec::new(),
        drifts: Vec::new(),
        prognoses: Vec::new(),
        has_more: false,
    }
}

/// Appends `more` to `all`; assets of both keep their names.
fn append_detections(all: &mut Detected, more: Detected) {
    let mut indices: HashMap<String, u32> = HashMap::new();
    for (index, name) in (0..).zip(name_dictionary::names(&all.scores.assets)) {
        indices.insert(name.to_owned(), index);
    }
    let names: Vec<String> = name_dictionary::names(&more.scores.assets).map(str::to_owned).collect();
    for asset in &more.scores.asset {
        let Some(name) = names.get(*asset as usize) else { continue };
        let index = match indices.get(name) {
            Some(index) => *index,
            None => {
                let index = name_dictionary::push_name(&mut all.scores.assets, name);
                indices.insert(name.clone(), index);
                index
            }
        };
        all.scores.asset.push(index);
    }
    all.scores.start.extend(more.scores.start);
    all.scores.end.extend(more.scores.end);
    all.scores.score.extend(more.scores.score);
    all.anomalies.extend(more.anomalies);
    all.drifts.extend(more.drifts);
    all.prognoses.extend(more.prognoses);
}

/// Verdicts by the start of their windows.
fn verdicts(detected: &Detected) -> HashMap<i64, WindowVerdict> {
    let modes: HashMap<i64, &Option<String>> =
        detected.anomalies.iter().map(|anomaly| (anomaly.start, &anomaly.fault_mode)).collect();
    let scores = &detected.scores;
    let windows = scores.start.iter().zip(&scores.end).zip(&scores.score);
    windows
        .map(|((&start, &end), &score)| {
            let fault_mode = modes.get(&start).and_then(|mode| (*mode).clone());
            (start, WindowVerdict { end, score, alarm: score >= THRESHOLD, fault_mode })
        })
        .collect()
}

/// The verdicts of one asset.
fn verdicts_of(detected: &Detected, asset: &str) -> HashMap<i64, WindowVerdict> {
    let names: Vec<&str> = name_dictionary::names(&detected.scores.assets).collect();
    let own: Vec<i64> = detected
        .scores
        .asset
        .iter()
        .zip(&detected.scores.start)
        .filter(|(index, _)| names.get(**index as usize) == Some(&asset))
        .map(|(_, start)| *start)
        .collect();
    let mut all = verdicts(detected);
    all.retain(|start, _| own.contains(start));
    all
}
