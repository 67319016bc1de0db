//! Functions that all adapters use.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::LineError;

/// Runs a future that never waits, for platforms whose functions are all synchronous.
///
/// # Errors
/// The line's error, or [`LineError::Broken`] if a port waited after all.
pub fn run_sync<T>(future: impl Future<Output = Result<T, LineError>>) -> Result<T, LineError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            Err(LineError::Broken("a platform port waited; expected all of them to be synchronous".to_owned()))
        }
    }
}

/// Returns the platform's time, in nanoseconds since 1970.
pub fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

/// Returns the plant that a setting contains, or the content of the file that it names after an `@`. `hint` is added
/// to the error message and says how to make a file readable on the platform.
///
/// # Errors
/// [`LineError::Broken`] if the file cannot be read.
pub fn load_plant(setting: String, hint: &str) -> Result<String, LineError> {
    match setting.strip_prefix('@') {
        None => Ok(setting),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| LineError::Broken(format!("the plant's file {path} cannot be read: {error}; {hint}"))),
    }
}
