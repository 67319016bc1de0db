//! A host that offers what wasmCloud 2.7 offers to a component of ours, for the tests: WASI 0.2, `wasmcloud:messaging`,
//! `wasmcloud:keyvalue@0.2.0`, `wasmcloud:postgres@0.1.1-draft` and `wasi:config`; each message gets a fresh instance.
//!
//! PostgreSQL is real. The key-value store and the bus are in memory: a message that a component publishes waits in a
//! queue until the test hands it on, twice, or not at all. [`real`] runs the same components on a real `wash`.

mod guest;
mod imports;
mod interfaces;
mod postgres;
pub mod real;
mod server;
mod world;

pub use imports::strangers;
pub use postgres::Pool;
pub use server::Postgres;
pub use tokio_postgres::Row;
pub use world::{Loaded, Message, Settings, WasmCloudWorld};
