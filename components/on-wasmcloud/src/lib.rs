//! The line on wasmCloud. Each Cargo feature makes one component, which `cargo xtask compose` composes with its stages.

#[cfg(all(target_family = "wasm", feature = "http"))]
mod api_adapter;
#[cfg(all(target_family = "wasm", not(feature = "http")))]
mod bucket;
pub mod double;
#[cfg(all(target_family = "wasm", not(feature = "http")))]
mod listener;
#[cfg(target_family = "wasm")]
mod settings;
#[cfg(target_family = "wasm")]
mod sql;
pub mod subject;
#[cfg(target_family = "wasm")]
mod table;

#[cfg(all(target_family = "wasm", not(feature = "http")))]
#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "listener", generate_all });
}

#[cfg(all(target_family = "wasm", feature = "http"))]
#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "api-adapter", generate_all });
}
