//! The library of runs to failure with the sensors that it needs.

use wheeltapper_condition_monitoring::life::library::Library;

use crate::window::Member;

/// A library of runs to failure and its sensors, by the last segment of their ids.
#[derive(Debug)]
pub(crate) struct RunLibrary {
    pub(crate) sensors: Vec<String>,
    pub(crate) horizon: f64,
    pub(crate) library: Library,
}

impl RunLibrary {
    /// Returns the levels in the library's order; None if a sensor is missing.
    pub(crate) fn row(&self, levels: &[f64], members: &[Member]) -> Option<Vec<f64>> {
        self.sensors
            .iter()
            .map(|name| {
                let index = members.iter().position(|member| {
                    member.name.rsplit('/').next().is_some_and(|short| short == name) || *member.name == **name
                })?;
                levels.get(index).copied().filter(|level| level.is_finite())
            })
            .collect()
    }
}
