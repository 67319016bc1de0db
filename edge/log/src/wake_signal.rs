//! Wakes threads that wait for a change.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Wakes threads that wait for a change, such as a new record. Clones are the same signal, so that a thread can wait for
/// several changes at once.
#[derive(Clone, Debug, Default)]
pub struct WakeSignal(Arc<SignalState>);

#[derive(Debug, Default)]
struct SignalState {
    lock: Mutex<()>,
    woken: Condvar,
    count: AtomicU64,
}

impl WakeSignal {
    /// The number of calls of [`Self::wake_all`].
    pub fn count(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }

    /// Wakes all waiting threads. What changed must be visible before the call.
    pub fn wake_all(&self) {
        let _guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.count.fetch_add(1, Ordering::Release);
        self.0.woken.notify_all();
    }

    /// Waits until `is_ready` returns true, for at most `timeout`; it is called now and after each
    /// [`Self::wake_all`]. Returns its last result. A thread that has read [`Self::count`] before it looked for changes
    /// misses none if it waits until the count differs.
    pub fn wait_until(&self, timeout: Duration, is_ready: impl Fn() -> bool) -> bool {
        let guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let (_guard, waited) =
            self.0.woken.wait_timeout_while(guard, timeout, |()| !is_ready()).unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out() || is_ready()
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use super::*;

    #[test]
    fn a_change_before_or_during_the_wait_is_noticed() {
        let signal = WakeSignal::default();
        let seen = signal.count();
        signal.wake_all();
        assert!(signal.wait_until(Duration::from_secs(60), || signal.count() != seen), "it changed before the wait");
        let seen = signal.count();
        assert!(!signal.wait_until(Duration::from_millis(1), || signal.count() != seen), "nothing changed");
        thread::scope(|scope| {
            let began = Instant::now();
            let waiting = scope.spawn(|| signal.wait_until(Duration::from_secs(60), || signal.count() != seen));
            signal.wake_all();
            assert!(waiting.join().unwrap_or(false) && began.elapsed() < Duration::from_secs(60));
        });
    }
}
