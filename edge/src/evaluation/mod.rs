//! The built components under the benchmarks' protocols: featurize and detect, driven as the line drives them.

pub mod fleet;
mod line;

pub use line::Components;
