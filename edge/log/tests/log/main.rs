//! Tests of the log.

mod committer;
mod damage;
mod log;
mod model;
mod recover;
mod retention;
mod support;
