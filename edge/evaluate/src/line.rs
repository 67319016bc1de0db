//! The line under test as a plant sees it: readings in, alerts out.

use wheeltapper_alert::Severity;

use crate::Error;

/// Readings and waveforms in order of arrival.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadingBatch {
    /// Index into the sensor table, one per reading.
    pub sensor: Vec<u32>,
    /// Nanoseconds since 1970, one per reading.
    pub time: Vec<i64>,
    /// Finite value in the unit of the sensor, one per reading.
    pub value: Vec<f64>,
    /// Waveforms.
    pub waveforms: Vec<WaveformReading>,
}

impl ReadingBatch {
    /// Whether the batch has neither readings nor waveforms.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.time.is_empty() && self.waveforms.is_empty()
    }

    /// Adds a reading.
    pub fn push(&mut self, sensor: u32, time: i64, value: f64) {
        self.sensor.push(sensor);
        self.time.push(time);
        self.value.push(value);
    }
}

/// Samples of one sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveformReading {
    /// Index into the sensor table.
    pub sensor: u32,
    /// Time of the first sample, in ns since 1970.
    pub start: i64,
    /// Sampling rate in Hz.
    pub rate: f64,
    /// Values in the unit of the sensor.
    pub samples: Vec<f32>,
}

/// An alert that opened, changed or resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertUpdate {
    /// Id of the alert; it stays the same until the alert is over.
    pub id: String,
    /// Id of the asset, or of the area or site of a group alert.
    pub asset: String,
    /// Id of the leading sensor.
    pub sensor: String,
    /// Highest severity so far.
    pub severity: Severity,
    /// Whether it is open.
    pub is_open: bool,
    /// Time of the change, in ns since 1970: when a user could know it.
    pub at: i64,
    /// The likely fault.
    pub fault_mode: Option<String>,
    /// Description.
    pub message: String,
}

/// A line with default settings. Nothing is reset between calls.
pub trait PlantLine {
    /// Passes readings through the line.
    ///
    /// # Errors
    /// [`Error::Pipeline`] if a stage fails.
    fn push(&mut self, batch: &ReadingBatch) -> Result<Vec<AlertUpdate>, Error>;

    /// Tells the line the time, in ns since 1970.
    ///
    /// # Errors
    /// [`Error::Pipeline`] if a stage fails.
    fn tick(&mut self, now: i64) -> Result<Vec<AlertUpdate>, Error>;

    /// Closes all windows, at the end of a recording.
    ///
    /// # Errors
    /// [`Error::Pipeline`] if a stage fails.
    fn flush(&mut self) -> Result<Vec<AlertUpdate>, Error>;
}

/// Opens a line with a configuration (`wheeltapper.toml`; empty for the defaults) and a sensor table of names and
/// assets.
pub type OpenLine<'a> = dyn Fn(&str, &[(String, String)]) -> Result<Box<dyn PlantLine>, Error> + Sync + 'a;
