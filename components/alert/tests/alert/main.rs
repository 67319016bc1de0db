//! Tests of the stage alert.

mod alerts;
mod properties;
