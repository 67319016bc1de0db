//! Runs the built components on benchmarks with their protocols: featurize and detect, called in the same way as by the
//! line.

pub mod fleet;
mod line;

pub use line::Components;
