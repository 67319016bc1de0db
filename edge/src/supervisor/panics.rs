//! Converts panics into errors.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    future::Future,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::Once,
    task::{Context, Poll},
};

/// A panic that was caught.
#[derive(Debug)]
pub(crate) struct CaughtPanic {
    pub(crate) message: String,
    pub(super) backtrace: String,
}

thread_local! {
    /// Whether a supervisor catches panics on this thread and logs them.
    static SUPERVISED: Cell<bool> = const { Cell::new(false) };
    /// Backtrace of the last panic on this thread.
    static LAST_BACKTRACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Installs a panic hook that records the backtrace of a panic in a supervised body, as it is not available after the
/// panic is caught.
pub(crate) fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if SUPERVISED.get() {
                let location = info.location().map(ToString::to_string).unwrap_or_default();
                let backtrace = format!("at {location}\n{}", Backtrace::force_capture());
                LAST_BACKTRACE.with_borrow_mut(|last| *last = Some(backtrace));
            } else {
                default(info);
            }
        }));
    });
}

/// Runs a closure and converts a panic in it into an error.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, CaughtPanic> {
    let outer = SUPERVISED.replace(true);
    // A body that panicked restarts from durable state, so the state that it left inconsistent is never used.
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    SUPERVISED.set(outer);
    outcome.map_err(|payload| CaughtPanic {
        message: panic_message(payload.as_ref()),
        backtrace: LAST_BACKTRACE.take().unwrap_or_default(),
    })
}

/// The message of a panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|&text| text.to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Converts a panic while the future is polled into an error.
pub(super) struct CatchPanic<F>(Pin<Box<F>>);

impl<F> CatchPanic<F> {
    pub(super) fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, CaughtPanic>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_panic(|| self.0.as_mut().poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
