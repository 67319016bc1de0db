//! A test host that provides what wasmCloud 2.7 provides to our components: WASI 0.2, `wasmcloud:messaging`,
//! `wasmcloud:keyvalue@0.2.0`, `wasmcloud:postgres@0.1.1-draft` and `wasi:config`. Each message gets a new instance.
//!
//! PostgreSQL is real. The key-value store and the bus are in memory: a message that a component publishes stays in a
//! queue until the test delivers it, delivers it twice, or drops it. [`wash`] runs the same components on a real
//! `wash`.

mod connection_pool;
mod host;
mod host_state;
mod imports;
mod interfaces;
mod postgres_server;
pub mod wash;

pub use connection_pool::ConnectionPool;
pub use host::{LoadedComponent, Message, Settings, WasmCloudTestHost};
pub use imports::unsupported_imports;
pub use postgres_server::PostgresServer;
pub use tokio_postgres::Row;
