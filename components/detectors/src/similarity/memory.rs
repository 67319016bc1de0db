//! A bounded memory of normal states, and the estimate of a row from the states that resemble it.
//!
//! Auto-associative kernel regression, the smooth form of the multivariate state estimation technique (MSET): the
//! expected row is the mean of the stored rows, weighted by their similarity to the actual one. Sources: Singer, Gross,
//! Herzog, King and Wegerich, *Model-based nuclear power plant monitoring and fault detection* (1997); Baraldi, Di Maio
//! and Zio, *Robust signal reconstruction for condition monitoring* (2012).
//!
//! Numbers have roles ([`Role`]). Those that drive the machine decide which states resemble a row. Those that answer
//! count too, but each by [`MAX_RESPONSE`] at most, so that a fault cannot make the memory look for a state that
//! resembles the fault.

use serde::{Deserialize, Serialize};

/// The most that one response adds to the squared distance between a row and a state.
const MAX_RESPONSE: f64 = 9.0;
/// Squared distance at which the similarity to a state is 1/√e of that to the most similar one.
const BANDWIDTH: f64 = 1.0;
/// Two rows are the same state up to this mean squared distance of their drivers and responses.
const SAME_STATE: f64 = 1.0;
/// A state whose drivers are all within so many scales is evidence for an estimate.
const NEAR: f64 = 4.0;

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

/// The estimate of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The expected value of each number; NaN if no state has it.
    pub expected: Vec<f64>,
    /// The largest distance of a driver from the state with the most similar drivers, in scales.
    pub driver_gap: f64,
    /// How much was learnt about states with such drivers, in independent windows.
    pub evidence: f64,
}

/// A bounded memory of states; see the module documentation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    capacity: usize,
    states: Vec<State>,
}

#[derive(Clone, Copy, Debug)]
struct Distance {
    squared: f64,
    drivers: f64,
    driver_gap: f64,
}

impl Metric<'_> {
    /// Distance of a row from a state. Missing numbers count neither way.
    fn distance(&self, row: &[f64], state: &[f64]) -> Distance {
        let (mut drivers, mut driver_gap, mut responses) = (0.0, 0.0_f64, 0.0);
        for (((role, scale), value), known) in self.roles.iter().zip(self.scales).zip(row).zip(state) {
            let z = (value - known) / scale;
            if !z.is_finite() {
                continue;
            }
            match role {
                Role::Driver => {
                    drivers += z * z;
                    driver_gap = driver_gap.max(z.abs());
                }
                Role::Response => responses += (z * z).min(MAX_RESPONSE),
                Role::Follower => {}
            }
        }
        Distance { squared: drivers + responses, drivers, driver_gap }
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

    /// The estimate of a row; None if the memory is empty.
    pub fn estimate(&self, metric: &Metric<'_>, row: &[f64]) -> Option<Estimate> {
        let distances: Vec<Distance> = self.states.iter().map(|state| metric.distance(row, &state.values)).collect();
        let nearest = distances.iter().map(|distance| distance.squared).min_by(f64::total_cmp)?;
        let by_driver = distances.iter().min_by(|one, other| one.drivers.total_cmp(&other.drivers))?;
        let width = metric.roles.len();
        let (mut sums, mut weights) = (vec![0.0; width], vec![0.0; width]);
        let mut evidence = 0.0;
        for (state, distance) in self.states.iter().zip(&distances) {
            if distance.driver_gap <= NEAR {
                evidence += state.weight;
            }
            let similarity = (-(distance.squared - nearest) / (2.0 * BANDWIDTH)).exp();
            // A state that was seen once says less than one that was seen often.
            let weight = similarity * (state.weight / (state.weight + 1.0));
            if weight < 1e-9 {
                continue;
            }
            for ((sum, total), value) in sums.iter_mut().zip(&mut weights).zip(&state.values) {
                if value.is_finite() {
                    *sum += weight * value;
                    *total += weight;
                }
            }
        }
        let expected =
            sums.iter().zip(&weights).map(|(sum, weight)| if *weight > 0.0 { sum / weight } else { f64::NAN });
        Some(Estimate { expected: expected.collect(), driver_gap: by_driver.driver_gap, evidence })
    }

    /// Learns a row that counts as `weight` independent windows: it changes the most similar state if it is the same
    /// one, else it becomes a state. A full memory first unites the two most similar states.
    pub fn learn(&mut self, metric: &Metric<'_>, row: &[f64], weight: f64) {
        let same = metric.same_state();
        let nearest = self
            .states
            .iter_mut()
            .map(|state| (metric.distance(row, &state.values).squared, state))
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
            .map(|state| (metric.distance(row, &state.values).squared, state))
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
                let squared = metric.distance(&one.values, &other.values).squared;
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
    const METRIC: Metric<'static> = Metric { roles: &ROLES, scales: &[1.0, 0.5, 0.5] };

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
            // The fault of one response does not change what is expected of it by much.
            let estimate = memory.estimate(&METRIC, &[load, vibration + 5.0, heat]).unwrap();
            assert!((estimate.expected[1] - vibration).abs() < 0.8, "{estimate:?}");
            assert!((estimate.expected[2] - heat).abs() < 0.8, "{estimate:?}");
            assert!(estimate.driver_gap < 2.0 && estimate.evidence > 50.0, "{estimate:?}");
        }
        let unknown = memory.estimate(&METRIC, &[20.0, 4.0, 60.0]).unwrap();
        assert!(unknown.driver_gap > 7.0 && unknown.evidence < 1.0, "{unknown:?}");
    }

    #[test]
    fn the_memory_is_bounded_and_missing_numbers_are_estimated() {
        let mut memory = two_loads();
        let mut random = Random::new(4);
        for _ in 0..1000 {
            memory.learn(&METRIC, &[100.0 * random.uniform(), f64::NAN, 100.0 * random.uniform()], 1.0);
        }
        assert!(memory.states().len() <= 16);
        let total: f64 = memory.states().iter().map(|state| state.weight).sum();
        assert!((total - 1400.0).abs() < 1e-6, "{total}");
        let estimate = two_loads().estimate(&METRIC, &[10.0, f64::NAN, 50.0]).unwrap();
        assert!((estimate.expected[1] - 2.0).abs() < 0.5, "{estimate:?}");
        assert_eq!(Memory::new(4).estimate(&METRIC, &[1.0; 3]), None);
    }
}
