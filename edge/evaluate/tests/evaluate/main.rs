//! Tests of the protocols of benchmarks and plants.

mod common;
mod made;
mod plants;
mod protocols;
