//! Ring buffer of the latest values.

use serde::{Deserialize, Serialize};

/// Holds the last `capacity` values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RingBuffer {
    values: Vec<f64>,
    capacity: usize,
    /// Index of the oldest value, once full.
    head: usize,
}

impl RingBuffer {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { values: Vec::new(), capacity: capacity.max(1), head: 0 }
    }

    /// Adds a value and returns the one that it replaces.
    pub(crate) fn push(&mut self, value: f64) -> Option<f64> {
        if self.values.len() < self.capacity {
            self.values.push(value);
            return None;
        }
        let out = self.values.get_mut(self.head).map(|slot| std::mem::replace(slot, value));
        self.head = (self.head + 1) % self.capacity;
        out
    }

    pub(crate) fn is_full(&self) -> bool {
        self.values.len() == self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Value that was pushed `age` pushes ago; 0 is the newest.
    pub(crate) fn value_at_age(&self, age: usize) -> Option<f64> {
        if age >= self.values.len() {
            return None;
        }
        let newest = if self.is_full() { self.head + self.capacity - 1 } else { self.values.len() - 1 };
        self.values.get((newest - age) % self.capacity).copied()
    }

    /// Values, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        let (new, old) = self.values.split_at(self.head);
        old.iter().chain(new).copied()
    }

    #[allow(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
    pub(crate) fn mean(&self) -> f64 {
        if self.values.is_empty() { 0.0 } else { self.values.iter().sum::<f64>() / self.values.len() as f64 }
    }

    /// Mean and population variance, computed in two passes.
    #[allow(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
    pub(crate) fn moments(&self) -> (f64, f64) {
        let mean = self.mean();
        let squares = self.values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
        (mean, squares / self.values.len().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::RingBuffer;

    #[test]
    fn keeps_the_last() {
        let mut ring = RingBuffer::new(3);
        assert_eq!([1.0, 2.0, 3.0].map(|value| ring.push(value)), [None; 3]);
        assert_eq!(ring.push(4.0), Some(1.0));
        assert_eq!(ring.iter().collect::<Vec<_>>(), [2.0, 3.0, 4.0]);
        assert_eq!(
            (0..4).map(|age| ring.value_at_age(age)).collect::<Vec<_>>(),
            [Some(4.0), Some(3.0), Some(2.0), None]
        );
        assert_eq!(ring.moments(), (3.0, 2.0 / 3.0));
    }
}
