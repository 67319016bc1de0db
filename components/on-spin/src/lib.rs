//! The line on Spin. Each Cargo feature makes one component, which `cargo xtask compose` composes with the stages.

#[cfg(all(target_family = "wasm", feature = "cron"))]
mod cron;
#[cfg(all(target_family = "wasm", feature = "http"))]
mod http;
#[cfg(all(target_family = "wasm", feature = "mqtt"))]
mod mqtt;
#[cfg(target_family = "wasm")]
mod platform;
#[cfg(all(target_family = "wasm", feature = "redis"))]
mod redis;
#[cfg(all(target_family = "wasm", feature = "http"))]
mod settings;
