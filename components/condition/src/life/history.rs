//! Runs to failure.

/// The windows of one unit from its start to its failure (the last window), `width` sensors each.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    width: usize,
    values: Vec<f64>,
}

impl History {
    /// None when rows are of unequal length, there is none, or a number is not finite.
    #[must_use]
    pub fn new(rows: &[Vec<f64>]) -> Option<Self> {
        let width = rows.first()?.len();
        let values: Vec<f64> = rows.iter().flatten().copied().collect();
        let well = width > 0 && rows.iter().all(|row| row.len() == width) && values.iter().all(|v| v.is_finite());
        well.then_some(Self { width, values })
    }

    /// Sensors.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Windows.
    #[must_use]
    pub fn life(&self) -> usize {
        self.values.len() / self.width
    }

    /// In order of time.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.width)
    }
}
