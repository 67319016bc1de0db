//! What the adapters have in common.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::LineError;

/// Runs what never waits, on platforms whose functions are all synchronous.
///
/// # Errors
/// What the line gives; [`LineError::Broken`] when one of the ports waited after all.
pub fn run<T>(future: impl Future<Output = Result<T, LineError>>) -> Result<T, LineError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(LineError::Broken("a port of the platform waited, which none does here".to_owned())),
    }
}

/// Nanoseconds since 1970, by the platform's clock.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The plant that a setting holds, or the file that it names after an `@`. `hint` asks after what makes a file readable on
/// the platform.
///
/// # Errors
/// [`LineError::Broken`] when the file cannot be read.
pub fn plant(setting: String, hint: &str) -> Result<String, LineError> {
    match setting.strip_prefix('@') {
        None => Ok(setting),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| LineError::Broken(format!("the plant's file {path} cannot be read: {error}; {hint}"))),
    }
}
