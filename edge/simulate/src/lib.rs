//! A simulated fleet with physics in it, what publishes it, load for benchmarks, and readers of recordings.
//!
//! - [`Fleet`]: pumps, motors, fans and gearboxes whose speed, load, heat and vibration hang together, and whose faults
//!   grow from an onset; [`Fleet::labels_csv`] says which, [`Fleet::config_toml`] describes the plant.
//! - [`publish_http`] and [`publish_mqtt`] send it at a [`Pace`].
//! - [`LoadGenerator`]: plausible bodies, as fast as a benchmark wants them.
//! - [`CsvRecording`] and [`NpyRecording`]: recordings as [`Chunk`]s in formats that ingest takes.

mod fleet;
mod load;
mod ndjson;
mod publish;
mod random;
mod recording;
mod waveform;

pub use fleet::{
    Bearing, Burst, Fault, Fleet, FleetSpec, Label, Limits, MachineKind, Reading, Sensor, Tick, bearing_named,
};
pub use load::LoadGenerator;
pub use publish::{Pace, PublishError, publish_http, publish_mqtt};
pub use recording::{Chunk, CsvOptions, CsvRecording, NpyOptions, NpyRecording, RecordingError};
pub use waveform::{WAVEFORM_CONTENT_TYPE, encode_waveform};
