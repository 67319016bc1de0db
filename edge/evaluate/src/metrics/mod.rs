//! Metrics, each with its formula and source.

mod confusion;
mod life;
mod period;
mod ranking;
mod volume;

pub use confusion::Confusion;
pub(crate) use confusion::{mean, quantile};
pub use life::{coverage, phm08, rmse};
pub use period::period;
pub use ranking::auc_pr;
pub use volume::{VOLUME_THRESHOLDS, VOLUME_WINDOW, vus_pr};
