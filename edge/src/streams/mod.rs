//! Streams of events: findings and work orders for listeners of the plant, readings for listeners of a sensor.
//!
//! A reconnected listener resumes where it stopped: findings are read from the log and the store, readings from the
//! line and the store. Events that a slow listener has not taken are not kept in memory for it; it reads on from its
//! own position.

mod broadcaster;
mod feed;
mod live;

pub use feed::{Event, Feed, StreamPosition};
pub use live::{LiveReadings, ReadingFrame};

/// Nanoseconds since 1970 as RFC 3339.
pub(crate) fn time_text(time: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time)).map_or_else(|_| time.to_string(), |time| time.to_string())
}
