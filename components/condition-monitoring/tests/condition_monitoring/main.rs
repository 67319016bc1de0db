//! Tests against public recordings, references and extremes.

mod cmapss;
mod common;
mod cwru;
mod extremes;
mod ims;
mod reference;
