//! The stages that keep a state for each key.

#[cfg(feature = "alert")]
pub(crate) mod alert;
#[cfg(feature = "detect")]
pub(crate) mod detect;
#[cfg(feature = "featurize")]
pub(crate) mod featurize;
#[cfg(feature = "schedule")]
pub(crate) mod schedule;
