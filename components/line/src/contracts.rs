//! Bindings of the five stages' imports and of their types.

#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::all,
    reason = "generated from wit/, which documents them"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "line",
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

pub use wheeltapper::pipeline::{alert, detect, featurize, ingest, schedule, types};
