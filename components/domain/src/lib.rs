//! The domain model that the drivers of the line share: rows, names, dictionaries and encodings.
//!
//! Each driver generates its own Rust types from the contracts in `wit/`: the edge host with wasmtime, the line of other
//! platforms with wit-bindgen. [`contract_mapping!`] and [`contract_dictionary!`] expand the functions on these types in
//! each driver, so that they are written once. Times are nanoseconds since 1970.

mod contract;
mod dead_letter;
mod dictionary;
mod rows;
mod value;
mod waveform;

pub use contract::anomaly_metadata;
pub use dead_letter::{content_id, reading_line};
pub use dictionary::{iter_names, push_name};
pub use rows::{AlertRow, AnomalyRow, DeadLetter, DriftRow, PrognosisRow, WorkOrderRow};
pub use value::Value;
pub use waveform::{WAVEFORM_CONTENT_TYPE, encode_waveform};
