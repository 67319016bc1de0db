//! Tests of the stage featurize.

mod clocks;
mod machines;
mod reference;
mod windows;
