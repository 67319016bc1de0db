//! Tests of the simulated fleet, of plants and of recordings.

mod fleet;
mod plant;
mod publish;
mod recordings;
