//! Tests of the components for wasmCloud in the test host.

mod common;
mod http;
mod imports;
mod line;
mod real;
