//! What the stage would say of windows that are none of the line's: it learns nothing from them, and nothing of it changes.
//!
//! A person sends what a person has: one sensor of the machine, and a few values of it. So the machine's other sensors count as
//! going with that one, not as missing; and of a window with less than half of the usual values only the levels count, as the
//! spread of three values says nothing.

use std::collections::BTreeMap;

use wheeltapper_detectors::{Any, Detector as _};

use crate::{
    burst::{self, Burst},
    columns::Column,
    config::Config,
    explain::{self, Anomaly, Context, Finding},
    scalars::Scalars,
    stage::{BURST, Block, PushError, Stage, check},
    unit::{Row, Subject, Unit, Window},
};

/// Windows in a call, at most.
const MOST: usize = 1_000;
/// Stands for the detector that judges the machine anyway, whatever that is.
const OWN: &str = "ensemble";

/// What a window of a probe came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// The asset's id.
    pub asset: String,
    /// The sensor that was probed; of several the one that stands out most.
    pub sensor: String,
    /// Included.
    pub start: i64,
    /// Excluded.
    pub end: i64,
    /// As of a window of the line, 0 to 1; 0 while it is learnt.
    pub score: f64,
    /// The score from which the line would call it an anomaly.
    pub threshold: f64,
    /// How sure it is on which side of the threshold the window lies, 0 to 1.
    pub confidence: f64,
    /// Which detector judged; empty while it is learnt.
    pub model: String,
    /// Windows learnt of what was probed.
    pub learned: u32,
    /// Windows that have to be learnt first.
    pub needed: u32,
    /// What it would be told as, also below the threshold, for its reason; none while it is learnt.
    pub anomaly: Option<Anomaly>,
}

/// Why nothing can be probed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProbeError {
    /// As of [`Stage::push`].
    #[error(transparent)]
    Batch(#[from] PushError),
    /// More than one call takes.
    #[error("{0} windows at once; expected {MOST} at most, so send a shorter stretch")]
    Many(usize),
    /// No such detector judges what was probed.
    #[error("no detector {asked:?} judges {sensor}; there are {there}")]
    Model {
        /// Which was asked for.
        asked: String,
        /// Of what.
        sensor: String,
        /// Those that do.
        there: String,
    },
}

/// What a detector made of a window.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) ratio: f64,
    pub(crate) finding: Finding,
    /// By what the confidence is lowered, as there were few values.
    pub(crate) sure: f64,
}

/// Rows of a window by the sensors' names.
type Given = BTreeMap<(i64, i64), Vec<(String, Row)>>;

impl Stage {
    /// Judges windows as they would be if they came next; see the module. `model`: a detector's name, of those that the
    /// asset's own is made of, or `ensemble`.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub fn probe(
        &self,
        table: &[(&str, &str)],
        blocks: &[Block<'_>],
        model: Option<&str>,
    ) -> Result<Vec<Probed>, ProbeError> {
        for block in blocks {
            check(table, block)?;
        }
        let windows = blocks.iter().map(|block| block.sensor.len()).sum();
        if windows > MOST {
            return Err(ProbeError::Many(windows));
        }
        let mut all = Vec::new();
        for block in blocks {
            let burst = block.features.iter().any(|feature| feature == BURST);
            for ((asset, single), given) in gather(table, block, burst) {
                let sensor = given.values().flatten().next().map_or(asset, |(name, _)| name.as_str());
                let model = chosen(&self.config, burst, sensor, model)?;
                all.extend(self.probe_unit(asset, block.features, single, given, model));
            }
        }
        Ok(all)
    }

    fn probe_unit(
        &self,
        asset: &str,
        features: &[String],
        single: Option<&str>,
        given: Given,
        model: Option<&str>,
    ) -> Vec<Probed> {
        let list = self.state.lists.iter().position(|(known, _)| known == features);
        let unit = list.and_then(|list| self.unit(asset, u32::try_from(list).ok()?, single));
        let Some((unit, columns)) = unit else {
            let (warmup, later) = (self.config.warmup_windows as usize, self.config.later(asset));
            let needed = if single.is_some() { Burst::lessons(warmup, later) } else { warmup + later };
            return given.into_iter().map(|(span, rows)| self.unlearned(asset, span, &rows, (0, needed))).collect();
        };
        let context = Context {
            asset,
            members: &unit.members,
            features,
            columns,
            config: &self.config,
            runs: self.runs.as_ref(),
        };
        let mut judge = match &unit.subject {
            Subject::Scalars(scalars) => Judge::Scalars(scalars, scalars.detector()),
            Subject::Burst(burst) => Judge::Burst(burst),
        };
        let mut probed = Vec::with_capacity(given.len());
        for ((start, end), rows) in given {
            let learning = judge.learning(unit, &rows);
            let (learned, needed) = learning;
            let mut window = Window { start, end, rows: vec![None; unit.members.len()] };
            let names: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
            for (name, row) in &rows {
                if let Some(place) = place(unit, name).and_then(|at| window.rows.get_mut(at)) {
                    *place = Some(row.clone());
                }
            }
            let judged = if learned < needed { None } else { judge.judge(&window, &context, model) };
            probed.push(match judged {
                None => self.unlearned(asset, (start, end), &rows, learning),
                Some(judged) => told(&context, &window, judged, &names, learning),
            });
        }
        probed
    }

    fn unit(&self, asset: &str, list: u32, single: Option<&str>) -> Option<(&Unit, &[Column])> {
        let key = (Box::from(asset), list, Box::from(single.unwrap_or("")));
        let unit = self.state.units.get(*self.numbers.get(&key)?)?;
        let (_, columns) = self.state.lists.get(list as usize)?;
        Some((unit, columns))
    }

    fn unlearned(
        &self,
        asset: &str,
        (start, end): (i64, i64),
        rows: &[(String, Row)],
        (learned, needed): (usize, usize),
    ) -> Probed {
        Probed {
            asset: asset.to_owned(),
            sensor: rows.first().map_or_else(String::new, |(name, _)| name.clone()),
            start,
            end,
            score: 0.0,
            threshold: self.config.threshold,
            confidence: 0.0,
            model: String::new(),
            learned: count(learned),
            needed: count(needed),
            anomaly: None,
        }
    }
}

/// Who judges a unit's windows, with what changes on the way set aside.
enum Judge<'a> {
    Scalars(&'a Scalars, Option<Any>),
    Burst(&'a Burst),
}

impl Judge<'_> {
    /// Windows learnt and needed, of the sensor of which the least is known.
    fn learning(&self, unit: &Unit, rows: &[(String, Row)]) -> (usize, usize) {
        let of = |name: &str| match self {
            Self::Scalars(scalars, _) => scalars.learning(place(unit, name)),
            Self::Burst(burst) => burst.learning(),
        };
        rows.iter().map(|(name, _)| of(name)).min().unwrap_or((0, 1))
    }

    fn judge(&mut self, window: &Window, context: &Context<'_>, model: Option<&str>) -> Option<Judged> {
        match self {
            Self::Scalars(scalars, detector) => scalars.judge(detector.as_mut()?, window, context, model),
            Self::Burst(burst) => burst.judge(window, context, model),
        }
    }
}

fn told(
    context: &Context<'_>,
    window: &Window,
    judged: Judged,
    names: &[String],
    (learned, needed): (usize, usize),
) -> Probed {
    let Judged { ratio, finding, sure } = judged;
    let mut anomaly = context.anomaly(window, ratio, finding);
    anomaly.confidence *= sure;
    // Where nothing stands out the one that was asked about is named.
    if !names.contains(&anomaly.sensor) {
        anomaly.sensor = names.first().cloned().unwrap_or_default();
    }
    if anomaly.message.is_empty() {
        anomaly.message = "nothing stands out".to_owned();
    }
    Probed {
        asset: anomaly.asset.clone(),
        sensor: anomaly.sensor.clone(),
        start: window.start,
        end: window.end,
        score: explain::score(ratio),
        threshold: anomaly.threshold,
        confidence: anomaly.confidence,
        model: anomaly.model.to_owned(),
        learned: count(learned),
        needed: count(needed),
        anomaly: Some(anomaly),
    }
}

/// The rows of a block by unit (asset, and of bursts the sensor) and window.
fn gather<'a>(
    table: &[(&'a str, &'a str)],
    block: &Block<'_>,
    burst: bool,
) -> BTreeMap<(&'a str, Option<&'a str>), Given> {
    let mut units: BTreeMap<_, Given> = BTreeMap::new();
    let columns = block.sensor.iter().zip(block.start).zip(block.end).zip(block.count);
    for ((((&sensor, &start), &end), &count), values) in columns.zip(block.values.chunks(block.features.len().max(1))) {
        let Some(&(name, asset)) = table.get(sensor as usize) else { continue };
        let row = Row { count, values: values.to_vec() };
        let windows = units.entry((asset, burst.then_some(name))).or_default();
        windows.entry((start, end)).or_default().push((name.to_owned(), row));
    }
    units
}

/// The member to ask, none for the detector itself.
fn chosen<'a>(
    config: &Config,
    burst: bool,
    sensor: &str,
    asked: Option<&'a str>,
) -> Result<Option<&'a str>, ProbeError> {
    let own = if burst { OWN } else { config.model.name() };
    let members = if burst { &burst::MEMBERS } else { Any::new(config.model).members() };
    match asked {
        None | Some(OWN) => Ok(None),
        Some(asked) if asked == own => Ok(None),
        Some(asked) if members.contains(&asked) => Ok(Some(asked)),
        Some(asked) => Err(ProbeError::Model {
            asked: asked.to_owned(),
            sensor: sensor.to_owned(),
            there: std::iter::once(&own).chain(members).copied().collect::<Vec<_>>().join(", "),
        }),
    }
}

fn place(unit: &Unit, sensor: &str) -> Option<usize> {
    unit.members.iter().position(|member| *member.name == *sensor)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whether a column tells a level, which a single value does too.
pub(crate) fn is_level(features: &[String], column: Column) -> bool {
    features.get(column.at as usize).is_some_and(|name| name == "mean" || name == "q50")
}
