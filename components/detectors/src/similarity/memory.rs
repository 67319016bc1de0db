//! A bounded memory of normal states, and what the states that are compatible with a row expect of it.
//!
//! This is similarity-based modelling: what is expected comes from the stored states that resemble the actual one, as in
//! the multivariate state estimation technique (MSET; Singer, Gross, Herzog, King and Wegerich, *Model-based nuclear
//! power plant monitoring and fault detection*, 1997) and in auto-associative kernel regression. These estimate one
//! value, a mean over similar states, and call everything else a residual. Parts that answer slowly, such as
//! temperatures, have many values in one state of the process, so this memory gives a range instead: from the lowest to
//! the highest value of the compatible states. A fault cannot choose the states that it is compared with: for each
//! sensor the states are chosen by the drivers and by all other sensors.
//!
//! Numbers have roles ([`Role`]); those of one sensor are neighbours, its level first.

use serde::{Deserialize, Serialize};

/// The most that one response adds to the squared distance between a row and a state.
const MAX_RESPONSE: f64 = 9.0;
/// Two rows are the same state up to this mean squared distance of their drivers and responses.
const SAME_STATE: f64 = 1.0;
/// A state is compatible with a row if all drivers are within so many scales, and the levels of all other responses
/// within so many.
const NEAR: (f64, f64) = (4.0, 6.0);

/// A state that was not seen for longer, in independent windows, is chance: one window while a sensor is changed.
const MIN_WEIGHT: f64 = 1.5;

/// What a number says about the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// What the process does to the machine: speed, load, ambient temperature.
    Driver,
    /// What the machine answers: vibration, temperature of its parts.
    Response,
    /// Estimated, but it does not say which state it is.
    Follower,
}

/// How rows are compared: the role and the scale of each number, in its unit.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    /// Numbers of each sensor, the level first.
    pub columns: usize,
    /// One per number of a row.
    pub roles: &'a [Role],
    /// One per number of a row; above 0. Differences below the scale do not matter.
    pub scales: &'a [f64],
}

/// A stored state: the mean of the rows that were learnt as this state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Mean of each number; NaN if it was always missing.
    pub values: Vec<f64>,
    /// How much was learnt, in independent windows.
    pub weight: f64,
}

/// What the compatible states expect of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Lowest and highest value, and the mean, of each number; NaN if no compatible state has it.
    pub ranges: Vec<Range>,
    /// The largest distance of a driver from the state with the most similar drivers, in scales.
    pub driver_gap: f64,
    /// How much was learnt about states with such drivers, in independent windows.
    pub evidence: f64,
}

/// The values of one number in several states.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Lowest value.
    pub low: f64,
    /// Highest value.
    pub high: f64,
    /// Mean, weighted by how often the states were seen.
    pub mean: f64,
}

impl Range {
    const EMPTY: Self = Self { low: f64::NAN, high: f64::NAN, mean: f64::NAN };

    /// The value of the range that is nearest to `value`; NaN for an empty range.
    pub fn nearest(&self, value: f64) -> f64 {
        // `clamp` would panic for an empty range.
        if value < self.low {
            self.low
        } else if value > self.high {
            self.high
        } else {
            value + 0.0 * self.low
        }
    }
}

/// A bounded memory of states; see the module documentation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    capacity: usize,
    states: Vec<State>,
}

/// The compatibility of a state with a row.
#[derive(Clone, Copy, Debug)]
struct Compatibility {
    drivers: f64,
    driver_gap: f64,
    /// Number of sensors whose level is too far off, and one of them.
    others: usize,
    other: usize,
}

impl Metric<'_> {
    /// Distance of a row from a state; missing numbers do not count.
    fn distance(&self, row: &[f64], state: &[f64]) -> f64 {
        let mut squared = 0.0;
        for (((role, scale), value), known) in self.roles.iter().zip(self.scales).zip(row).zip(state) {
            let z = (value - known) / scale;
            squared += match role {
                _ if !z.is_finite() => 0.0,
                Role::Driver => z * z,
                Role::Response => (z * z).min(MAX_RESPONSE),
                Role::Follower => 0.0,
            };
        }
        squared
    }

    fn compatibility(&self, row: &[f64], state: &[f64]) -> Compatibility {
        let mut found = Compatibility { drivers: 0.0, driver_gap: 0.0, others: 0, other: 0 };
        let numbers = self.roles.iter().zip(self.scales).zip(row.iter().zip(state)).enumerate();
        for (index, ((role, scale), (value, known))) in numbers.step_by(self.columns.max(1)) {
            let z = ((value - known) / scale).abs();
            match role {
                _ if !z.is_finite() => {}
                Role::Driver => {
                    found.drivers += z * z;
                    found.driver_gap = found.driver_gap.max(z);
                }
                Role::Response if z > NEAR.1 => {
                    found.others += 1;
                    found.other = index / self.columns.max(1);
                }
                _ => {}
            }
        }
        found
    }

    fn same_state(&self) -> f64 {
        let count = self.roles.iter().filter(|role| **role != Role::Follower).count();
        SAME_STATE * crate::rows::to_float(count)
    }
}

impl Memory {
    /// An empty memory of at most `capacity` states, 2 at least.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(2), states: Vec::new() }
    }

    /// Changes the capacity, 2 at least; unites states if there are too many.
    pub fn limit(&mut self, capacity: usize, metric: &Metric<'_>) {
        self.capacity = capacity.max(2);
        while self.states.len() > self.capacity {
            self.unite_most_similar(metric);
        }
    }

    /// The stored states.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// True if nothing was learnt.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Forgets one number of all states.
    pub fn forget(&mut self, index: usize) {
        for value in self.states.iter_mut().filter_map(|state| state.values.get_mut(index)) {
            *value = f64::NAN;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.states.clear();
    }

    /// What is expected of a row; None if the memory is empty.
    pub fn estimate(&self, metric: &Metric<'_>, row: &[f64]) -> Option<Estimate> {
        self.estimate_within(metric, row, NEAR.0)
    }

    /// Same as [`Self::estimate`], with states whose drivers are all within so many scales.
    pub fn estimate_within(&self, metric: &Metric<'_>, row: &[f64], scales: f64) -> Option<Estimate> {
        let found: Vec<Compatibility> =
            self.states.iter().map(|state| metric.compatibility(row, &state.values)).collect();
        let by_driver = found.iter().min_by(|one, other| one.drivers.total_cmp(&other.drivers))?;
        let near = |state: &Compatibility| state.driver_gap <= scales;
        let evidence = self.states.iter().zip(&found).filter(|(_, of)| near(of)).map(|(state, _)| state.weight).sum();
        let mut ranges = vec![Range::EMPTY; metric.roles.len()];
        for (sensor, ranges) in ranges.chunks_mut(metric.columns.max(1)).enumerate() {
            let compatible =
                |of: &Compatibility| near(of) && (of.others == 0 || (of.others == 1 && of.other == sensor));
            // If several sensors are far from everything known, the drivers alone decide.
            let by_all = self.states.iter().zip(&found).any(|(state, of)| state.weight > MIN_WEIGHT && compatible(of));
            let states =
                self.states.iter().zip(&found).filter(|(_, of)| if by_all { compatible(of) } else { near(of) });
            let first = sensor * metric.columns.max(1);
            let mut weights = vec![0.0; ranges.len()];
            for (state, _) in states {
                let values = state.values.get(first..).unwrap_or_default();
                for ((range, weight), value) in ranges.iter_mut().zip(&mut weights).zip(values) {
                    if value.is_finite() {
                        range.low = range.low.min(*value);
                        range.high = range.high.max(*value);
                        *weight += state.weight;
                        let share = state.weight / *weight;
                        range.mean =
                            if range.mean.is_finite() { range.mean + share * (value - range.mean) } else { *value };
                    }
                }
            }
        }
        Some(Estimate { ranges, driver_gap: by_driver.driver_gap, evidence })
    }

    /// Learns a row that counts as `weight` independent windows: it changes the most similar state if it is the same
    /// one, else it becomes a state. A full memory first unites the two most similar states.
    pub fn learn(&mut self, metric: &Metric<'_>, row: &[f64], weight: f64) {
        let same = metric.same_state();
        let nearest = self
            .states
            .iter_mut()
            .map(|state| (metric.distance(row, &state.values), state))
            .min_by(|(one, _), (other, _)| one.total_cmp(other));
        match nearest {
            Some((squared, state)) if squared <= same => state.unite(row, weight),
            _ => {
                self.states.push(State { values: row.to_vec(), weight });
                if self.states.len() > self.capacity {
                    self.unite_most_similar(metric);
                }
            }
        }
    }

    /// Learns numbers that the state most similar to a row lacks, or that it has learnt less than `rows` times: those
    /// that `is_new` selects by index.
    pub fn complete(&mut self, metric: &Metric<'_>, row: &[f64], rows: f64, is_new: impl Fn(usize) -> bool) {
        let nearest = self
            .states
            .iter_mut()
            .map(|state| (metric.distance(row, &state.values), state))
            .min_by(|(one, _), (other, _)| one.total_cmp(other));
        let Some((_, state)) = nearest else { return };
        if state.values.len() < row.len() {
            state.values.resize(row.len(), f64::NAN);
        }
        for (at, (value, new)) in state.values.iter_mut().zip(row).enumerate() {
            if is_new(at) && new.is_finite() {
                *value = if value.is_finite() { *value + (new - *value) / rows.max(1.0) } else { *new };
            }
        }
    }

    /// Learns the states of another memory that were seen for at least `min_weight` independent windows.
    pub fn learn_all(&mut self, metric: &Metric<'_>, other: &Self, min_weight: f64) {
        for state in other.states.iter().filter(|state| state.weight >= min_weight) {
            self.learn(metric, &state.values, state.weight);
        }
    }

    fn unite_most_similar(&mut self, metric: &Metric<'_>) {
        let mut best = (f64::INFINITY, 0, 0);
        for (at, one) in self.states.iter().enumerate() {
            for (offset, other) in self.states.iter().skip(at + 1).enumerate() {
                let squared = metric.distance(&one.values, &other.values);
                if squared < best.0 {
                    best = (squared, at, at + 1 + offset);
                }
            }
        }
        let (_, one, other) = best;
        if other < self.states.len() && one < other {
            let removed = self.states.remove(other);
            if let Some(state) = self.states.get_mut(one) {
                state.unite(&removed.values, removed.weight);
            }
        }
    }
}

impl State {
    fn unite(&mut self, row: &[f64], weight: f64) {
        let share = weight / (self.weight + weight);
        if self.values.len() < row.len() {
            self.values.resize(row.len(), f64::NAN);
        }
        for (value, new) in self.values.iter_mut().zip(row) {
            if new.is_finite() {
                *value = if value.is_finite() { *value + share * (new - *value) } else { *new };
            }
        }
        self.weight += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const ROLES: [Role; 3] = [Role::Driver, Role::Response, Role::Response];
    const METRIC: Metric<'static> = Metric { columns: 1, roles: &ROLES, scales: &[1.0, 0.5, 0.5] };

    fn two_loads() -> Memory {
        let (mut memory, mut random) = (Memory::new(16), Random::new(3));
        for at in 0..400 {
            let load = if at % 40 < 20 { 10.0 } else { 30.0 };
            let mut noisy = |value: f64| value + 0.3 * random.normal();
            let row = [noisy(load), noisy(load * 0.2), noisy(40.0 + load)];
            memory.learn(&METRIC, &row, 1.0);
        }
        memory
    }

    #[test]
    fn each_load_has_its_own_expectation() {
        let memory = two_loads();
        for (load, vibration, heat) in [(10.0, 2.0, 50.0), (30.0, 6.0, 70.0)] {
            // The fault of one response does not change what is expected of it, nor do two faults.
            for row in [[load, vibration + 5.0, heat], [load, vibration + 5.0, heat + 40.0]] {
                let estimate = memory.estimate(&METRIC, &row).unwrap();
                assert!((estimate.ranges[1].nearest(row[1]) - vibration).abs() < 0.8, "{estimate:?}");
                assert!((estimate.ranges[1].mean - vibration).abs() < 0.3, "{estimate:?}");
                assert!((estimate.ranges[2].nearest(row[2]) - heat).abs() < 0.8, "{estimate:?}");
                assert!(estimate.driver_gap < 2.0 && estimate.evidence > 50.0, "{estimate:?}");
            }
        }
        let unknown = memory.estimate(&METRIC, &[20.0, 4.0, 60.0]).unwrap();
        assert!(unknown.driver_gap > 7.0 && unknown.evidence < 1.0, "{unknown:?}");
        assert!(unknown.ranges[1].nearest(4.0).is_nan(), "{unknown:?}");
    }

    #[test]
    fn without_drivers_the_other_responses_tell_the_state() {
        let metric = Metric { roles: &[Role::Response; 3], ..METRIC };
        let mut memory = Memory::new(16);
        for at in 0..100 {
            let load = if at % 2 == 0 { 10.0 } else { 30.0 };
            memory.learn(&metric, &[load, load * 0.2, 40.0 + load], 1.0);
        }
        let estimate = memory.estimate(&metric, &[10.0, 6.0, 50.0]).unwrap();
        assert!((estimate.ranges[1].nearest(6.0) - 2.0).abs() < 0.1, "{estimate:?}");
    }

    #[test]
    fn the_memory_is_bounded_and_missing_numbers_do_not_matter() {
        let mut memory = two_loads();
        let mut random = Random::new(4);
        for _ in 0..1000 {
            memory.learn(&METRIC, &[100.0 * random.uniform(), f64::NAN, 100.0 * random.uniform()], 1.0);
        }
        assert!(memory.states().len() <= 16);
        let total: f64 = memory.states().iter().map(|state| state.weight).sum();
        assert!((total - 1400.0).abs() < 1e-6, "{total}");
        let estimate = two_loads().estimate(&METRIC, &[10.0, f64::NAN, 50.0]).unwrap();
        assert!((estimate.ranges[1].mean - 2.0).abs() < 0.5, "{estimate:?}");
        assert_eq!(Memory::new(4).estimate(&METRIC, &[1.0; 3]), None);
    }
}
