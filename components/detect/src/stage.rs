//! The stage's state and its calls.

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
/// Windows that one call of tick, flush or resume scores, about: its work, and what goes from a component to its host at once,
/// are bounded.
const MOST_SCORES: usize = 16_384;
/// Anomalies, which have words and a course, likewise.
const MOST_ANOMALIES: usize = 2_048;
/// The feature that only bursts have: each sensor of such a list is scored for itself.
pub(crate) const BURST: &str = "peak";

/// Rows that share one list of features, as in the contracts. `sensor` indexes the table given beside it.
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

/// The score of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The asset's id.
    pub asset: String,
    /// Included.
    pub start: i64,
    /// Excluded.
    pub end: i64,
    /// 0 to 1.
    pub score: f64,
}

/// What is normal for an asset has moved, or what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Derived from asset, time and kind.
    pub id: String,
    /// The asset's id.
    pub asset: String,
    /// End of the window that showed it, in ns since 1970.
    pub time: i64,
    /// What became of it.
    pub kind: DriftKind,
    /// Sensors whose levels moved; none where only the scores did.
    pub sensors: Vec<String>,
    /// The smallest p-value, adjusted for their number.
    pub p: f64,
    /// In words.
    pub message: String,
}

/// What a call gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detected {
    /// Every window that was scored.
    pub scores: Vec<Score>,
    /// Those past the threshold.
    pub anomalies: Vec<Anomaly>,
    /// Where what is normal has moved.
    pub drifts: Vec<Drift>,
    /// Remaining lives, where there is something to tell.
    pub prognoses: Vec<Prognosis>,
    /// More is due; [`Stage::resume`] gives it.
    pub more: bool,
}

impl Detected {
    fn is_full(&self) -> bool {
        self.scores.len() >= MOST_SCORES
            || self.anomalies.len() + self.drifts.len() >= MOST_ANOMALIES
            || self.prognoses.len() >= MOST_SCORES
    }
}

/// Why a batch cannot be taken; the state is as before.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// Columns of unequal length.
    #[error("a block's columns are of unequal length: {rows} rows of {features} features, but {values} values")]
    Lengths {
        /// Rows by the shortest and longest column.
        rows: String,
        /// Features a row.
        features: usize,
        /// Values in all.
        values: usize,
    },
    /// A sensor that is not in the table.
    #[error("sensor {0} is not in the batch's table of {1}")]
    Sensor(u32, usize),
}

/// Why a snapshot cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a snapshot of this stage and version.
    #[error("expected a snapshot of detect, version {SNAPSHOT_VERSION}; {0}")]
    Snapshot(String),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// Feature lists met, and their scored columns.
    pub(crate) lists: Vec<(Vec<String>, Vec<Column>)>,
    pub(crate) units: Vec<Unit>,
}

/// Learns and scores.
#[derive(Debug)]
pub struct Stage {
    pub(crate) config: Config,
    pub(crate) runs: Option<Runs>,
    pub(crate) state: State,
    /// Units by asset, feature list and (for bursts) sensor.
    pub(crate) numbers: HashMap<Key, usize, foldhash::fast::FixedState>,
    /// Units whose windows the last tick or flush left, as one answer did not hold them; the last of them first.
    rest: Vec<usize>,
}

pub(crate) type Key = (Box<str>, u32, Box<str>);

impl Stage {
    /// With a configuration as JSON; an empty text means the defaults.
    ///
    /// # Errors
    /// [`ConfigError`].
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

    /// Goes on where the snapshot was taken.
    ///
    /// # Errors
    /// [`RestoreError`].
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

    /// The state as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut keys: Vec<Box<str>> = vec!["".into(); self.state.units.len()];
        for ((_, _, single), at) in &self.numbers {
            if let Some(key) = keys.get_mut(*at) {
                key.clone_from(single);
            }
        }
        // Strings and numbers always serialise.
        let body = postcard::to_stdvec(&(&self.state, &keys)).unwrap_or_default();
        [&[SNAPSHOT_VERSION], body.as_slice()].concat()
    }

    /// Takes rows in; windows that are complete are scored. The table is (name, asset).
    ///
    /// # Errors
    /// [`PushError`].
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
        let burst = block.features.iter().any(|feature| feature == BURST);
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
                // A sensor beyond those that an asset is scored by.
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

    /// Scores windows that wait for sensors, of assets that sent nothing since the tick before.
    pub fn tick(&mut self) -> Detected {
        self.release(Unit::is_due)
    }

    /// Scores every window that waits.
    pub fn flush(&mut self) -> Detected {
        self.release(|unit| unit.waits())
    }

    /// By asset and sensor, which is the same however the assets are spread over instances.
    fn release(&mut self, mut which: impl FnMut(&mut Unit) -> bool) -> Detected {
        let mut due: Vec<(&Key, usize)> = Vec::new();
        for (key, &number) in &self.numbers {
            if self.state.units.get_mut(number).is_some_and(&mut which) {
                due.push((key, number));
            }
        }
        // The last comes first in turn.
        due.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        self.rest = due.into_iter().map(|(_, number)| number).collect();
        self.resume()
    }

    /// Gives what the last tick or flush left when it said that there was more.
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
            if out.is_full() || windows >= MOST_SCORES {
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
        let edge = explain::ratio_of(config.threshold);
        let outcome = match subject {
            Subject::Scalars(scalars) => scalars.take(&window, &context, edge),
            Subject::Burst(burst) => match burst.take(&window, &context, edge) {
                Some((ratio, finding)) => Outcome { ratio: Some(ratio), finding, ..Outcome::default() },
                None => Outcome::default(),
            },
        };
        out.prognoses.extend(outcome.prognosis);
        out.drifts.extend(outcome.drifts.iter().map(|drift| told(drift, &window, &context)));
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

fn told(drift: &Drifts, window: &Window, context: &Context<'_>) -> Drift {
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
