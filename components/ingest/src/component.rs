//! The stage as a WebAssembly component: exports the WIT interface `ingest`, implemented by [`crate::Ingester`].

use std::cell::RefCell;

wit_bindgen::generate!({ path: "../../wit", world: "ingest-stage" });

use exports::wheeltapper::pipeline::ingest::{
    Decoded, Envelope, Guest, GuestIngester, Ingester as Handle, RejectedPart,
};
use wheeltapper::pipeline::types::{Dictionary, ReadingColumns, Reason, Rejection, StageError, Waveform};

struct Stage;

/// The exported resource `ingester`.
pub struct IngesterResource(RefCell<crate::Ingester>);

impl Guest for Stage {
    type Ingester = IngesterResource;
}

impl GuestIngester for IngesterResource {
    fn open(config: String) -> Result<Handle, StageError> {
        let ingester = crate::Ingester::open(&config).map_err(|error| StageError::Config(error.to_string()))?;
        Ok(Handle::new(Self(RefCell::new(ingester))))
    }

    fn restore(config: String, snapshot: Vec<u8>) -> Result<Handle, StageError> {
        let ingester = crate::Ingester::restore(&config, &snapshot).map_err(|error| match error {
            crate::RestoreError::Config(error) => StageError::Config(error.to_string()),
            crate::RestoreError::Snapshot(_) => StageError::Snapshot(error.to_string()),
        })?;
        Ok(Handle::new(Self(RefCell::new(ingester))))
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().snapshot()
    }

    fn decode(&self, envelopes: Vec<Envelope>) -> Result<Decoded, StageError> {
        let decoded = self.0.borrow_mut().decode(envelopes.iter().map(|envelope| crate::Envelope {
            source: &envelope.source,
            format: envelope.format.as_deref(),
            sensor: envelope.sensor.as_deref(),
            arrival: envelope.arrival,
            payload: &envelope.payload,
        }));
        Ok(Decoded {
            sensors: Dictionary { text: decoded.text, ends: decoded.ends },
            readings: ReadingColumns { sensor: decoded.sensor, time: decoded.time, value: decoded.value },
            waveforms: decoded
                .waveforms
                .into_iter()
                .map(|waveform| Waveform {
                    sensor: waveform.sensor,
                    start: waveform.start,
                    rate: waveform.rate,
                    samples: waveform.samples,
                })
                .collect(),
            accepted: decoded.accepted,
            rejected: decoded.rejected.into_iter().map(|part| rejected_part(part, &envelopes)).collect(),
            state_changed: decoded.state_changed,
        })
    }
}

fn rejected_part(part: crate::RejectedPart, envelopes: &[Envelope]) -> RejectedPart {
    let source = || envelopes.get(part.envelope as usize).map(|envelope| envelope.source.clone());
    let reason = match part.rejection.reason {
        crate::Reason::Malformed => Reason::Malformed,
        crate::Reason::Oversize => Reason::Oversize,
        crate::Reason::NonFinite => Reason::NonFinite,
        crate::Reason::TooOld => Reason::TooOld,
        crate::Reason::InFuture => Reason::InFuture,
        crate::Reason::UnknownSensor => Reason::UnknownSensor,
        crate::Reason::OutOfRange => Reason::OutOfRange,
    };
    RejectedPart {
        envelope: part.envelope,
        position: part.position,
        sensor: part.rejection.sensor,
        rejection: Rejection { reason, message: part.rejection.message },
        source: part.source.or_else(source).unwrap_or_default(),
        payload: part.payload,
        format: part.format,
        readings: part.readings,
    }
}

export!(Stage);
