//! What an evaluation found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Profile;

/// A column of figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Column {
    /// Under which name rows hold it.
    pub key: &'static str,
    /// What a reader sees.
    pub title: &'static str,
    /// What is measured, and in what unit.
    pub meaning: &'static str,
    /// Digits after the point.
    pub digits: usize,
}

/// Figures of one thing. Those that are not defined, as a false-alarm rate where nothing is normal, are NaN here, `null` in
/// JSON, and a dash in the table; those that were not measured are absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Of what.
    pub name: String,
    /// The figures.
    #[serde(flatten)]
    pub figures: BTreeMap<&'static str, f64>,
}

impl Row {
    /// A row of these figures.
    #[must_use]
    pub fn new(name: impl Into<String>, figures: &[(&'static str, f64)]) -> Self {
        Self { name: name.into(), figures: figures.iter().copied().collect() }
    }
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Which benchmark.
    pub benchmark: Profile,
    /// How it was measured, in a sentence or two.
    pub protocol: &'static str,
    /// The figures, in the order to be shown.
    pub columns: Vec<Column>,
    /// The line's, over all files.
    pub ours: Vec<Row>,
    /// Others', from the benchmark's README.
    pub published: Vec<Row>,
    /// The line's, by file.
    pub files: Vec<Row>,
    /// What a reader has to know, such as files that were left out.
    pub notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(benchmark: Profile, protocol: &'static str, columns: &[Column]) -> Self {
        Self {
            benchmark,
            protocol,
            columns: columns.to_vec(),
            ours: Vec::new(),
            published: Vec::new(),
            files: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A figure of the line's over all files.
    #[must_use]
    pub fn ours(&self, row: &str, key: &str) -> Option<f64> {
        self.ours.iter().find(|found| found.name == row)?.figures.get(key).copied()
    }

    /// A figure of the line's on one file.
    #[must_use]
    pub fn file(&self, file: &str, key: &str) -> Option<f64> {
        self.files.iter().find(|found| found.name == file)?.figures.get(key).copied()
    }

    /// Adds published figures: names, and values in the order of `keys`; NaN where none was published.
    pub(crate) fn publish<const N: usize>(&mut self, keys: [&'static str; N], rows: &[(&str, [f64; N])]) {
        self.published.extend(rows.iter().map(|(name, values)| {
            let figures = keys.into_iter().zip(*values).filter(|(_, value)| !value.is_nan()).collect();
            Row { name: (*name).to_owned(), figures }
        }));
    }
}
