//! The detect stage.
