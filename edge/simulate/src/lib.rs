//! Where readings come from when no machine is at hand: a simulated fleet, recordings, and load for benchmarks.

mod bearing;
mod fault;
mod fleet;
mod load;
mod machine;
mod publish;
mod random;
mod recording;
mod waveform;

pub use bearing::Bearing;
pub use fault::Fault;
pub use fleet::{Fleet, FleetSpec, Step};
pub use load::LoadGenerator;
pub use publish::{Pace, PublishError, publish_http, publish_mqtt};
pub use recording::{Chunk, CsvOptions, CsvRecording, NpyOptions, NpyRecording, RecordingError};
pub use waveform::{WAVEFORM_TYPE, encode_waveform};
