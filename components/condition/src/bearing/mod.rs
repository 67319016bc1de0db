//! Rolling bearings: geometry, the frequencies that follow from it, and diagnosis.
pub mod diagnosis;
pub mod geometry;
pub mod harmonic;
pub mod table;
