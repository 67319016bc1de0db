//! A mock line for the API's component: it answers immediately, always the same, and stores nothing. With it,
//! `cargo xtask bench api` can run the API's component under `wasmtime serve`, which has neither store nor stages. It
//! does less work than any real line.

#[cfg(target_family = "wasm")]
mod component;
