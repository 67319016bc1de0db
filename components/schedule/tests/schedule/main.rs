//! Tests of the stage schedule.

mod amendments;
mod orders;
mod properties;
