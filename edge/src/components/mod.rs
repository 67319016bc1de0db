//! The sandbox: compiles, caches and runs the five stages as WebAssembly components.
//!
//! Each stage runs in its own wasmtime instance with a memory limit and a CPU-time limit on every call. Its clocks
//! stand still and its random numbers are constant, so its outputs depend only on its inputs. It has no files and no
//! network.

mod cache;
mod engine;
mod stages;
pub(crate) mod wasi;

pub(crate) use cache::load_or_compile;
pub use engine::{InstanceLimits, Sandbox, SandboxError, StageName};
pub use stages::{Alerter, CallError, Detector, Featurizer, Ingester, Scheduler, wit};
