//! The judgement of an asset's windows; see the module documentation of [`super`].

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wheeltapper_detectors::similarity::{Estimate, Memory, Metric, Role};

use super::{
    deviation::{BadSide, Deviation, gains},
    finding,
    health::{Deviations, Health, Others, SensorFault},
    plan::LearningPlan,
    track::{FeatureIndices, LEVEL, NUMBERS, Reading, SPREAD, Track},
};
use crate::{
    drift::{DriftEvent, DriftKind},
    explain::{AssetContext, Explanation, Trend},
    life::{LifeEstimator, Prognosis},
    physical::{self, Place, SteadyZone},
    sensor_kind::SensorKind,
    severity::PhysicalZone,
    window::Window,
};

/// Most states in the memory of an asset; fewer with many sensors, so that a memory holds [`MAX_NUMBERS`] at most.
const MAX_STATES: usize = 48;
const MIN_STATES: usize = 8;
const MAX_NUMBERS: usize = 16_384;
/// A driver that is further from every state learnt, in scales, is a new state.
const NEW_STATE: f64 = 4.0;
/// States whose drivers are within so many scales are neighbours. A response this many limits away from its values there
/// is not learnt as that of a new state.
const NEIGHBOURS: f64 = 8.0;
const CONTRADICTION: f64 = 3.0;
/// A driver that changes more from one window to the next, in scales, is in transition.
const TRANSITION: f64 = 4.0;
/// Below this share of its highest level a driver of motion is 0.
const STANDSTILL_SHARE: f64 = 0.04;
/// Vibration that many times above or below all that was learnt, from one window to the next, is a start or a stop.
const START_FACTOR: f64 = 6.0;
/// A sensor with this share of its usual readings sends.
const USUAL_SHARE: f64 = 0.8;
/// Changes and new states are told once a day at most, in ns.
const TOLD_INTERVAL: i64 = 86_400_000_000_000;
/// A machine that deviated is learnt in a new state only after so many times the time of a first state.
const PATIENCE: f64 = 10.0;
/// A new state is told after so many windows.
const TOLD_WINDOWS: f64 = 10.0;
/// Windows with a ratio below this are normal, and are learnt.
const NORMAL_RATIO: f64 = 0.7;
/// A state must be seen in so many independent windows before a renewal learns it.
const MIN_WEIGHT: f64 = 2.0;
/// Windows in the trend.
const TREND_LENGTH: usize = 60;
/// Vibration around 0, by the standard deviation over the level, has no level.
const ZERO_MEAN: f64 = 3.0;

/// The floor of a temperature is larger by this factor if no sensor measures the ambient temperature, which it follows.
const UNMEASURED_AMBIENT: f64 = 2.0;

/// Texts of the events.
const CHANGE_SEEN: &str = "lower than all that was learnt, as after a repair; learnt as normal when it lasts. \
                           If the machine was repaired, reset its baseline, so that the old state is forgotten";
const CHANGE_LEARNT: &str = "the lower level is now learnt as normal, beside the old one";
const NEW_STATE_SEEN: &str =
    "an operating state that was not seen before; it is learnt before anything is judged in it";
const RESTARTED: &str = "learning starts anew: what was learnt before belongs to another model or version";
const RESET: &str = "learning starts anew, because the baseline was reset";

/// The state of an asset; see the module documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConditionModel {
    tracks: Vec<Track>,
    deviations: Vec<Deviation>,
    healths: Vec<Health>,
    /// The fault that each sensor has.
    faults: Vec<Option<SensorFault>>,
    /// The zone that each sensor stays in.
    zones: Vec<SteadyZone>,
    /// Independent windows in which each number was learnt.
    seen: Vec<f64>,
    /// The frozen reference.
    reference: Memory,
    /// Normal windows since the last renewal, which the next one takes over.
    following: Memory,
    /// Changes for the better, and starts, that have not lasted long enough yet.
    changed: Memory,
    changed_windows: f64,
    is_change_told: bool,
    /// Whether the change in progress was told, so that its end is told too.
    tells_change: bool,
    /// End of the window at which a change was last told.
    told_at: i64,
    /// Windows in a row in a state that was not seen before.
    new_state_windows: f64,
    /// Windows in a row in states that are not known well enough to be judged.
    unknown_windows: f64,
    /// Whether the last judged window deviated.
    deviates: bool,
    /// Time for which the machine was watched running, in seconds and in independent windows.
    running_seconds: f64,
    running_windows: f64,
    next_renewal: f64,
    /// End of the last window, and its length in ns.
    last_end: i64,
    window_length: i64,
    /// Windows that begin before this contain a transition.
    settles_at: i64,
    last_drivers: Vec<f64>,
    /// Windows received, and windows with a verdict.
    windows: u32,
    judged: u32,
    trend_points: VecDeque<(i64, Vec<f64>)>,
    /// Whether the next window tells that learning starts anew, and whether a person asked for it.
    tells_start: Option<bool>,
    pub(crate) life: LifeEstimator,
    /// Derived from the configuration, not part of the snapshot.
    #[serde(skip)]
    kinds: Vec<SensorKind>,
    #[serde(skip)]
    indices: Option<FeatureIndices>,
}

/// The verdict on a window.
#[derive(Debug, Default)]
pub(crate) struct ConditionOutcome {
    /// Ratio to the limit of what is normal; None while nothing is judged.
    pub(crate) ratio: Option<f64>,
    pub(crate) explanation: Option<Explanation>,
    /// Faults of sensors, apart from those of the machine.
    pub(crate) sensor_faults: Vec<Explanation>,
    pub(crate) drifts: Vec<DriftEvent>,
    pub(crate) prognosis: Option<Prognosis>,
}

/// One number of a window that is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    /// Index of the number: sensor times [`NUMBERS`] plus number.
    pub(crate) index: usize,
    /// Ratio to the limit, with the sign of the deviation.
    pub(crate) ratio: f64,
    /// How many limits the number is out in both of the last two windows, with its sign.
    pub(crate) magnitude: f64,
    pub(crate) expected: f64,
    pub(crate) actual: f64,
    /// True if the number is within its limit in this window, or out on the good side.
    is_within: bool,
}

/// A window in numbers, [`NUMBERS`] per sensor.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) values: Vec<f64>,
    /// One per sensor; None if it is missing.
    pub(super) readings: Vec<Option<Reading>>,
    pub(super) roles: Vec<Role>,
    pub(super) scales: Vec<f64>,
}

impl Judged {
    /// A number that is judged by a single window.
    pub(super) fn of_single_window(index: usize, ratio: f64, expected: f64, actual: f64) -> Self {
        Self { index, ratio, magnitude: ratio, expected, actual, is_within: ratio.abs() < 1.0 }
    }
}

impl Default for ConditionModel {
    fn default() -> Self {
        Self {
            tracks: Vec::new(),
            deviations: Vec::new(),
            healths: Vec::new(),
            faults: Vec::new(),
            zones: Vec::new(),
            seen: Vec::new(),
            reference: Memory::new(MAX_STATES),
            following: Memory::new(MAX_STATES / 2),
            changed: Memory::new(MAX_STATES / 4),
            changed_windows: 0.0,
            is_change_told: false,
            tells_change: false,
            told_at: i64::MIN,
            new_state_windows: 0.0,
            unknown_windows: 0.0,
            deviates: false,
            running_seconds: 0.0,
            running_windows: 0.0,
            next_renewal: 0.0,
            last_end: i64::MIN,
            window_length: 0,
            settles_at: i64::MIN,
            last_drivers: Vec::new(),
            windows: 0,
            judged: 0,
            trend_points: VecDeque::new(),
            tells_start: None,
            life: LifeEstimator::default(),
            kinds: Vec::new(),
            indices: None,
        }
    }
}

impl ConditionModel {
    /// Consumes the next window. `limit` is the ratio from which it is an anomaly.
    #[allow(clippy::cast_precision_loss, reason = "lengths of time")]
    pub(crate) fn score(&mut self, window: &Window, context: &AssetContext<'_>, limit: f64) -> ConditionOutcome {
        let length = (window.end - window.start).max(1);
        let new = if self.last_end == i64::MIN { length } else { (window.end - self.last_end).clamp(0, length) };
        self.last_end = self.last_end.max(window.end);
        self.window_length = length;
        self.windows = self.windows.saturating_add(1);
        let plan = LearningPlan::new(context.config, length);
        let share = new as f64 / length as f64;
        let numbers = self.numbers(window, context);
        let levels: Vec<f64> = numbers.values.iter().step_by(NUMBERS).copied().collect();
        self.push_trend(window, &numbers);
        let mut outcome = ConditionOutcome {
            prognosis: self.life.push_during_warmup(window, &mean_levels(window, context), context),
            ..ConditionOutcome::default()
        };
        if let Some(asked) = self.tells_start.take() {
            let text = Some(if asked { RESET } else { RESTARTED });
            outcome.drifts.push(DriftEvent { kind: DriftKind::Drifted, sensors: Vec::new(), p_value: 1.0, text });
        }
        if levels.iter().all(|level| !level.is_finite()) || share <= 0.0 {
            return outcome;
        }
        let places = self.places(window, context, &numbers);
        let worst_zone = places.iter().map(|place| place.zone).max().unwrap_or_default();
        if worst_zone >= PhysicalZone::Restricted {
            outcome.ratio = Some(limit);
            let mut explanation =
                finding::explain_place(context, self.indices(), window, &places, self.learnt_windows());
            explanation.trend = self.trend(&explanation, context);
            outcome.explanation = Some(explanation);
        }
        let changes = self.is_in_transition(window, &levels, &numbers);
        if changes || self.is_standing(&numbers) {
            self.healths.iter_mut().for_each(Health::pause);
            return outcome;
        }
        let seconds = new as f64 / 1e9;
        (self.running_seconds, self.running_windows) =
            (self.running_seconds + seconds, self.running_windows + plan.weight(share));
        self.find_faulty_sensors(&numbers, (share, seconds));
        let healthy = self.without_faulty(&numbers);
        let metric = Metric { columns: NUMBERS, roles: &numbers.roles, scales: &numbers.scales };
        let estimate = self.reference.estimate(&metric, &healthy.values);
        let may_tell = self.told_at == i64::MIN || window.end.saturating_sub(self.told_at) >= TOLD_INTERVAL;
        let is_new_state = estimate.as_ref().is_some_and(|estimate| estimate.driver_gap > NEW_STATE);
        let known =
            estimate.filter(|estimate| estimate.evidence >= plan.windows_needed() && estimate.driver_gap <= NEW_STATE);
        let Some(estimate) = known else {
            // What is beyond an alarm limit is not learnt as normal, nor is a new state in which a fault goes on.
            self.unknown_windows += plan.weight(share);
            let goes_on = (self.deviates || self.contradicts(&healthy, &plan))
                && self.unknown_windows < PATIENCE * plan.windows_needed();
            if worst_zone < PhysicalZone::Alarm && !goes_on {
                self.learn(&healthy, share, &plan);
            }
            let event = self.note_new_state(is_new_state, &healthy, share).filter(|_| may_tell);
            self.told_at = if event.is_some() { window.end } else { self.told_at };
            outcome.drifts.extend(event);
            return outcome;
        };
        (self.new_state_windows, self.unknown_windows) = (0.0, 0.0);
        let mut judged = self.judge(&numbers, &estimate, share, &plan, window.end);
        self.see_deviations(&judged, share);
        let healthy = self.without_faulty(&numbers);
        judged.retain(|judged| self.faults.get(judged.index / NUMBERS).is_none_or(Option::is_none));
        outcome.sensor_faults = self.explain_faults(context, window);
        let worst = judged.iter().map(|judged| judged.ratio.abs()).fold(0.0, f64::max);
        let is_normal = worst < NORMAL_RATIO && judged.iter().all(|judged| judged.is_within);
        if is_normal {
            self.follow(&healthy, share, &plan);
            self.renew_if_due(&numbers, &plan);
        } else if worst < 1.0
            && let Some(event) = self.note_change(&healthy, &judged, share, &plan)
        {
            // That a change is told belongs to that it is learnt.
            if may_tell || event.kind == DriftKind::Switched && self.tells_change {
                self.tells_change = event.kind == DriftKind::Drifted;
                self.told_at = window.end;
                outcome.drifts.push(event);
            }
        }
        self.judged = self.judged.saturating_add(1);
        self.deviates = worst >= NORMAL_RATIO;
        outcome.ratio = Some(worst.max(outcome.ratio.unwrap_or(0.0)));
        if worst >= limit {
            let mut explanation =
                finding::explain(context, self.indices(), &self.kinds, &judged, window, self.learnt_windows(), &places);
            explanation.trend = self.trend(&explanation, context);
            outcome.explanation = Some(explanation);
        }
        outcome
    }

    /// Looks for sensors that are faulty themselves, while the machine runs.
    fn find_faulty_sensors(&mut self, numbers: &Numbers, new: (f64, f64)) {
        self.healths.resize_with(self.tracks.len(), Health::default);
        let sends: Vec<bool> = numbers
            .readings
            .iter()
            .zip(&self.tracks)
            .map(|(reading, track)| {
                reading.is_some_and(|reading| f64::from(reading.count) >= USUAL_SHARE * track.usual_count())
            })
            .collect();
        let moves: Vec<bool> =
            numbers.readings.iter().map(|reading| reading.is_some_and(|reading| !reading.is_constant())).collect();
        let other = |flags: &[bool], own: usize| flags.iter().enumerate().any(|(at, flag)| at != own && *flag);
        self.faults = self
            .healths
            .iter_mut()
            .zip(self.tracks.iter().zip(&self.kinds))
            .zip(&numbers.readings)
            .enumerate()
            .map(|(at, ((health, (track, kind)), reading))| {
                let others = Others { send: other(&sends, at), moves: other(&moves, at) };
                health.push(reading.as_ref(), track, *kind, new, others)
            })
            .collect();
    }

    /// The window without its faulty sensors.
    fn without_faulty(&self, numbers: &Numbers) -> Numbers {
        let mut healthy = numbers.clone();
        for (at, _) in self.faults.iter().enumerate().filter(|(_, fault)| fault.is_some()) {
            for value in healthy.values.iter_mut().skip(at * NUMBERS).take(NUMBERS) {
                *value = f64::NAN;
            }
            if let Some(reading) = healthy.readings.get_mut(at) {
                *reading = None;
            }
        }
        healthy
    }

    /// Tells each sensor how it and the others deviate.
    fn see_deviations(&mut self, judged: &[Judged], share: f64) {
        let mut ratios = vec![[0.0; NUMBERS]; self.healths.len()];
        let mut differences = vec![f64::NAN; self.healths.len()];
        // Also on the good side: after a repair several sensors change.
        let mut largest: Vec<f64> = vec![0.0; self.healths.len()];
        for number in judged {
            let sensor = number.index / NUMBERS;
            if let Some(slot) = ratios.get_mut(sensor).and_then(|of| of.get_mut(number.index % NUMBERS)) {
                *slot = number.ratio;
            }
            if let Some(slot) = largest.get_mut(sensor) {
                *slot = slot.max(number.ratio.abs()).max(number.magnitude.abs());
            }
            if number.index % NUMBERS == LEVEL
                && let Some(slot) = differences.get_mut(sensor)
            {
                *slot = number.actual - number.expected;
            }
        }
        for (at, (health, kind)) in self.healths.iter_mut().zip(&self.kinds).enumerate() {
            let others = largest.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, of)| *of);
            let [level, spread, _] = ratios.get(at).copied().unwrap_or_default();
            let difference = differences.get(at).copied().unwrap_or(f64::NAN);
            let deviations = Deviations { level, difference, spread, others: others.fold(0.0, f64::max) };
            health.see_deviations(*kind, &deviations, share);
            if let Some(fault) = self.faults.get_mut(at) {
                *fault = fault.or(health.by_deviation());
            }
        }
    }

    fn explain_faults(&self, context: &AssetContext<'_>, window: &Window) -> Vec<Explanation> {
        let faults = self.faults.iter().enumerate().filter_map(|(at, fault)| Some((at, (*fault)?)));
        faults
            .map(|(sensor, fault)| {
                finding::explain_sensor_fault(context, self.indices(), window, sensor, fault, self.learnt_windows())
            })
            .collect()
    }

    /// The place of each sensor by its physical limits, in the zone that it stays in.
    fn places(&mut self, window: &Window, context: &AssetContext<'_>, numbers: &Numbers) -> Vec<Place> {
        self.zones.resize(context.members.len(), SteadyZone::default());
        let sensors = context.members.iter().zip(&self.kinds).zip(&numbers.readings).zip(&mut self.zones);
        sensors
            .map(|(((member, kind), reading), steady)| {
                let Some(reading) = reading else { return Place::default() };
                let config = context.config.sensors.get(&*member.name);
                let place = physical::place(config, *kind, reading.level, reading.rms());
                // A limit that was only just passed does not count yet.
                let zone = steady.push(place.zone, window.start, window.end);
                if zone == place.zone { place } else { Place { zone: zone.min(place.zone), limit: None } }
            })
            .collect()
    }

    fn numbers(&mut self, window: &Window, context: &AssetContext<'_>) -> Numbers {
        let indices = *self.indices.get_or_insert_with(|| FeatureIndices::of(context.features));
        for member in context.members.iter().skip(self.kinds.len()) {
            self.kinds.push(SensorKind::of(&member.name, context.config));
        }
        self.tracks.resize_with(context.members.len(), Track::default);
        self.deviations.resize(context.members.len() * NUMBERS, Deviation::default());
        self.seen.resize(context.members.len() * NUMBERS, 0.0);
        let measures_ambient = self.kinds.contains(&SensorKind::Ambient);
        let all_drive = self.kinds.iter().all(|kind| kind.is_driver() || *kind == SensorKind::Counter);
        let count = context.members.len();
        let mut new_counters = Vec::new();
        let mut numbers = Numbers {
            values: Vec::with_capacity(count * NUMBERS),
            readings: Vec::with_capacity(count),
            roles: Vec::with_capacity(count * NUMBERS),
            scales: Vec::with_capacity(count * NUMBERS),
        };
        for ((track, &kind), row) in self.tracks.iter_mut().zip(&self.kinds).zip(&window.rows) {
            let reading = row.as_ref().map(|row| Reading::of(row, &indices));
            let counted = track.is_counter(kind);
            if kind == SensorKind::Temperature {
                track.widen_floor(if measures_ambient { 1.0 } else { UNMEASURED_AMBIENT });
            }
            let values = reading
                .as_ref()
                .map_or([f64::NAN; NUMBERS], |reading| track.push(reading, window.start, window.end, kind));
            if track.is_counter(kind) && !counted {
                // Its level was another number before.
                new_counters.push(numbers.values.len() + LEVEL);
            }
            numbers.values.extend(values);
            numbers.readings.push(reading);
            let drives = !all_drive && kind.is_driver();
            numbers.roles.extend(if track.is_counter(kind) {
                [Role::Follower; NUMBERS]
            } else if drives {
                [Role::Driver, Role::Follower, Role::Follower]
            } else {
                [Role::Response, Role::Response, Role::Follower]
            });
            numbers.scales.extend((0..NUMBERS).map(|number| track.scale(number, kind)));
        }
        for index in new_counters {
            self.forget(index);
        }
        numbers
    }

    /// Forgets what was learnt about a number.
    fn forget(&mut self, index: usize) {
        for memory in [&mut self.reference, &mut self.following, &mut self.changed] {
            memory.forget(index);
        }
        if let (Some(deviation), Some(seen)) = (self.deviations.get_mut(index), self.seen.get_mut(index)) {
            (*deviation, *seen) = (Deviation::default(), 0.0);
        }
    }

    /// True if every driver of motion is 0, if the speed is exactly 0, or if the vibration is far below all that was
    /// learnt.
    fn is_standing(&self, numbers: &Numbers) -> bool {
        let (mut moves, mut is_stopped, mut is_loud) = (false, false, false);
        let (mut drivers, mut silent, mut vibrations) = (0, 0, 0);
        for (((kind, track), reading), role) in
            self.kinds.iter().zip(&self.tracks).zip(&numbers.readings).zip(numbers.roles.iter().step_by(NUMBERS))
        {
            let Some(reading) = reading else { continue };
            let highest = track.range().map_or(0.0, |(low, high)| low.abs().max(high.abs()));
            if kind.is_motion() && *role == Role::Driver {
                is_stopped |= *kind == SensorKind::Speed && reading.is_constant() && reading.level == 0.0;
                drivers += 1;
                moves |= !reading.is_zero() && reading.level.abs() > STANDSTILL_SHARE * highest;
            } else if *kind == SensorKind::Vibration {
                vibrations += 1;
                let lowest = track.range().map_or(0.0, |(low, _)| low);
                silent += i32::from(lowest > 0.0 && reading.level.abs() < lowest / START_FACTOR);
                // A driver at 0 is a faulty sensor then.
                is_loud |= lowest > 0.0 && reading.level.abs() >= 0.5 * lowest;
            }
        }
        if drivers > 0 { (!moves || is_stopped) && !is_loud } else { vibrations > 0 && silent == vibrations }
    }

    /// True while a window contains a change of a driver.
    fn is_in_transition(&mut self, window: &Window, levels: &[f64], numbers: &Numbers) -> bool {
        let roles = numbers.roles.iter().step_by(NUMBERS);
        let scales = numbers.scales.iter().step_by(NUMBERS);
        let changes = levels.iter().zip(&self.last_drivers).zip(roles.zip(scales));
        let jumps = changes
            .filter(|(_, (role, _))| **role == Role::Driver)
            .any(|((level, last), (_, scale))| (level - last).abs() > TRANSITION * scale);
        self.last_drivers = levels.to_vec();
        if jumps {
            self.settles_at = window.end;
        }
        window.start < self.settles_at
    }

    /// True if a response is far beyond what it is in neighbouring states of the drivers, on its bad side.
    fn contradicts(&self, numbers: &Numbers, plan: &LearningPlan) -> bool {
        let metric = Metric { columns: NUMBERS, roles: &numbers.roles, scales: &numbers.scales };
        let neighbours = self.reference.estimate_within(&metric, &numbers.values, NEIGHBOURS);
        let known = neighbours.filter(|of| self.judged > 0 && of.evidence >= plan.windows_needed());
        let Some(known) = known else { return false };
        numbers.values.iter().zip(&known.ranges).enumerate().any(|(index, (value, range))| {
            let (sensor, number) = (index / NUMBERS, index % NUMBERS);
            let (Some(track), Some(&kind)) = (self.tracks.get(sensor), self.kinds.get(sensor)) else { return false };
            if numbers.roles.get(index - number) != Some(&Role::Response) {
                return false;
            }
            let difference = value - range.nearest(*value);
            let width = plan.width(self.running_seconds, known.evidence, kind, number == LEVEL);
            let [limit, ..] = self.limits(index, track.limit_floor(number, kind), width);
            let bad = if number != LEVEL || kind.only_rise_is_bad() { difference } else { difference.abs() };
            bad > CONTRADICTION * limit
        })
    }

    /// Learns a window of a state that is not known well enough to be judged.
    fn learn(&mut self, numbers: &Numbers, share: f64, plan: &LearningPlan) {
        let metric = Metric { columns: NUMBERS, roles: &numbers.roles, scales: &numbers.scales };
        if let Some(estimate) = self.reference.estimate(&metric, &numbers.values)
            && self.running_windows >= plan.windows_needed() / 2.0
            && estimate.evidence >= plan.windows_needed() / 2.0
        {
            let gains = gains(share);
            let is_first = self.judged == 0;
            for (index, (deviation, (value, range))) in
                self.deviations.iter_mut().zip(numbers.values.iter().zip(&estimate.ranges)).enumerate()
            {
                let sensor = self.tracks.get(index / NUMBERS).zip(self.kinds.get(index / NUMBERS));
                let difference = value - range.nearest(*value);
                let Some((track, kind)) = sensor.filter(|_| difference.is_finite()) else { continue };
                if is_first {
                    deviation.learn(difference, &gains);
                } else {
                    deviation.learn_later(difference, &gains, track.limit_floor(index % NUMBERS, *kind));
                }
            }
        }
        let capacity = (MAX_NUMBERS / numbers.values.len().max(1)).clamp(MIN_STATES, MAX_STATES);
        self.reference.limit(capacity, &metric);
        self.reference.learn(&metric, &numbers.values, plan.weight(share));
        self.accept(numbers, share, plan);
        if self.judged == 0 {
            self.healths.iter_mut().for_each(Health::learn);
        }
    }

    /// Notes the numbers of a window as normal.
    fn accept(&mut self, numbers: &Numbers, share: f64, plan: &LearningPlan) {
        for (seen, value) in self.seen.iter_mut().zip(&numbers.values) {
            if value.is_finite() {
                *seen += plan.weight(share);
            }
        }
        for (((track, kind), values), reading) in
            self.tracks.iter_mut().zip(&self.kinds).zip(numbers.values.chunks(NUMBERS)).zip(&numbers.readings)
        {
            if reading.is_some() {
                let level = values.get(LEVEL).copied().unwrap_or(f64::NAN);
                let std = values.get(SPREAD).map_or(f64::NAN, |spread| track.std_of_spread(*spread, *kind));
                track.accept(level, std);
            }
        }
    }

    /// Compares the numbers of a window with their estimates.
    #[allow(clippy::cast_precision_loss, reason = "a length of time")]
    fn judge(
        &mut self,
        numbers: &Numbers,
        estimate: &Estimate,
        share: f64,
        plan: &LearningPlan,
        end: i64,
    ) -> Vec<Judged> {
        let settled = end.saturating_sub(self.settles_at) as f64 / 1e9;
        let gains = gains(share);
        let metric = Metric { columns: NUMBERS, roles: &numbers.roles, scales: &numbers.scales };
        let needed = plan.windows_needed();
        let mut judged = Vec::new();
        let mut is_new = vec![false; numbers.values.len()];
        let pairs = numbers.values.iter().zip(&estimate.ranges).enumerate();
        for (index, (&actual, range)) in pairs {
            let expected = range.nearest(actual);
            let (sensor, number) = (index / NUMBERS, index % NUMBERS);
            let (Some(track), Some(&kind)) = (self.tracks.get(sensor), self.kinds.get(sensor)) else { continue };
            let (Some(deviation), Some(seen)) = (self.deviations.get_mut(index), self.seen.get_mut(index)) else {
                continue;
            };
            if !actual.is_finite() {
                continue;
            }
            if *seen < needed {
                // The sensor came later than the others, or moved for the first time.
                *seen += plan.weight(share);
                if let Some(slot) = is_new.get_mut(index) {
                    *slot = true;
                }
                if expected.is_finite() && *seen >= needed / 2.0 {
                    deviation.learn(actual - expected, &gains);
                }
                continue;
            }
            let is_driver = numbers.roles.get(index - number) == Some(&Role::Driver);
            let counts = track.is_counter(kind);
            if is_driver || counts || !expected.is_finite() || (number == LEVEL && has_no_level(track, kind)) {
                continue;
            }
            let floor = track.limit_floor(number, kind);
            let is_level = number == LEVEL;
            let settling = if is_level { LearningPlan::settling_width(settled, kind) } else { 1.0 };
            let width = plan.width(self.running_seconds, estimate.evidence, kind, is_level) * settling;
            deviation.push(actual - expected, &gains, floor, width);
            let side = if number == LEVEL && !kind.only_rise_is_bad() { BadSide::Both } else { BadSide::Above };
            judged.push(Judged {
                index,
                ratio: deviation.ratio(side, floor, width),
                magnitude: deviation.magnitude(),
                expected: range.mean,
                actual,
                is_within: deviation.last().abs() < 1.0 || (number != LEVEL && deviation.last() < 0.0),
            });
        }
        if is_new.contains(&true) {
            self.reference
                .complete(&metric, &numbers.values, needed.min(50.0), |at| is_new.get(at).copied().unwrap_or(false));
        }
        judged
    }

    /// Learns a normal window into the memory that follows.
    fn follow(&mut self, numbers: &Numbers, share: f64, plan: &LearningPlan) {
        let metric = Metric { columns: NUMBERS, roles: &numbers.roles, scales: &numbers.scales };
        self.following.learn(&metric, &numbers.values, plan.weight(share));
        self.accept(numbers, share, plan);
        for (health, reading) in self.healths.iter_mut().zip(&numbers.readings) {
            if reading.is_some() {
                health.accept();
            }
        }
    }

    /// Each time the machine has been watched for twice as long as at the last renewal, the reference takes over the
    /// normal windows since then.
    fn renew_if_due(&mut self, numbers: &Numbers, plan: &LearningPlan) {
        if self.next_renewal <= 0.0 {
            self.next_renewal = 2.0 * self.running_windows.max(plan.windows_needed());
        }
        if self.running_windows < self.next_renewal {
            return;
        }
        self.next_renewal = 2.0 * self.running_windows;
        let metric = Metric { columns: NUMBERS, roles: &numbers.roles, scales: &numbers.scales };
        self.reference.learn_all(&metric, &self.following, MIN_WEIGHT);
        self.following.clear();
        for (index, deviation) in self.deviations.iter_mut().enumerate() {
            if let (Some(track), Some(&kind)) = (self.tracks.get(index / NUMBERS), self.kinds.get(index / NUMBERS)) {
                deviation.renew(track.limit_floor(index % NUMBERS, kind));
            }
        }
    }

    /// Tells once that the machine is in a state that was not seen before, when that lasts.
    fn note_new_state(&mut self, is_new: bool, numbers: &Numbers, share: f64) -> Option<DriftEvent> {
        if self.judged == 0 || !is_new {
            return None;
        }
        let before = self.new_state_windows;
        self.new_state_windows += share;
        if before >= TOLD_WINDOWS || self.new_state_windows < TOLD_WINDOWS {
            return None;
        }
        let roles = numbers.roles.iter().step_by(NUMBERS).enumerate();
        let drivers = roles.filter(|(_, role)| **role == Role::Driver).map(|(sensor, _)| sensor).collect();
        Some(DriftEvent { kind: DriftKind::Drifted, sensors: drivers, p_value: 1.0, text: Some(NEW_STATE_SEEN) })
    }

    /// A window that is neither normal nor an anomaly: if it changed for the better (vibration or temperature fell) it
    /// is told once, and learnt when it lasts as long as a first state must.
    fn note_change(
        &mut self,
        numbers: &Numbers,
        judged: &[Judged],
        share: f64,
        plan: &LearningPlan,
    ) -> Option<DriftEvent> {
        let fallen: Vec<usize> = judged
            .iter()
            .filter(|judged| judged.magnitude <= -1.0 && judged.index % NUMBERS == LEVEL)
            .map(|judged| judged.index / NUMBERS)
            .collect();
        if fallen.is_empty() || judged.iter().any(|judged| judged.ratio.abs() >= NORMAL_RATIO) {
            return None;
        }
        let metric = Metric { columns: NUMBERS, roles: &numbers.roles, scales: &numbers.scales };
        self.changed.learn(&metric, &numbers.values, plan.weight(share));
        self.changed_windows += plan.weight(share);
        if self.changed_windows >= plan.windows_needed() {
            self.reference.learn_all(&metric, &self.changed, MIN_WEIGHT);
            self.changed.clear();
            self.changed_windows = 0.0;
            self.is_change_told = false;
            self.deviations.iter_mut().for_each(Deviation::settle);
            return Some(DriftEvent {
                kind: DriftKind::Switched,
                sensors: fallen,
                p_value: 1.0,
                text: Some(CHANGE_LEARNT),
            });
        }
        if !self.is_change_told && self.changed_windows >= plan.windows_needed() / 2.0 {
            self.is_change_told = true;
            return Some(DriftEvent {
                kind: DriftKind::Drifted,
                sensors: fallen,
                p_value: 1.0,
                text: Some(CHANGE_SEEN),
            });
        }
        None
    }

    /// Forgets what was learnt, as after a repair; the resolution of the sensors stays known.
    pub(crate) fn reset_baseline(&mut self) {
        let tracks = std::mem::take(&mut self.tracks);
        let tracks = tracks.into_iter().map(Track::without_levels).collect();
        // The windows that have begun contain readings from before.
        let settles_at = self.last_end.saturating_add(self.window_length);
        let Self { last_end, window_length, .. } = *self;
        *self = Self { tracks, last_end, window_length, settles_at, tells_start: Some(true), ..Self::default() };
    }

    /// The state of an asset whose former model cannot be used.
    pub(crate) fn restarted() -> Self {
        Self { tells_start: Some(false), ..Self::default() }
    }

    /// The numbers of a window of a dry run; sensors with few readings are not missing.
    pub(super) fn present_numbers(&mut self, window: &Window, context: &AssetContext<'_>) -> Numbers {
        let mut numbers = self.numbers(window, context);
        for (sensor, reading) in numbers.readings.iter().enumerate() {
            let counts = self
                .tracks
                .get(sensor)
                .zip(self.kinds.get(sensor))
                .is_some_and(|(track, kind)| track.is_counter(*kind) || *kind == SensorKind::Counter);
            if let Some(reading) = reading
                && let Some(level) = numbers.values.get_mut(sensor * NUMBERS + LEVEL)
                && !level.is_finite()
                && !counts
            {
                *level = reading.level;
            }
        }
        numbers
    }

    pub(super) fn reference_estimate(&self, metric: &Metric<'_>, row: &[f64]) -> Option<Estimate> {
        self.reference.estimate(metric, row).filter(|_| self.judged > 0)
    }

    pub(super) fn running_seconds(&self) -> f64 {
        self.running_seconds
    }

    pub(super) fn track(&self, sensor: usize) -> Option<&Track> {
        self.tracks.get(sensor)
    }

    pub(super) fn kind(&self, sensor: usize) -> Option<SensorKind> {
        self.kinds.get(sensor).copied()
    }

    pub(super) fn limits(&self, index: usize, floor: f64, width: f64) -> [f64; 3] {
        self.deviations.get(index).map_or([f64::INFINITY; 3], |deviation| deviation.limits(floor, width))
    }

    pub(super) fn indices(&self) -> FeatureIndices {
        self.indices.unwrap_or_default()
    }

    pub(super) fn learnt_windows(&self) -> u32 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; `as` saturates")]
        let windows = self.running_windows as u32;
        windows
    }

    /// Windows learnt in the best known state, and windows needed.
    pub(crate) fn training_progress(&self, plan: &LearningPlan) -> (usize, usize) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; `as` saturates")]
        let (learnt, needed) = (self.running_windows as usize, plan.windows_needed().ceil() as usize);
        (if self.judged > 0 { learnt.max(needed) } else { learnt.min(needed.saturating_sub(1)) }, needed)
    }

    fn push_trend(&mut self, window: &Window, numbers: &Numbers) {
        if self.trend_points.len() >= TREND_LENGTH {
            self.trend_points.pop_front();
        }
        let levels = numbers.readings.iter().map(|reading| reading.map_or(f64::NAN, |reading| reading.level));
        self.trend_points.push_back((window.end, levels.collect()));
    }

    /// Trend of the leading sensor's level.
    fn trend(&self, explanation: &Explanation, context: &AssetContext<'_>) -> Option<Trend> {
        let first = explanation.contributions.first()?;
        let sensor = context.members.iter().position(|member| *member.name == *first.sensor)?;
        let level = |(end, levels): &(i64, Vec<f64>)| {
            levels.get(sensor).copied().filter(|level| level.is_finite()).map(|level| (*end, level))
        };
        let (times, values): (Vec<i64>, Vec<f64>) = self.trend_points.iter().filter_map(level).unzip();
        let unit = context.unit(&first.sensor, "mean");
        (!times.is_empty()).then(|| Trend {
            sensor: first.sensor.clone(),
            feature: "mean".to_owned(),
            unit,
            times,
            values,
        })
    }
}

/// True for a vibration signal around 0, whose level says nothing.
fn has_no_level(track: &Track, kind: SensorKind) -> bool {
    let (level, std) = track.usual();
    kind == SensorKind::Vibration && std > ZERO_MEAN * level
}

/// The means of a window, for the library of runs to failure.
fn mean_levels(window: &Window, context: &AssetContext<'_>) -> Vec<f64> {
    if context.library.is_none() {
        return Vec::new();
    }
    let mean = context.features.iter().position(|feature| feature == "mean");
    let of = |row: &Option<crate::window::FeatureRow>| {
        row.as_ref().and_then(|row| row.values.get(mean?).copied()).unwrap_or(f64::NAN)
    };
    window.rows.iter().map(of).collect()
}
