//! The state of the stage, and its operations.

use crate::{
    collector::{Decoded, Envelope, EventState, ReadingCollector},
    config::{ConfigError, ValidationRules},
    dead_letters::{self, DeadLetter},
    formats::{self, Aliases, AliasesV1},
    name_table::NameTable,
    rejection::{Reason, Rejection},
};

/// First byte of a snapshot. Version 1 had no `bdSeq` of births.
const SNAPSHOT_VERSION: u8 = 2;

/// Why a snapshot cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a snapshot of this stage, or of an unsupported version.
    #[error("expected a snapshot of ingest, version 1 or {SNAPSHOT_VERSION}; {0}")]
    Snapshot(String),
}

/// Decodes events and validates readings. Its state is the metric aliases of Sparkplug births; the table of sensor
/// names is a cache.
#[derive(Debug)]
pub struct Ingester {
    rules: ValidationRules,
    names: NameTable,
    aliases: Aliases,
}

impl Ingester {
    /// Creates an ingester with a configuration as JSON. An empty string selects the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is invalid.
    pub fn open(config: &str) -> Result<Self, ConfigError> {
        Ok(Self { rules: ValidationRules::parse(config)?, names: NameTable::default(), aliases: Aliases::default() })
    }

    /// Creates an ingester with the state of a snapshot.
    ///
    /// # Errors
    /// [`RestoreError`] if the configuration is invalid or the snapshot cannot be read.
    pub fn restore(config: &str, snapshot: &[u8]) -> Result<Self, RestoreError> {
        let unreadable = |error| RestoreError::Snapshot(format!("its body cannot be read: {error}"));
        let aliases = match snapshot {
            [SNAPSHOT_VERSION, body @ ..] => postcard::from_bytes(body).map_err(unreadable)?,
            [1, body @ ..] => postcard::from_bytes::<AliasesV1>(body).map_err(unreadable)?.into(),
            [version, ..] => return Err(RestoreError::Snapshot(format!("got version {version}"))),
            [] => return Err(RestoreError::Snapshot("got no bytes".into())),
        };
        Ok(Self { aliases, ..Self::open(config)? })
    }

    /// Serialises the state.
    pub fn snapshot(&self) -> Vec<u8> {
        // Serialising maps of strings and numbers cannot fail.
        let body = postcard::to_stdvec(&self.aliases).unwrap_or_default();
        [&[SNAPSHOT_VERSION], body.as_slice()].concat()
    }

    /// Decodes events. Input that is not a valid reading is rejected with the reason.
    pub fn decode<'a>(&mut self, envelopes: impl IntoIterator<Item = Envelope<'a>>) -> Decoded {
        let mut out = Decoded::default();
        self.names.begin_call();
        for (index, envelope) in (0..).zip(envelopes) {
            self.names.begin_event();
            let mut collector = ReadingCollector {
                rules: &self.rules,
                names: &mut self.names,
                out: &mut out,
                envelope: index,
                arrival: envelope.arrival,
                format: envelope.format,
                event: EventState {
                    dead_letter_budget: dead_letters::budget(envelope.payload.len()),
                    ..EventState::default()
                },
            };
            let savepoint = collector.savepoint();
            let size = envelope.payload.len() as u64;
            if size > self.rules.max_payload_bytes {
                let message = format!(
                    "expected at most {} bytes; the event has {size}: send smaller batches",
                    self.rules.max_payload_bytes
                );
                let payload = dead_letters::oversize_excerpt(envelope.payload);
                let format = envelope.format.map(str::to_owned);
                let dead_letter = || DeadLetter { payload, source: None, format };
                collector.reject_with(0, Rejection::new(Reason::Oversize, message), 1, dead_letter);
            } else {
                formats::decode(&envelope, &mut self.aliases, &mut collector);
            }
            if let Some(rejection) = collector.event.rejection.take() {
                let readings = collector.event.readings;
                collector.rollback(savepoint);
                collector.reject(0, rejection, envelope.payload, readings);
            }
            collector.sort_since(savepoint);
            out.accepted.push(savepoint.accepted(&out));
        }
        out.state_changed = self.aliases.take_changed();
        out
    }
}
