//! What happens, as it happens: findings and repairs for whoever watches the plant, readings for whoever watches a sensor.
//!
//! A listener that was away goes on where it was: findings are read from the log and the store, readings from the line and
//! the store. What a slow listener has not taken is not kept in memory for it; it reads on from where it is.

mod announcer;
mod feed;
mod live;

pub use feed::{Event, Feed, Place};
pub use live::{Frame, Live};

/// Nanoseconds since 1970 as RFC 3339.
pub(crate) fn time_text(time: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time)).map_or_else(|_| time.to_string(), |time| time.to_string())
}
