//! Conformance tests: the same cases on every host produce the same rows, exact to the last bit.
//!
//! A case is a folder under `cases/`. [`check`] runs it on a [`Host`] and compares the tables of the host's store
//! with the case's `expected/`, which the edge host wrote. To test another host, implement [`Host`] for it:
//! [`platform::found`] reads the store of every platform that has the schema of `components/line`.

mod canonical;
mod case;
mod compare;
mod findings;
mod host;
pub mod http;
pub mod platform;
mod rows;

pub use canonical::{Found, Key, Table, double};
pub use case::{Case, Event, Step};
pub use compare::check;
pub use findings::findings;
pub use host::{Host, Receipt, Refused};
pub use rows::{Cell, Rows, Sqlite};
