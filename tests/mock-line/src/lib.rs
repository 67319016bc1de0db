//! Stands behind the API's component where there is no line: it answers at once, always the same, and keeps nothing. With it
//! `cargo xtask bench api` can run the very component under `wasmtime serve`, which offers neither store nor stages. It does
//! less than any line does.

#[cfg(target_family = "wasm")]
mod component;
