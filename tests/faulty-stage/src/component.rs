//! The stage as a component.

wit_bindgen::generate!({ path: "../../wit", world: "featurize-stage" });

use exports::wheeltapper::pipeline::featurize::{Featurized, Featurizer as Handle, Guest, GuestFeaturizer};
use wheeltapper::pipeline::types::{Dictionary, FeatureBatch, ReadingBatch, SensorTable, StageError, Time};

struct Stage;

/// The exported resource, which has no state.
pub struct Resource;

impl Guest for Stage {
    type Featurizer = Resource;
}

impl GuestFeaturizer for Resource {
    fn open(_config: String) -> Result<Handle, StageError> {
        Ok(Handle::new(Self))
    }

    fn restore(_config: String, _snapshot: Vec<u8>) -> Result<Handle, StageError> {
        Ok(Handle::new(Self))
    }

    fn snapshot(&self) -> Vec<u8> {
        vec![1]
    }

    fn push(&self, batch: ReadingBatch) -> Result<Featurized, StageError> {
        for value in batch.readings.value {
            if value == 666.0 {
                std::process::abort();
            } else if value == 667.0 {
                loop {
                    std::hint::black_box(value);
                }
            } else if value == 668.0 {
                let mut all = Vec::new();
                loop {
                    all.push(std::hint::black_box(vec![1_u8; 16 << 20]));
                }
            }
        }
        Ok(empty_result())
    }

    fn tick(&self, _now: Time) -> Result<Featurized, StageError> {
        Ok(empty_result())
    }

    fn flush(&self) -> Result<Featurized, StageError> {
        Ok(empty_result())
    }

    fn resume(&self) -> Result<Featurized, StageError> {
        Ok(empty_result())
    }
}

fn empty_result() -> Featurized {
    let empty = || Dictionary { text: String::new(), ends: Vec::new() };
    let sensors = SensorTable { names: empty(), assets: empty(), asset: Vec::new() };
    Featurized {
        features: FeatureBatch { sensors, blocks: Vec::new() },
        rejected: Vec::new(),
        repeated: Vec::new(),
        late: Vec::new(),
        has_more: false,
    }
}

export!(Stage);
