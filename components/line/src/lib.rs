//! The line on a platform that keeps no instance.

mod ports;
mod schema;

pub use ports::{Dialect, PortError, Ports, Topic, Value};
