//! The featurize stage.
