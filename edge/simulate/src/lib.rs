//! A physical simulation of a fleet of machines, publishers for its readings, a load generator for benchmarks, and
//! readers of recordings.
//!
//! - [`Fleet`]: pumps, motors, fans and gearboxes with coupled speed, load, temperature and vibration. Faults grow from
//!   an onset; [`Fleet::labels_csv`] lists them. [`Fleet::config_toml`] returns the configuration of the plant.
//! - [`Plant`]: machines as they run in ordinary plants, under changing demand, with slow, coarse and failing sensors,
//!   outages and repairs. [`SCENARIOS`] lists the behaviours.
//! - [`publish_http`] and [`publish_mqtt`] publish a fleet at a [`Pace`].
//! - [`LoadGenerator`] writes plausible readings at maximum speed.
//! - [`CsvRecording`] and [`NpyRecording`] read recordings as [`Chunk`]s in formats that ingest accepts.

mod fleet;
mod load;
mod ndjson;
mod plant;
mod publish;
mod random;
mod recording;

pub use fleet::{
    Bearing, Fault, FaultLabel, Fleet, FleetSensor, FleetSpec, MachineKind, Reading, SensorLimits, Tick, Waveform,
    bearing_named,
};
pub use load::LoadGenerator;
pub use plant::{
    Delivery, FaultCourse, Growth, LATE_DATA, Plant, SCENARIOS, Scenario, ScenarioClass, SensorFault, SensorFaultKind,
    TrueChange, TrueFault, TrueFaultKind, Truth,
};
pub use publish::{Pace, PublishError, publish_http, publish_mqtt};
pub use recording::{Chunk, CsvOptions, CsvRecording, NpyOptions, NpyRecording, RecordingError};
pub use wheeltapper_domain::{WAVEFORM_CONTENT_TYPE, encode_waveform};
