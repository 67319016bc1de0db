//! The stage: its state and its calls.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use wheeltapper_detectors::DetectorKind;

use crate::{
    columns::{self, Column},
    condition::{ConditionModel, ConditionOutcome},
    config::{Config, ConfigError},
    drift::{DriftEvent, DriftKind},
    explain::{self, Anomaly, AssetContext},
    life::Prognosis,
    run_library::RunLibrary,
    scalars::{ScalarModel, WindowOutcome},
    scoring_unit::{ScoringUnit, UnitModel},
    waveform::WaveformModel,
    window::{FeatureRow, Window},
};

/// First byte of a snapshot. Version 2 had no lengths of windows and no operating states.
const SNAPSHOT_VERSION: u8 = 3;
/// Approximate number of windows that one call of tick, flush or resume scores. Bounds the work per call and the size
/// of the result that a component returns to its host.
const MAX_SCORES: usize = 16_384;
/// Same limit for anomalies, which are larger because of their messages and trends.
const MAX_ANOMALIES: usize = 2_048;
/// A feature that only waveforms have. Each sensor of a feature list with it is scored alone.
pub(crate) const WAVEFORM_FEATURE: &str = "peak";

/// Rows with the same list of features, as in the WIT contracts. `sensor` is an index into the sensor table of the
/// call.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "as the contracts' feature-block")]
pub struct FeatureBlock<'a> {
    pub features: &'a [String],
    pub sensor: &'a [u32],
    pub start: &'a [i64],
    pub end: &'a [i64],
    pub count: &'a [u32],
    pub values: &'a [f64],
}

/// Score of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Id of the asset.
    pub asset: String,
    /// Start of the window in ns since 1970, inclusive.
    pub start: i64,
    /// End of the window in ns since 1970, exclusive.
    pub end: i64,
    /// Score, 0 to 1.
    pub score: f64,
}

/// A change of an asset's baseline, or the result of retraining after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Id, derived from asset, time and kind.
    pub id: String,
    /// Id of the asset.
    pub asset: String,
    /// End of the window in which it was detected, in ns since 1970.
    pub time: i64,
    /// Type of the event.
    pub kind: DriftKind,
    /// Sensors whose levels changed; empty if only the scores did.
    pub sensors: Vec<String>,
    /// Smallest p-value, adjusted for the number of sensors.
    pub p_value: f64,
    /// Human-readable message.
    pub message: String,
}

/// Results of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detected {
    /// Scores of all scored windows.
    pub scores: Vec<Score>,
    /// Anomalies: windows with a score from the threshold on.
    pub anomalies: Vec<Anomaly>,
    /// Drift events.
    pub drifts: Vec<Drift>,
    /// Estimates of the remaining life, if there are any.
    pub prognoses: Vec<Prognosis>,
    /// True if more results are pending; [`Stage::resume`] returns them.
    pub has_more: bool,
}

impl Detected {
    fn is_full(&self) -> bool {
        self.scores.len() >= MAX_SCORES
            || self.anomalies.len() + self.drifts.len() >= MAX_ANOMALIES
            || self.prognoses.len() >= MAX_SCORES
    }
}

/// Reason why a batch is rejected; the state is unchanged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// Columns of unequal length.
    #[error("a block's columns are of unequal length: {rows} rows of {features} features, but {values} values")]
    Lengths {
        /// Lengths of the columns.
        rows: String,
        /// Features per row.
        features: usize,
        /// Total number of values.
        values: usize,
    },
    /// A sensor index outside the sensor table: index, length of the table.
    #[error("sensor {0} is not in the batch's table of {1}")]
    UnknownSensor(u32, usize),
}

/// Reason why a snapshot cannot be restored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a snapshot of this stage and version.
    #[error("expected a snapshot of detect, version 2 or {SNAPSHOT_VERSION}; {0}")]
    Snapshot(String),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// Known feature lists with their scored columns.
    pub(crate) feature_lists: Vec<(Vec<String>, Vec<Column>)>,
    pub(crate) units: Vec<ScoringUnit>,
    /// True if the state before belonged to an earlier version: assets tell that they start anew.
    is_restarted: bool,
}

/// The detect stage: learns what is normal and scores windows.
#[derive(Debug)]
pub struct Stage {
    pub(crate) config: Config,
    pub(crate) library: Option<RunLibrary>,
    pub(crate) state: State,
    /// Indices of the units by asset, feature list, sensor (of waveforms) and length of the windows (of readings).
    pub(crate) unit_indices: HashMap<UnitKey, usize, foldhash::fast::FixedState>,
    /// Units with windows that did not fit into the result of the last tick or flush, in reverse order.
    pending_units: Vec<usize>,
}

pub(crate) type UnitKey = (Box<str>, u32, Box<str>, i64);

impl Stage {
    /// Opens a stage with a JSON configuration; an empty text means the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is invalid.
    pub fn open(config: &str) -> Result<Self, ConfigError> {
        let config = Config::parse(config)?;
        Ok(Self {
            library: config.fit_library()?,
            config,
            state: State::default(),
            unit_indices: HashMap::default(),
            pending_units: Vec::new(),
        })
    }

    /// Restores a stage from a snapshot; it continues as if it had not been interrupted.
    ///
    /// # Errors
    /// [`RestoreError`] if the configuration or the snapshot is invalid.
    pub fn restore(config: &str, snapshot: &[u8]) -> Result<Self, RestoreError> {
        let unreadable = |error| RestoreError::Snapshot(format!("its body cannot be read: {error}"));
        let (state, keys): (State, Vec<(Box<str>, i64)>) = match snapshot {
            [SNAPSHOT_VERSION, body @ ..] => postcard::from_bytes(body).map_err(unreadable)?,
            // The states of version 2 say nothing about operating states: every asset starts anew, and says so.
            [2, ..] => (State { is_restarted: true, ..State::default() }, Vec::new()),
            [version, ..] => return Err(RestoreError::Snapshot(format!("got version {version}"))),
            [] => return Err(RestoreError::Snapshot("got no bytes".into())),
        };
        let mut stage = Self { state, ..Self::open(config)? };
        let named = stage.state.units.iter().zip(keys).enumerate();
        stage.unit_indices = named
            .map(|(at, (unit, (single, length)))| ((unit.asset.clone(), unit.feature_list, single, length), at))
            .collect();
        stage.replace_other_models();
        Ok(stage)
    }

    /// Assets that another model learnt start anew with the configured one, and say so with their next window.
    fn replace_other_models(&mut self) {
        let by_states = self.config.model == DetectorKind::Similarity;
        let (warmup, config) = (self.config.warmup(), &self.config);
        for unit in &mut self.state.units {
            unit.model = match &unit.model {
                UnitModel::Scalars(_) if by_states => UnitModel::Condition(Box::new(ConditionModel::restarted())),
                UnitModel::Condition(_) if !by_states => {
                    UnitModel::Scalars(Box::new(ScalarModel::new(warmup, config.training_delay(&unit.asset))))
                }
                _ => continue,
            };
        }
    }

    /// Serialises the state.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut keys: Vec<(Box<str>, i64)> = vec![("".into(), 0); self.state.units.len()];
        for ((_, _, single, length), at) in &self.unit_indices {
            if let Some(key) = keys.get_mut(*at) {
                *key = (single.clone(), *length);
            }
        }
        // The serialisation of strings and numbers cannot fail.
        let body = postcard::to_stdvec(&(&self.state, &keys)).unwrap_or_default();
        [&[SNAPSHOT_VERSION], body.as_slice()].concat()
    }

    /// Adds rows and scores the windows that are now complete. The table has pairs of sensor name and asset.
    ///
    /// # Errors
    /// [`PushError`] if a block is malformed.
    pub fn push(&mut self, table: &[(&str, &str)], blocks: &[FeatureBlock<'_>]) -> Result<Detected, PushError> {
        for block in blocks {
            validate_block(table, block)?;
        }
        let mut out = Detected::default();
        for block in blocks {
            self.push_block(table, block, &mut out);
        }
        Ok(out)
    }

    fn push_block(&mut self, table: &[(&str, &str)], block: &FeatureBlock<'_>, out: &mut Detected) {
        let list = self.feature_list_index(block.features);
        let is_waveform = block.features.iter().any(|feature| feature == WAVEFORM_FEATURE);
        let width = block.features.len();
        // The unit of each sensor, with the length of its windows.
        let mut numbers: Vec<Option<(i64, usize)>> = vec![None; table.len()];
        let mut complete = Vec::new();
        let rows =
            block.sensor.iter().zip(block.start).zip(block.end).zip(block.count).zip(block.values.chunks(width.max(1)));
        for ((((&sensor, &start), &end), &count), values) in rows {
            let Some(&(name, asset)) = table.get(sensor as usize) else { continue };
            let length = if is_waveform { 0 } else { end.saturating_sub(start) };
            let number = match numbers.get(sensor as usize).copied().flatten() {
                Some((known, number)) if known == length => number,
                _ => {
                    let number = self.unit_index(name, asset, list, is_waveform, length);
                    if let Some(slot) = numbers.get_mut(sensor as usize) {
                        *slot = Some((length, number));
                    }
                    number
                }
            };
            if let Some(unit) = self.state.units.get_mut(number) {
                // The unit already has its maximum number of sensors.
                if !unit.accepts(name) {
                    continue;
                }
                unit.add_row(name, start, end, FeatureRow { count, values: values.to_vec() }, &mut complete);
            }
            for window in complete.drain(..) {
                self.score(number, window, out);
            }
        }
    }

    /// Scores pending windows of assets that sent nothing since the previous tick.
    pub fn tick(&mut self) -> Detected {
        self.release(ScoringUnit::is_due)
    }

    /// Scores all pending windows.
    pub fn flush(&mut self) -> Detected {
        self.release(|unit| unit.has_pending())
    }

    /// Releases windows in the order of asset and sensor, which does not depend on how assets are spread over
    /// instances.
    fn release(&mut self, mut is_selected: impl FnMut(&mut ScoringUnit) -> bool) -> Detected {
        let mut due: Vec<(&UnitKey, usize)> = Vec::new();
        for (key, &number) in &self.unit_indices {
            if self.state.units.get_mut(number).is_some_and(&mut is_selected) {
                due.push((key, number));
            }
        }
        // Reverse order, because `resume` pops from the end.
        due.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        self.pending_units = due.into_iter().map(|(_, number)| number).collect();
        self.resume()
    }

    /// Returns the results that the last tick or flush left when it set `has_more`.
    pub fn resume(&mut self) -> Detected {
        let mut out = Detected::default();
        let mut complete = Vec::new();
        let mut windows = 0;
        while let Some(number) = self.pending_units.pop() {
            if let Some(unit) = self.state.units.get_mut(number) {
                unit.flush(&mut complete);
            }
            windows += complete.len();
            for window in complete.drain(..) {
                self.score(number, window, &mut out);
            }
            if out.is_full() || windows >= MAX_SCORES {
                break;
            }
        }
        out.has_more = !self.pending_units.is_empty();
        out
    }

    fn score(&mut self, number: usize, window: Window, out: &mut Detected) {
        let Some(unit) = self.state.units.get_mut(number) else { return };
        let Some((features, columns)) = self.state.feature_lists.get(unit.feature_list as usize) else { return };
        let ScoringUnit { asset, members, model, .. } = unit;
        let (config, library) = (&self.config, self.library.as_ref());
        let context = AssetContext { asset, members, features, columns, config, library };
        let limit = explain::ratio_of_score(config.threshold);
        let outcome = match model {
            UnitModel::Scalars(scalars) => scalars.score(&window, &context, limit),
            UnitModel::Waveform(waveform) => match waveform.score(&window, &context, limit) {
                Some((ratio, finding)) => {
                    WindowOutcome { ratio: Some(ratio), explanation: finding, ..WindowOutcome::default() }
                }
                None => WindowOutcome::default(),
            },
            UnitModel::Condition(condition) => {
                let ConditionOutcome { ratio, explanation, sensor_faults, drifts, prognosis } =
                    condition.score(&window, &context, limit);
                WindowOutcome { ratio, explanation, sensor_faults, drifts, prognosis }
            }
        };
        out.prognoses.extend(outcome.prognosis);
        out.drifts.extend(outcome.drifts.iter().map(|drift| drift_event(drift, &window, &context)));
        let Some(ratio) = outcome.ratio else { return };
        let score = explain::score_of_ratio(ratio);
        out.scores.push(Score { asset: asset.to_string(), start: window.start, end: window.end, score });
        out.anomalies.extend(outcome.explanation.map(|finding| context.anomaly(&window, ratio, finding)));
        // Whether a sensor is faulty has no degree.
        let faults = outcome.sensor_faults.into_iter().map(|fault| context.anomaly(&window, 2.0 * limit, fault));
        out.anomalies.extend(faults);
    }

    /// Forgets what was learnt about an asset, as after a repair or by the decision of a person. Windows that wait for
    /// a sensor are discarded, because they began before. Does nothing for an unknown asset.
    pub fn reset_baseline(&mut self, asset: &str) {
        let (warmup, delay) = (self.config.warmup(), self.config.training_delay(asset));
        for unit in self.state.units.iter_mut().filter(|unit| *unit.asset == *asset) {
            unit.discard_pending();
            match &mut unit.model {
                UnitModel::Condition(condition) => condition.reset_baseline(),
                UnitModel::Waveform(waveform) => **waveform = WaveformModel::new(warmup, delay),
                UnitModel::Scalars(scalars) => **scalars = ScalarModel::new(warmup, delay),
            }
        }
    }

    fn feature_list_index(&mut self, features: &[String]) -> u32 {
        let known = self.state.feature_lists.iter().position(|(list, _)| list == features);
        let at = known.unwrap_or_else(|| {
            self.state.feature_lists.push((features.to_vec(), columns::scored_columns(features)));
            self.state.feature_lists.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn unit_index(&mut self, sensor: &str, asset: &str, list: u32, is_waveform: bool, length: i64) -> usize {
        let single = if is_waveform { sensor } else { "" };
        let key: UnitKey = (asset.into(), list, single.into(), length);
        if let Some(&number) = self.unit_indices.get(&key) {
            return number;
        }
        let (warmup, delay) = (self.config.warmup(), self.config.training_delay(asset));
        let model = if is_waveform {
            UnitModel::Waveform(Box::new(WaveformModel::new(warmup, delay)))
        } else if self.config.model == DetectorKind::Similarity {
            let model = if self.state.is_restarted { ConditionModel::restarted() } else { ConditionModel::default() };
            UnitModel::Condition(Box::new(model))
        } else {
            UnitModel::Scalars(Box::new(ScalarModel::new(warmup, delay)))
        };
        self.state.units.push(ScoringUnit::new(asset, list, model));
        let number = self.state.units.len() - 1;
        self.unit_indices.insert(key, number);
        number
    }
}

fn drift_event(drift: &DriftEvent, window: &Window, context: &AssetContext<'_>) -> Drift {
    let of = |index: &usize| context.members.get(*index).map(|member| member.name.to_string());
    let sensors: Vec<String> = drift.sensors.iter().filter_map(of).collect();
    let names = sensors.iter().map(|sensor| context.short_name(sensor)).collect::<Vec<_>>().join(", ");
    let what = match (sensors.is_empty(), drift.text) {
        (false, _) => names,
        (true, Some(_)) => "the asset".to_owned(),
        (true, None) => "the scores".to_owned(),
    };
    let (kind, message) = match drift.kind {
        _ if drift.text.is_some() => (drift.kind.name(), format!("{what}: {}", drift.text.unwrap_or_default())),
        DriftKind::Drifted => (
            drift.kind.name(),
            format!("{what} drifted without an alarm (p = {:.1e}); retraining has started", drift.p_value),
        ),
        DriftKind::Kept => (
            drift.kind.name(),
            format!("retraining after the drift of {what} gave no improvement; the baseline is kept"),
        ),
        DriftKind::Switched => (
            drift.kind.name(),
            format!("the detector retrained after the drift of {what} fits better and is now in use"),
        ),
    };
    let hash = blake3::hash(format!("{}|{}|{kind}|drift", context.asset, window.end).as_bytes());
    Drift {
        id: hex::encode(hash.as_bytes().get(..16).unwrap_or_default()),
        asset: context.asset.to_owned(),
        time: window.end,
        kind: drift.kind,
        sensors,
        p_value: drift.p_value,
        message,
    }
}

pub(crate) fn validate_block(table: &[(&str, &str)], block: &FeatureBlock<'_>) -> Result<(), PushError> {
    let lengths = [block.sensor.len(), block.start.len(), block.end.len(), block.count.len()];
    let rows = block.sensor.len();
    if lengths.iter().any(|&length| length != rows) || block.values.len() != rows * block.features.len() {
        return Err(PushError::Lengths {
            rows: format!("{lengths:?}"),
            features: block.features.len(),
            values: block.values.len(),
        });
    }
    match block.sensor.iter().find(|&&sensor| sensor as usize >= table.len()) {
        Some(&sensor) => Err(PushError::UnknownSensor(sensor, table.len())),
        None => Ok(()),
    }
}
