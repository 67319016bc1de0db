//! Snapshots of the stages: bytes that the host kept in its store and hands back after a restart.

use std::fmt::Display;

use wheeltapper_alert::Alerter;
use wheeltapper_detect::Stage;
use wheeltapper_featurize::Featurizer;
use wheeltapper_ingest::{Envelope, Ingester};
use wheeltapper_schedule::Scheduler;

use crate::{NOW, bounds, byte};

/// The first byte says of which stage; a stage that takes the bytes has to keep on.
pub fn restore(mut bytes: &[u8]) {
    match byte(&mut bytes) % 5 {
        0 => {
            if let Some(mut ingester) = same(bytes, |bytes| Ingester::restore("", bytes), Ingester::snapshot) {
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
            if let Some(mut featurizer) = same(bytes, |bytes| Featurizer::restore("", bytes), Featurizer::snapshot) {
                featurizer.tick(NOW);
            }
        }
        2 => {
            if let Some(mut stage) = same(bytes, |bytes| Stage::restore("", bytes), Stage::snapshot) {
                stage.tick();
            }
        }
        3 => {
            if let Some(mut alerter) = same(bytes, |bytes| Alerter::restore("", bytes), Alerter::snapshot) {
                alerter.tick(NOW);
            }
        }
        _ => {
            if let Some(mut scheduler) = same(bytes, |bytes| Scheduler::restore("", bytes), Scheduler::snapshot) {
                scheduler.tick(NOW);
            }
        }
    }
}

/// Restores; what was restored is written as bytes that restore to the same.
fn same<S, E: Display>(
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
        Ok(again) => assert_eq!(snapshot(&again), written, "a snapshot of a snapshot is another"),
        Err(error) => panic!("what was restored is written as what cannot be restored: {error}"),
    }
    Some(stage)
}
