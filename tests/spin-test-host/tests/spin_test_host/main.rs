//! Tests of the components for Spin in the test host.

mod bus;
mod common;
mod http;
mod line;
mod manifest;
mod settings;
mod storm;
