//! The line of a plant: a platform's ports, and the plant's configuration.

use crate::{LineError, Ports, plant::PlantConfig};

/// How the stages after ingest are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// All at once, in the instance that took the event.
    Inline,
    /// Each in an instance of its own, notified over the platform's bus.
    Bus,
}

/// The line. Cheap to create: one is made for each event.
#[derive(Debug)]
pub struct Line<P> {
    pub(crate) ports: P,
    pub(crate) plant: PlantConfig,
    pub(crate) dispatch: Dispatch,
}

impl<P: Ports> Line<P> {
    /// Creates the line of a plant. `plant` is the output of `wheeltapper config plant`; an empty text is a plant
    /// without configured machines.
    ///
    /// # Errors
    /// [`LineError::Broken`] if `plant` is anything else.
    pub fn new(ports: P, plant: &str, dispatch: Dispatch) -> Result<Self, LineError> {
        Ok(Self { ports, plant: PlantConfig::parse(plant)?, dispatch })
    }
}
