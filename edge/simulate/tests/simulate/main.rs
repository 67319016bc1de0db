//! Tests of the simulated fleet and of recordings.

mod fleet;
mod publish;
mod recordings;
