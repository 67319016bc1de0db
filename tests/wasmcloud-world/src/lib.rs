//! A test host that provides what wasmCloud 2.7 provides to our components: WASI 0.2, `wasmcloud:messaging`,
//! `wasmcloud:keyvalue@0.2.0`, `wasmcloud:postgres@0.1.1-draft` and `wasi:config`. Each message gets a new instance.
//!
//! PostgreSQL is real. The key-value store and the bus are in memory: a message that a component publishes stays in a
//! queue until the test delivers it, delivers it twice, or drops it. [`real`] runs the same components on a real
//! `wash`.

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
