//! Features of an even-rate waveform (burst) of an accelerometer.
pub mod bands;
pub mod cepstrum;
pub mod envelope;
pub mod features;
pub mod fft;
pub mod gear;
pub mod iso20816;
pub mod level;
pub mod order;
pub mod welch;
