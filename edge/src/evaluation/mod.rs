//! Runs the built components on benchmarks with their protocols: featurize and detect, called in the same way as by the
//! line.

mod component_pipeline;

pub use component_pipeline::ComponentPipeline;
