//! Runs to failure, the training data of the library.

/// The windows of one unit from its start to its failure (the last window), with `width` sensor values each.
#[derive(Clone, Debug, PartialEq)]
pub struct RunToFailure {
    width: usize,
    values: Vec<f64>,
}

impl RunToFailure {
    /// Builds a history from rows in order of time. Returns `None` when there is no row, rows have different lengths,
    /// or a number is not finite.
    #[must_use]
    pub fn new(rows: &[Vec<f64>]) -> Option<Self> {
        let width = rows.first()?.len();
        let values: Vec<f64> = rows.iter().flatten().copied().collect();
        let is_valid = width > 0 && rows.iter().all(|row| row.len() == width) && values.iter().all(|v| v.is_finite());
        is_valid.then_some(Self { width, values })
    }

    /// Returns the number of sensors.
    #[must_use]
    pub fn sensor_count(&self) -> usize {
        self.width
    }

    /// Returns the number of windows until failure.
    #[must_use]
    pub fn window_count(&self) -> usize {
        self.values.len() / self.width
    }

    /// Returns the rows in order of time.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.width)
    }
}
