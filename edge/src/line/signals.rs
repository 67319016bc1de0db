//! What wakes those who follow the line.

use wheeltapper_log::WakeSignal;

/// The signals of all workers.
#[derive(Clone, Debug, Default)]
pub struct LineSignals {
    /// Given when findings are committed.
    pub findings: WakeSignal,
    /// Given when a worker has processed records.
    pub progress: WakeSignal,
}
