//! The report of an evaluation.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Benchmark;

/// A column of the report: one metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Column {
    /// Key of the metric in the rows.
    pub key: &'static str,
    /// Title in the table.
    pub title: &'static str,
    /// Description of the metric, with its unit.
    pub meaning: &'static str,
    /// Number of digits after the decimal point.
    pub digits: usize,
}

/// The figures of one file, group or method. A figure that is not defined, such as a false-alarm rate without normal
/// rows, is NaN here, `null` in JSON and a dash in the table. A figure that was not measured is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the file, group or method.
    pub name: String,
    /// Figures by column key.
    #[serde(flatten)]
    pub figures: BTreeMap<&'static str, f64>,
}

impl Row {
    /// Creates a row with these figures.
    #[must_use]
    pub fn new(name: impl Into<String>, figures: &[(&'static str, f64)]) -> Self {
        Self { name: name.into(), figures: figures.iter().copied().collect() }
    }
}

/// The report of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The benchmark.
    pub benchmark: Benchmark,
    /// Short description of the protocol.
    pub protocol: &'static str,
    /// The columns, in display order.
    pub columns: Vec<Column>,
    /// Figures over all files with the default settings, by the alerts that a user would see.
    pub default_settings: Vec<Row>,
    /// Figures of the evaluated pipeline over all files, with settings that were chosen for this benchmark.
    pub ours: Vec<Row>,
    /// Published figures of other methods, from the benchmark's README.
    pub published: Vec<Row>,
    /// Figures of the evaluated pipeline by file.
    pub files: Vec<Row>,
    /// Notes for the reader, such as files that were skipped.
    pub notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(benchmark: Benchmark, protocol: &'static str, columns: &[Column]) -> Self {
        Self {
            benchmark,
            protocol,
            columns: columns.to_vec(),
            default_settings: Vec::new(),
            ours: Vec::new(),
            published: Vec::new(),
            files: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds the figures of a run with the default settings.
    pub fn add_default_settings(&mut self, defaults: Self) {
        self.default_settings = defaults.ours;
        self.notes.extend(defaults.notes.into_iter().map(|note| format!("default settings: {note}")));
        self.notes.dedup();
    }

    /// Returns a figure with the default settings over all files.
    #[must_use]
    pub fn default_settings(&self, row: &str, key: &str) -> Option<f64> {
        self.default_settings.iter().find(|found| found.name == row)?.figures.get(key).copied()
    }

    /// Returns a figure of the evaluated pipeline over all files.
    #[must_use]
    pub fn ours(&self, row: &str, key: &str) -> Option<f64> {
        self.ours.iter().find(|found| found.name == row)?.figures.get(key).copied()
    }

    /// Returns a figure of the evaluated pipeline for one file.
    #[must_use]
    pub fn file(&self, file: &str, key: &str) -> Option<f64> {
        self.files.iter().find(|found| found.name == file)?.figures.get(key).copied()
    }

    /// Adds published figures: names, and values in the order of `keys`. NaN means not published.
    pub(crate) fn publish<const N: usize>(&mut self, keys: [&'static str; N], rows: &[(&str, [f64; N])]) {
        self.published.extend(rows.iter().map(|(name, values)| {
            let figures = keys.into_iter().zip(*values).filter(|(_, value)| !value.is_nan()).collect();
            Row { name: (*name).to_owned(), figures }
        }));
    }
}
