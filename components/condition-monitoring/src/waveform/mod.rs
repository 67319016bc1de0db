//! Features of a waveform: samples of an accelerometer at an even rate.
pub mod bands;
pub mod cepstrum;
pub mod envelope;
pub mod features;
pub mod fft;
pub mod gear;
pub mod iso20816;
pub mod level;
pub mod spectrum;
pub mod welch;
