//! Rolling bearings: geometry, fault frequencies and diagnosis.
pub mod diagnosis;
pub mod geometry;
pub mod harmonic;
pub mod table;
