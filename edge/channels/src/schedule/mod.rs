//! Times in which messages wait: quiet hours of a channel, and silences of machines.

mod quiet_hours;
mod silences;

pub use quiet_hours::QuietTimes;
pub use silences::Silences;
