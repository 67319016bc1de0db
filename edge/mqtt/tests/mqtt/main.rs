//! Tests of the broker and of the client for external brokers.

mod acknowledgement;
mod bounds;
mod broker;
mod common;
mod external;
mod independent;
mod rights;
