//! Work that waits for the disk or takes a core: off the threads that serve sockets, and not too much of it at once.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::Problem;

/// Nobody waits longer than this for a turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who asks, found out: `access.db` is read.
pub(super) static AUTHENTICATION: Blocking = Blocking::new(8);
/// What the routes of this host do.
pub(super) static ROUTES: Blocking = Blocking::new(16);
/// Bodies that are unpacked.
pub(super) static UNPACKING: Blocking = Blocking::new(2);
/// Streams that read on from the log and the store.
pub(super) static STREAMS: Blocking = Blocking::new(4);

/// So many threads for one kind of work.
#[derive(Debug)]
pub(super) struct Blocking(Semaphore);

impl Blocking {
    const fn new(most: usize) -> Self {
        Self(Semaphore::const_new(most))
    }

    /// Runs it on a thread that may wait.
    ///
    /// # Errors
    /// 503 where all threads of this kind stay busy, 500 where the work panics.
    pub(super) async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.run_within(PATIENCE, work).await
    }

    async fn run_within<T: Send + 'static>(
        &'static self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let Ok(Ok(turn)) = timeout(patience, self.0.acquire()).await else {
            let detail = "the host is busy with others' requests; send the same again";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(2));
        };
        // The turn ends with the work, also where whoever asked has gone.
        let done = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await
            .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the host gave up on this; its log tells why"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn who_gets_no_turn_is_told_to_come_again() {
        static ONE: Blocking = Blocking::new(1);
        let (end, wait) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let busy = tokio::spawn(ONE.run(move || {
            began.send(()).unwrap();
            wait.recv()
        }));
        spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
        let short = Duration::from_millis(20);
        assert!(ONE.run_within(short, || ()).await.unwrap_err().detail().contains("again"));
        // The turn is not lost with whoever asked.
        busy.abort();
        assert!(ONE.run_within(short, || ()).await.is_err());
        end.send(()).unwrap();
        assert_eq!(ONE.run(|| 7).await.unwrap(), 7);
        assert!(ONE.run(|| panic!("on purpose")).await.unwrap_err().detail().contains("gave up"));
    }
}
