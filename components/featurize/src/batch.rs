//! The input of a call: readings and waveforms.

/// A batch of readings and waveforms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Name and asset of each sensor.
    pub sensors: &'a [(&'a str, &'a str)],
    /// Index into `sensors`, one per reading.
    pub sensor: &'a [u32],
    /// Nanoseconds since 1970, one per reading.
    pub time: &'a [i64],
    /// Finite value in the unit of the sensor, one per reading.
    pub value: &'a [f64],
    /// Waveforms; they are processed after the readings.
    pub waveforms: &'a [Waveform<'a>],
    /// Arrivals as (index of the first reading, arrival in ns since 1970), by rising index. An entry applies to the
    /// readings up to the next entry. The arrival of readings before the first entry is unknown.
    pub arrivals: &'a [(u32, i64)],
}

/// Samples of one sensor, taken at a constant rate.
#[derive(Clone, Copy, Debug)]
pub struct Waveform<'a> {
    /// Index into [`Batch::sensors`].
    pub sensor: u32,
    /// Time of the first sample, in nanoseconds since 1970.
    pub start: i64,
    /// Sampling rate, in Hz; above 0.
    pub rate: f64,
    /// Values in the unit of the sensor; at least one.
    pub samples: &'a [f32],
}
