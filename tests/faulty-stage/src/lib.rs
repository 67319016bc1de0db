//! A featurize stage that misbehaves on command: at the value 666 it panics, at 667 it loops for ever, at 668 it fills its
//! memory. Anything else it takes and makes no windows of.

#[cfg(target_family = "wasm")]
mod component;
