//! Request bodies: read within a size limit, a minimum rate and the memory reserved for bodies, and decompressed.

mod decompress;
mod error;
mod memory;
mod read;
mod timed;

pub(crate) use decompress::{decompress, is_compressed};
pub(crate) use error::{BodyError, DeadLetterDraft};
pub(crate) use memory::{BodyMemory, BodyPermit};
pub(crate) use read::read;
pub(crate) use timed::{BodyTimeouts, TimedBody, TimeoutFlag};
