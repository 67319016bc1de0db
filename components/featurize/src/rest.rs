//! What a call leaves when one answer does not hold all that is due.

use crate::featurizer::{Batch, Burst};

/// Where a batch is to be gone on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The next reading.
    pub(crate) reading: usize,
    /// The sensor whose windows are still being closed.
    pub(crate) closing: Option<usize>,
    /// The next burst.
    pub(crate) burst: usize,
}

/// What is left.
#[derive(Clone, Debug)]
pub(crate) enum Rest {
    /// A batch from a place on.
    Batch(Owned, Place),
    /// Sensors whose windows are to be closed up to a time, the last of them first.
    Sensors(Vec<usize>, i64),
}

/// A batch that outlives its call.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    sensors: Vec<(Box<str>, Box<str>)>,
    sensor: Vec<u32>,
    time: Vec<i64>,
    value: Vec<f64>,
    bursts: Vec<(u32, i64, f64, Vec<f32>)>,
    arrivals: Vec<(u32, i64)>,
}

impl Rest {
    pub(crate) fn of(batch: &Batch<'_>, place: Place) -> Self {
        let burst = |burst: &Burst<'_>| (burst.sensor, burst.start, burst.rate, burst.samples.to_vec());
        let owned = Owned {
            sensors: batch.sensors.iter().map(|&(name, asset)| (name.into(), asset.into())).collect(),
            sensor: batch.sensor.to_vec(),
            time: batch.time.to_vec(),
            value: batch.value.to_vec(),
            bursts: batch.bursts.iter().map(burst).collect(),
            arrivals: batch.arrivals.to_vec(),
        };
        Self::Batch(owned, place)
    }
}

impl Owned {
    /// Calls `with` with the batch.
    pub(crate) fn lend<T>(&self, with: impl FnOnce(&Batch<'_>) -> T) -> T {
        let sensors: Vec<(&str, &str)> = self.sensors.iter().map(|(name, asset)| (&**name, &**asset)).collect();
        let bursts: Vec<Burst<'_>> = self
            .bursts
            .iter()
            .map(|(sensor, start, rate, samples)| Burst { sensor: *sensor, start: *start, rate: *rate, samples })
            .collect();
        with(&Batch {
            sensors: &sensors,
            sensor: &self.sensor,
            time: &self.time,
            value: &self.value,
            bursts: &bursts,
            arrivals: &self.arrivals,
        })
    }
}
