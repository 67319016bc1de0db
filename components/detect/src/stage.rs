//! The stage: its state and its calls.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    burst::Burst,
    columns::{self, Column},
    config::{Config, ConfigError},
    drift::{DriftKind, Drifts},
    explain::{self, Anomaly, Context},
    life::{Prognosis, Runs},
    scalars::{Outcome, Scalars},
    unit::{Row, Subject, Unit, Window},
};

/// First byte of a snapshot.
const SNAPSHOT_VERSION: u8 = 2;
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
pub struct Block<'a> {
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
    pub p: f64,
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
    pub more: bool,
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
    Sensor(u32, usize),
}

/// Reason why a snapshot cannot be restored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a snapshot of this stage and version.
    #[error("expected a snapshot of detect, version {SNAPSHOT_VERSION}; {0}")]
    Snapshot(String),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// Known feature lists with their scored columns.
    pub(crate) lists: Vec<(Vec<String>, Vec<Column>)>,
    pub(crate) units: Vec<Unit>,
}

/// The detect stage: learns what is normal and scores windows.
#[derive(Debug)]
pub struct Stage {
    pub(crate) config: Config,
    pub(crate) runs: Option<Runs>,
    pub(crate) state: State,
    /// Indices of the units by asset, feature list and (for waveforms) sensor.
    pub(crate) numbers: HashMap<Key, usize, foldhash::fast::FixedState>,
    /// Units with windows that did not fit into the result of the last tick or flush, in reverse order.
    rest: Vec<usize>,
}

pub(crate) type Key = (Box<str>, u32, Box<str>);

impl Stage {
    /// Opens a stage with a JSON configuration; an empty text means the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is invalid.
    pub fn open(config: &str) -> Result<Self, ConfigError> {
        let config = Config::parse(config)?;
        Ok(Self {
            runs: config.runs()?,
            config,
            state: State::default(),
            numbers: HashMap::default(),
            rest: Vec::new(),
        })
    }

    /// Restores a stage from a snapshot; it continues as if it had not been interrupted.
    ///
    /// # Errors
    /// [`RestoreError`] if the configuration or the snapshot is invalid.
    pub fn restore(config: &str, snapshot: &[u8]) -> Result<Self, RestoreError> {
        let (state, keys): (State, Vec<Box<str>>) = match snapshot {
            [SNAPSHOT_VERSION, body @ ..] => postcard::from_bytes(body)
                .map_err(|error| RestoreError::Snapshot(format!("its body cannot be read: {error}")))?,
            [version, ..] => return Err(RestoreError::Snapshot(format!("got version {version}"))),
            [] => return Err(RestoreError::Snapshot("got no bytes".into())),
        };
        let named = state.units.iter().zip(keys).enumerate();
        let numbers = named.map(|(at, (unit, single))| ((unit.asset.clone(), unit.list, single), at)).collect();
        Ok(Self { state, numbers, ..Self::open(config)? })
    }

    /// Serialises the state.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut keys: Vec<Box<str>> = vec!["".into(); self.state.units.len()];
        for ((_, _, single), at) in &self.numbers {
            if let Some(key) = keys.get_mut(*at) {
                key.clone_from(single);
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
    pub fn push(&mut self, table: &[(&str, &str)], blocks: &[Block<'_>]) -> Result<Detected, PushError> {
        for block in blocks {
            check(table, block)?;
        }
        let mut out = Detected::default();
        for block in blocks {
            self.push_block(table, block, &mut out);
        }
        Ok(out)
    }

    fn push_block(&mut self, table: &[(&str, &str)], block: &Block<'_>, out: &mut Detected) {
        let list = self.list(block.features);
        let burst = block.features.iter().any(|feature| feature == WAVEFORM_FEATURE);
        let width = block.features.len();
        let mut numbers: Vec<Option<usize>> = vec![None; table.len()];
        let mut complete = Vec::new();
        let rows =
            block.sensor.iter().zip(block.start).zip(block.end).zip(block.count).zip(block.values.chunks(width.max(1)));
        for ((((&sensor, &start), &end), &count), values) in rows {
            let Some(&(name, asset)) = table.get(sensor as usize) else { continue };
            let number = match numbers.get(sensor as usize).copied().flatten() {
                Some(number) => number,
                None => {
                    let number = self.number(name, asset, list, burst);
                    if let Some(slot) = numbers.get_mut(sensor as usize) {
                        *slot = Some(number);
                    }
                    number
                }
            };
            if let Some(unit) = self.state.units.get_mut(number) {
                // The unit already has its maximum number of sensors.
                if !unit.admits(name) {
                    continue;
                }
                unit.take(name, start, end, Row { count, values: values.to_vec() }, &mut complete);
            }
            for window in complete.drain(..) {
                self.score(number, window, out);
            }
        }
    }

    /// Scores pending windows of assets that sent nothing since the previous tick.
    pub fn tick(&mut self) -> Detected {
        self.release(Unit::is_due)
    }

    /// Scores all pending windows.
    pub fn flush(&mut self) -> Detected {
        self.release(|unit| unit.waits())
    }

    /// Releases windows in the order of asset and sensor, which does not depend on how assets are spread over
    /// instances.
    fn release(&mut self, mut which: impl FnMut(&mut Unit) -> bool) -> Detected {
        let mut due: Vec<(&Key, usize)> = Vec::new();
        for (key, &number) in &self.numbers {
            if self.state.units.get_mut(number).is_some_and(&mut which) {
                due.push((key, number));
            }
        }
        // Reverse order, because `resume` pops from the end.
        due.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        self.rest = due.into_iter().map(|(_, number)| number).collect();
        self.resume()
    }

    /// Returns the results that the last tick or flush left when it set `more`.
    pub fn resume(&mut self) -> Detected {
        let mut out = Detected::default();
        let mut complete = Vec::new();
        let mut windows = 0;
        while let Some(number) = self.rest.pop() {
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
        out.more = !self.rest.is_empty();
        out
    }

    fn score(&mut self, number: usize, window: Window, out: &mut Detected) {
        let Some(unit) = self.state.units.get_mut(number) else { return };
        let Some((features, columns)) = self.state.lists.get(unit.list as usize) else { return };
        let Unit { asset, members, subject, .. } = unit;
        let (config, runs) = (&self.config, self.runs.as_ref());
        let context = Context { asset, members, features, columns, config, runs };
        let limit = explain::ratio_of(config.threshold);
        let outcome = match subject {
            Subject::Scalars(scalars) => scalars.take(&window, &context, limit),
            Subject::Burst(burst) => match burst.take(&window, &context, limit) {
                Some((ratio, finding)) => Outcome { ratio: Some(ratio), finding, ..Outcome::default() },
                None => Outcome::default(),
            },
        };
        out.prognoses.extend(outcome.prognosis);
        out.drifts.extend(outcome.drifts.iter().map(|drift| drift_event(drift, &window, &context)));
        let Some(ratio) = outcome.ratio else { return };
        let score = explain::score(ratio);
        out.scores.push(Score { asset: asset.to_string(), start: window.start, end: window.end, score });
        out.anomalies.extend(outcome.finding.map(|finding| context.anomaly(&window, ratio, finding)));
    }

    fn list(&mut self, features: &[String]) -> u32 {
        let known = self.state.lists.iter().position(|(list, _)| list == features);
        let at = known.unwrap_or_else(|| {
            self.state.lists.push((features.to_vec(), columns::of(features)));
            self.state.lists.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn number(&mut self, sensor: &str, asset: &str, list: u32, burst: bool) -> usize {
        let single = if burst { sensor } else { "" };
        let key = (Box::from(asset), list, Box::from(single));
        if let Some(&number) = self.numbers.get(&key) {
            return number;
        }
        let (warmup, later) = (self.config.warmup_windows as usize, self.config.later(asset));
        let subject = if burst {
            Subject::Burst(Box::new(Burst::new(warmup, later)))
        } else {
            Subject::Scalars(Box::new(Scalars::new(warmup, later)))
        };
        self.state.units.push(Unit::new(asset, list, subject));
        let number = self.state.units.len() - 1;
        self.numbers.insert(key, number);
        number
    }
}

fn drift_event(drift: &Drifts, window: &Window, context: &Context<'_>) -> Drift {
    let of = |place: &usize| context.members.get(*place).map(|member| member.name.to_string());
    let sensors: Vec<String> = drift.sensors.iter().filter_map(of).collect();
    let names = sensors.iter().map(|sensor| context.short(sensor)).collect::<Vec<_>>().join(", ");
    let what = if sensors.is_empty() { "the scores".to_owned() } else { names };
    let (word, message) = match drift.kind {
        DriftKind::Drifted => (
            "drifted",
            format!("{what} moved without an alarm (p = {:.1e}); a shadow learns what is normal now", drift.p),
        ),
        DriftKind::Kept => {
            ("kept", format!("the shadow that learned after {what} moved is no better; nothing changes"))
        }
        DriftKind::Switched => (
            "switched",
            format!("the shadow that learned after {what} moved fits the last windows better and takes over"),
        ),
    };
    let hash = blake3::hash(format!("{}|{}|{word}|drift", context.asset, window.end).as_bytes());
    Drift {
        id: hex::encode(hash.as_bytes().get(..16).unwrap_or_default()),
        asset: context.asset.to_owned(),
        time: window.end,
        kind: drift.kind,
        sensors,
        p: drift.p,
        message,
    }
}

pub(crate) fn check(table: &[(&str, &str)], block: &Block<'_>) -> Result<(), PushError> {
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
        Some(&sensor) => Err(PushError::Sensor(sensor, table.len())),
        None => Ok(()),
    }
}
