//! The sandbox: compiles, caches and runs the five stages.
//!
//! A stage runs in a wasmtime instance of its own with a memory limit and a deadline on every call, with clocks that
//! stand still and random numbers that are always the same, so that nothing but its inputs can decide its outputs.

mod cache;
mod engine;
mod stages;

pub(crate) use cache::compiled;
pub use engine::{Limits, Sandbox, SandboxError, StageName};
pub use stages::{Alerter, CallError, Detector, Featurizer, Ingester, Scheduler, wit};
