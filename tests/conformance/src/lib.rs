//! Conformance tests: the same cases on every host produce the same rows, exact to the last bit.
//!
//! A case is a folder under `cases/`. [`run_case`] runs it on a [`Host`] and compares the tables of the host's store
//! with the case's `expected/`, which the edge host wrote. To test another host, implement [`Host`] for it:
//! [`platform_store::read_tables`] reads the store of every platform that has the schema of `components/line`.

mod canonical_rows;
mod case;
mod compare;
mod host;
pub mod http;
pub mod platform_store;
mod shared_tables;
mod sql_store;

pub use canonical_rows::{CanonicalTable, CanonicalTables, SortKey, double_to_json};
pub use case::{Case, Event, Step};
pub use compare::run_case;
pub use host::{Host, Receipt, RejectedPart};
pub use shared_tables::read_shared_tables;
pub use sql_store::{SqlStore, SqlValue, Sqlite};
