//! Snapshots of the stages: bytes that the host stores and passes to a stage after a restart.

use std::fmt::Display;

use wheeltapper_alert::Alerter;
use wheeltapper_detect::Stage;
use wheeltapper_featurize::Featurizer;
use wheeltapper_ingest::{Envelope, Ingester};
use wheeltapper_schedule::Scheduler;

use crate::{NOW, bounds, byte};

/// Restores a stage from the input. The first byte selects the stage. A stage that accepts the bytes has to keep
/// working.
pub fn restore(mut bytes: &[u8]) {
    match byte(&mut bytes) % 5 {
        0 => {
            if let Some(mut ingester) = restore_twice(bytes, |bytes| Ingester::restore("", bytes), Ingester::snapshot) {
                let source = "spBv1.0/g/NDATA/n";
                ingester.decode([Envelope {
                    source,
                    format: None,
                    sensor: None,
                    arrival: NOW,
                    payload: b"\x12\x02\x10\x07",
                }]);
            }
        }
        1 => {
            if let Some(mut featurizer) =
                restore_twice(bytes, |bytes| Featurizer::restore("", bytes), Featurizer::snapshot)
            {
                featurizer.tick(NOW);
            }
        }
        2 => {
            if let Some(mut stage) = restore_twice(bytes, |bytes| Stage::restore("", bytes), Stage::snapshot) {
                stage.tick();
            }
        }
        3 => {
            if let Some(mut alerter) = restore_twice(bytes, |bytes| Alerter::restore("", bytes), Alerter::snapshot) {
                alerter.tick(NOW);
            }
        }
        _ => {
            if let Some(mut scheduler) =
                restore_twice(bytes, |bytes| Scheduler::restore("", bytes), Scheduler::snapshot)
            {
                scheduler.tick(NOW);
            }
        }
    }
}

/// Restores a stage, and asserts that its snapshot restores to the same state. `None`: the stage rejects the bytes.
fn restore_twice<S, E: Display>(
    bytes: &[u8],
    restore: impl Fn(&[u8]) -> Result<S, E>,
    snapshot: impl Fn(&S) -> Vec<u8>,
) -> Option<S> {
    let stage = match bounds::measured(bytes.len(), || restore(bytes)) {
        Ok(stage) => stage,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let written = snapshot(&stage);
    match restore(&written) {
        Ok(restored) => assert_eq!(snapshot(&restored), written, "the snapshot of the restored state differs"),
        Err(error) => panic!("the snapshot of a restored state cannot be restored: {error}"),
    }
    Some(stage)
}
