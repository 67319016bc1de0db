//! The work that a call leaves when its output is full.

use crate::batch::{Batch, Waveform};

/// The position at which to continue with a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchCursor {
    /// Index of the next reading.
    pub(crate) next_reading: usize,
    /// Index of the sensor whose windows are still being closed.
    pub(crate) closing_sensor: Option<usize>,
    /// Index of the next waveform.
    pub(crate) next_waveform: usize,
}

/// The work that is left.
#[derive(Clone, Debug)]
pub(crate) enum PendingWork {
    /// A batch from a position on.
    Batch(OwnedBatch, BatchCursor),
    /// Indices of the sensors whose windows are to be closed up to a time in ns since 1970, the last of them first.
    Sensors(Vec<usize>, i64),
}

/// A batch that outlives its call.
#[derive(Clone, Debug)]
pub(crate) struct OwnedBatch {
    sensors: Vec<(Box<str>, Box<str>)>,
    sensor: Vec<u32>,
    time: Vec<i64>,
    value: Vec<f64>,
    waveforms: Vec<(u32, i64, f64, Vec<f32>)>,
    arrivals: Vec<(u32, i64)>,
}

impl PendingWork {
    pub(crate) fn from_batch(batch: &Batch<'_>, cursor: BatchCursor) -> Self {
        let to_owned =
            |waveform: &Waveform<'_>| (waveform.sensor, waveform.start, waveform.rate, waveform.samples.to_vec());
        let owned = OwnedBatch {
            sensors: batch.sensors.iter().map(|&(name, asset)| (name.into(), asset.into())).collect(),
            sensor: batch.sensor.to_vec(),
            time: batch.time.to_vec(),
            value: batch.value.to_vec(),
            waveforms: batch.waveforms.iter().map(to_owned).collect(),
            arrivals: batch.arrivals.to_vec(),
        };
        Self::Batch(owned, cursor)
    }
}

impl OwnedBatch {
    /// Calls a function with the batch.
    pub(crate) fn with_borrowed<T>(&self, call: impl FnOnce(&Batch<'_>) -> T) -> T {
        let sensors: Vec<(&str, &str)> = self.sensors.iter().map(|(name, asset)| (&**name, &**asset)).collect();
        let waveforms: Vec<Waveform<'_>> = self
            .waveforms
            .iter()
            .map(|(sensor, start, rate, samples)| Waveform { sensor: *sensor, start: *start, rate: *rate, samples })
            .collect();
        call(&Batch {
            sensors: &sensors,
            sensor: &self.sensor,
            time: &self.time,
            value: &self.value,
            waveforms: &waveforms,
            arrivals: &self.arrivals,
        })
    }
}
