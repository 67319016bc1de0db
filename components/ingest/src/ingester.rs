//! The stage's state and its calls.

use crate::{
    config::{ConfigError, Rules},
    formats::{self, Aliases, Version1},
    intake::{Decoded, Envelope, Event, Intake},
    letters::{self, Letter},
    names::Names,
    rejection::{Reason, Rejection},
};

/// First byte of a snapshot. Version 1 did not keep the numbers of births.
const SNAPSHOT_VERSION: u8 = 2;

/// Why a snapshot cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a snapshot of this stage and version.
    #[error("expected a snapshot of ingest, version 1 or {SNAPSHOT_VERSION}; {0}")]
    Snapshot(String),
}

/// Decodes and validates. Its state is the metric names of Sparkplug's births.
#[derive(Debug)]
pub struct Ingester {
    rules: Rules,
    names: Names,
    aliases: Aliases,
}

impl Ingester {
    /// With a configuration as JSON; an empty text means the defaults.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn open(config: &str) -> Result<Self, ConfigError> {
        Ok(Self { rules: Rules::parse(config)?, names: Names::default(), aliases: Aliases::default() })
    }

    /// Goes on where the snapshot was taken.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(config: &str, snapshot: &[u8]) -> Result<Self, RestoreError> {
        let unreadable = |error| RestoreError::Snapshot(format!("its body cannot be read: {error}"));
        let aliases = match snapshot {
            [SNAPSHOT_VERSION, body @ ..] => postcard::from_bytes(body).map_err(unreadable)?,
            [1, body @ ..] => postcard::from_bytes::<Version1>(body).map_err(unreadable)?.into(),
            [version, ..] => return Err(RestoreError::Snapshot(format!("got version {version}"))),
            [] => return Err(RestoreError::Snapshot("got no bytes".into())),
        };
        Ok(Self { aliases, ..Self::open(config)? })
    }

    /// The state as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        // Maps of strings and numbers always serialise; an empty state is what an impossible failure would leave.
        let body = postcard::to_stdvec(&self.aliases).unwrap_or_default();
        [&[SNAPSHOT_VERSION], body.as_slice()].concat()
    }

    /// Decodes events; what is no reading is refused with its reason.
    pub fn decode<'a>(&mut self, envelopes: impl IntoIterator<Item = Envelope<'a>>) -> Decoded {
        let mut out = Decoded::default();
        self.names.begin();
        for (index, envelope) in (0..).zip(envelopes) {
            self.names.next_event();
            let mut intake = Intake {
                rules: &self.rules,
                names: &mut self.names,
                out: &mut out,
                envelope: index,
                arrival: envelope.arrival,
                format: envelope.format,
                event: Event { room: letters::room(envelope.payload.len()), ..Event::default() },
            };
            let mark = intake.mark();
            let size = envelope.payload.len() as u64;
            if size > self.rules.max_payload {
                let message = format!(
                    "the event has {size} bytes, at most {} are taken; send smaller batches",
                    self.rules.max_payload
                );
                let payload = letters::beginning(envelope.payload);
                let format = envelope.format.map(str::to_owned);
                let letter = || Letter { payload, source: None, format };
                intake.refuse_as(0, Rejection::new(Reason::Oversize, message), 1, letter);
            } else {
                formats::decode(&envelope, &mut self.aliases, &mut intake);
            }
            if let Some(rejection) = intake.event.full.take() {
                let readings = intake.event.readings;
                intake.rollback(mark);
                intake.refuse(0, rejection, envelope.payload, readings);
            }
            intake.sort(mark);
            out.accepted.push(mark.accepted(&out));
        }
        out.state_changed = self.aliases.take_changed();
        out
    }
}
