//! Scores windows as the stage would score them next, without learning from them: the state does not change.
//!
//! A user sends what is available: one sensor of the machine, and a few values of it. So the other sensors of the
//! machine are estimated from that one instead of counting as missing. Of a window with less than half of the usual
//! values only the levels are used, because the spread of three values is meaningless.

use std::collections::BTreeMap;

use wheeltapper_detectors::{AnyDetector, Detector as _};

use crate::{
    columns::Column,
    condition::{ConditionModel, LearningPlan},
    config::Config,
    explain::{self, Anomaly, AssetContext, DryRunScore},
    scalars::ScalarModel,
    scoring_unit::{ScoringUnit, UnitModel},
    stage::{FeatureBlock, PushError, Stage, UnitKey, WAVEFORM_FEATURE, validate_block},
    waveform::{self, WaveformModel},
    window::{FeatureRow, Window},
};

/// Most windows in a call.
const MAX_WINDOWS: usize = 1_000;
/// Model name that stands for the asset's own detector, whichever that is.
const OWN_MODEL: &str = "ensemble";

/// Result for a window.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRunResult {
    /// Id of the asset.
    pub asset: String,
    /// The scored sensor; of several the one that stands out most.
    pub sensor: String,
    /// Start of the window in ns since 1970, inclusive.
    pub start: i64,
    /// End of the window in ns since 1970, exclusive.
    pub end: i64,
    /// Score as in the pipeline, 0 to 1; 0 during the warm-up.
    pub score: f64,
    /// Score from which the pipeline reports an anomaly.
    pub threshold: f64,
    /// Confidence that the window is on the correct side of the threshold, 0 to 1.
    pub confidence: f64,
    /// Name of the detector; empty during the warm-up.
    pub model: String,
    /// Number of windows learnt of the scored sensors.
    pub learned: u32,
    /// Number of windows that must be learnt before windows are scored.
    pub needed: u32,
    /// Anomaly with the explanation of the score, also below the threshold; None during the warm-up.
    pub anomaly: Option<Anomaly>,
}

/// Reason why windows cannot be scored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DryRunError {
    /// The batch is malformed, as in [`Stage::push`].
    #[error(transparent)]
    Batch(#[from] PushError),
    /// Too many windows for one call.
    #[error("got {0} windows, expected {MAX_WINDOWS} at most: send a shorter period")]
    TooManyWindows(usize),
    /// The sensor has no detector of this name.
    #[error("no detector {requested:?} for {sensor}; expected one of {available}")]
    UnknownModel {
        /// The requested name.
        requested: String,
        /// Id of the sensor.
        sensor: String,
        /// Names of the available detectors.
        available: String,
    },
}

/// Rows with the names of their sensors, by window.
type WindowRows = BTreeMap<(i64, i64), Vec<(String, FeatureRow)>>;

impl Stage {
    /// Scores windows as if they came next; see the module documentation. `model` is the name of a detector that the
    /// asset's own is composed of, or `ensemble`.
    ///
    /// # Errors
    /// [`DryRunError`] if the batch is malformed or too large, or there is no such detector.
    pub fn dry_run(
        &self,
        table: &[(&str, &str)],
        blocks: &[FeatureBlock<'_>],
        model: Option<&str>,
    ) -> Result<Vec<DryRunResult>, DryRunError> {
        for block in blocks {
            validate_block(table, block)?;
        }
        let windows = blocks.iter().map(|block| block.sensor.len()).sum();
        if windows > MAX_WINDOWS {
            return Err(DryRunError::TooManyWindows(windows));
        }
        let mut all = Vec::new();
        for block in blocks {
            let is_waveform = block.features.iter().any(|feature| feature == WAVEFORM_FEATURE);
            for ((asset, single), rows_by_window) in group_rows(table, block, is_waveform) {
                let sensor = rows_by_window.values().flatten().next().map_or(asset, |(name, _)| name.as_str());
                let model = select_member(&self.config, is_waveform, sensor, model)?;
                all.extend(self.dry_run_unit(asset, block.features, single, rows_by_window, model));
            }
        }
        Ok(all)
    }

    fn dry_run_unit(
        &self,
        asset: &str,
        features: &[String],
        single: Option<&str>,
        rows_by_window: WindowRows,
        model: Option<&str>,
    ) -> Vec<DryRunResult> {
        let list = self.state.feature_lists.iter().position(|(known, _)| known == features);
        let sensor = rows_by_window.values().flatten().next().map(|(name, _)| name.as_str());
        let unit = list.and_then(|list| self.unit(asset, u32::try_from(list).ok()?, single, sensor));
        let Some((unit, columns)) = unit else {
            let (warmup, delay) = (self.config.warmup(), self.config.training_delay(asset));
            let needed = if single.is_some() { WaveformModel::warmup_length(warmup, delay) } else { warmup + delay };
            return rows_by_window
                .into_iter()
                .map(|(span, rows)| self.untrained_result(asset, span, &rows, (0, needed)))
                .collect();
        };
        let context = AssetContext {
            asset,
            members: &unit.members,
            features,
            columns,
            config: &self.config,
            library: self.library.as_ref(),
        };
        let mut scorer = match &unit.model {
            UnitModel::Scalars(scalars) => DryRunModel::Scalars(scalars, scalars.cloned_detector()),
            UnitModel::Waveform(waveform) => DryRunModel::Waveform(waveform),
            UnitModel::Condition(condition) => DryRunModel::Condition(condition),
        };
        let mut results = Vec::with_capacity(rows_by_window.len());
        for ((start, end), rows) in rows_by_window {
            let learning =
                scorer.training_progress(unit, &rows, &LearningPlan::new(&self.config, (end - start).max(1)));
            let (learned, needed) = learning;
            let mut window = Window { start, end, rows: vec![None; unit.members.len()] };
            let names: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
            for (name, row) in &rows {
                if let Some(slot) = member_index(unit, name).and_then(|at| window.rows.get_mut(at)) {
                    *slot = Some(row.clone());
                }
            }
            let score = if learned < needed { None } else { scorer.dry_run(&window, &context, model) };
            results.push(match score {
                None => self.untrained_result(asset, (start, end), &rows, learning),
                Some(score) => into_result(&context, &window, score, &names, learning),
            });
        }
        results
    }

    fn unit(
        &self,
        asset: &str,
        list: u32,
        single: Option<&str>,
        sensor: Option<&str>,
    ) -> Option<(&ScoringUnit, &[Column])> {
        // An asset has a unit for each length of windows; the windows of a dry run are of any length.
        let single = single.unwrap_or("");
        let candidates =
            self.unit_indices.iter().filter(|(key, _)| *key.0 == *asset && key.1 == list && *key.2 == *single);
        let of = |(key, number): (&UnitKey, &usize)| Some((key.3, self.state.units.get(*number)?));
        let has = |unit: &ScoringUnit| sensor.is_some_and(|sensor| member_index(unit, sensor).is_some());
        let (_, unit) = candidates.filter_map(of).min_by_key(|(length, unit)| (!has(unit), *length))?;
        let (_, columns) = self.state.feature_lists.get(list as usize)?;
        Some((unit, columns))
    }

    fn untrained_result(
        &self,
        asset: &str,
        (start, end): (i64, i64),
        rows: &[(String, FeatureRow)],
        (learned, needed): (usize, usize),
    ) -> DryRunResult {
        DryRunResult {
            asset: asset.to_owned(),
            sensor: rows.first().map_or_else(String::new, |(name, _)| name.clone()),
            start,
            end,
            score: 0.0,
            threshold: self.config.threshold,
            confidence: 0.0,
            model: String::new(),
            learned: to_u32(learned),
            needed: to_u32(needed),
            anomaly: None,
        }
    }
}

/// The model of a unit, with a copy of the state that changes from window to window.
enum DryRunModel<'a> {
    Scalars(&'a ScalarModel, Option<AnyDetector>),
    Waveform(&'a WaveformModel),
    Condition(&'a ConditionModel),
}

impl DryRunModel<'_> {
    /// Number of windows learnt and needed, of the sensor with the fewest learnt.
    fn training_progress(
        &self,
        unit: &ScoringUnit,
        rows: &[(String, FeatureRow)],
        plan: &LearningPlan,
    ) -> (usize, usize) {
        let of = |name: &str| match self {
            Self::Condition(condition) => condition.training_progress(plan),
            Self::Scalars(scalars, _) => scalars.training_progress(member_index(unit, name)),
            Self::Waveform(waveform) => waveform.training_progress(),
        };
        rows.iter().map(|(name, _)| of(name)).min().unwrap_or((0, 1))
    }

    fn dry_run(&mut self, window: &Window, context: &AssetContext<'_>, model: Option<&str>) -> Option<DryRunScore> {
        match self {
            Self::Scalars(scalars, detector) => scalars.dry_run(detector.as_mut()?, window, context, model),
            Self::Waveform(waveform) => waveform.dry_run(window, context, model),
            Self::Condition(condition) => condition.dry_run(window, context),
        }
    }
}

fn into_result(
    context: &AssetContext<'_>,
    window: &Window,
    score: DryRunScore,
    names: &[String],
    (learned, needed): (usize, usize),
) -> DryRunResult {
    let DryRunScore { ratio, finding, confidence_factor } = score;
    let mut anomaly = context.anomaly(window, ratio, finding);
    anomaly.confidence *= confidence_factor;
    // If nothing stands out, the result names the requested sensor.
    if !names.contains(&anomaly.sensor) {
        anomaly.sensor = names.first().cloned().unwrap_or_default();
    }
    if anomaly.message.is_empty() {
        anomaly.message = "nothing stands out".to_owned();
    }
    DryRunResult {
        asset: anomaly.asset.clone(),
        sensor: anomaly.sensor.clone(),
        start: window.start,
        end: window.end,
        score: explain::score_of_ratio(ratio),
        threshold: anomaly.threshold,
        confidence: anomaly.confidence,
        model: anomaly.model.to_owned(),
        learned: to_u32(learned),
        needed: to_u32(needed),
        anomaly: Some(anomaly),
    }
}

/// Groups the rows of a block by unit (asset, and for waveforms the sensor) and window.
fn group_rows<'a>(
    table: &[(&'a str, &'a str)],
    block: &FeatureBlock<'_>,
    is_waveform: bool,
) -> BTreeMap<(&'a str, Option<&'a str>), WindowRows> {
    let mut units: BTreeMap<_, WindowRows> = BTreeMap::new();
    let columns = block.sensor.iter().zip(block.start).zip(block.end).zip(block.count);
    for ((((&sensor, &start), &end), &count), values) in columns.zip(block.values.chunks(block.features.len().max(1))) {
        let Some(&(name, asset)) = table.get(sensor as usize) else { continue };
        let row = FeatureRow { count, values: values.to_vec() };
        let windows = units.entry((asset, is_waveform.then_some(name))).or_default();
        windows.entry((start, end)).or_default().push((name.to_owned(), row));
    }
    units
}

/// Selects the member that scores the windows; None for the whole detector.
fn select_member<'a>(
    config: &Config,
    is_waveform: bool,
    sensor: &str,
    requested: Option<&'a str>,
) -> Result<Option<&'a str>, DryRunError> {
    let own = if is_waveform { OWN_MODEL } else { config.model.name() };
    let members = if is_waveform { &waveform::MEMBERS } else { AnyDetector::new(config.model).members() };
    match requested {
        None | Some(OWN_MODEL) => Ok(None),
        Some(requested) if requested == own => Ok(None),
        Some(requested) if members.contains(&requested) => Ok(Some(requested)),
        Some(requested) => Err(DryRunError::UnknownModel {
            requested: requested.to_owned(),
            sensor: sensor.to_owned(),
            available: std::iter::once(&own).chain(members).copied().collect::<Vec<_>>().join(", "),
        }),
    }
}

fn member_index(unit: &ScoringUnit, sensor: &str) -> Option<usize> {
    unit.members.iter().position(|member| *member.name == *sensor)
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
