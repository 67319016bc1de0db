//! Trend features of a scalar sensor's windows.
pub mod cusum;
pub mod quality;
pub mod trend;
