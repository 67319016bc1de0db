//! What goes wrong, and what must not be lost by it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dead_letters;
