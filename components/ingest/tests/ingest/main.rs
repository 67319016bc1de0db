//! Tests of the stage ingest.

mod common;
mod csv;
mod dead_letters;
mod formats;
mod limits;
mod line_protocol;
mod rates;
mod senml;
mod sparkplug;
