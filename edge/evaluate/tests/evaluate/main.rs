//! Tests of the benchmarks' protocols.

mod common;
mod made;
mod protocols;
