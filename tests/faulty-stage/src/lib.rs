//! A faulty featurize stage: at the value 666 it panics, at 667 it loops forever, at 668 it fills its memory. It
//! accepts all other readings and produces no windows.

#[cfg(target_family = "wasm")]
mod component;
