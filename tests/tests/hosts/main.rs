//! End-to-end tests of the built binary.

mod access;
mod bad_input;
mod baseline;
mod brokers;
mod clients;
mod crash;
mod determinism;
mod evaluate;
mod recordings;
mod retention;
mod routes;
mod streams;
mod tenants;
mod webhook;
