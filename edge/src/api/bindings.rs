//! Bindings of the API's component, generated from `wit/`.

#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::all,
    reason = "generated from wit/, which documents them"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "api",
    imports: { default: async },
    with: { "wheeltapper:pipeline/types": crate::components::wit::types },
});
