//! Tests of the stage detect.

mod common;
mod detection;
mod drift;
mod dry_run;
mod life;
mod many;
mod states;
mod trend;
mod waveforms;
