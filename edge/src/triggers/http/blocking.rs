//! Runs work that waits for the disk or needs a core on threads other than those that serve sockets, with a limit for
//! each kind of work.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::problem::Problem;

/// The maximum time that work waits for a thread.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Authentication, which reads `access.db`.
pub(crate) static AUTHENTICATION: BlockingPool = BlockingPool::new(8);
/// The routes that the host answers itself.
pub(crate) static ROUTES: BlockingPool = BlockingPool::new(16);
/// Decompression of bodies.
pub(crate) static DECOMPRESSION: BlockingPool = BlockingPool::new(2);
/// Streams that read on from the log and the store.
pub(crate) static STREAMS: BlockingPool = BlockingPool::new(4);

/// A limited number of threads for one kind of work.
#[derive(Debug)]
pub(crate) struct BlockingPool(Semaphore);

impl BlockingPool {
    const fn new(max_threads: usize) -> Self {
        Self(Semaphore::const_new(max_threads))
    }

    /// Runs `work` on a thread that may block.
    ///
    /// # Errors
    /// 503 if all threads of this kind stay busy, 500 if the work panics.
    pub(crate) async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.run_within(PERMIT_TIMEOUT, work).await
    }

    async fn run_within<T: Send + 'static>(
        &'static self,
        max_wait: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let Ok(Ok(permit)) = timeout(max_wait, self.0.acquire()).await else {
            let detail = "the host is busy with other requests; send the request again";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(2));
        };
        // The permit is released when the work ends, even if the caller has gone.
        let task = spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        task.await.map_err(|_| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the request failed inside the host; see the host's log for the reason",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_busy_pool_answers_with_retry() {
        static POOL: BlockingPool = BlockingPool::new(1);
        let (end, wait) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let busy = tokio::spawn(POOL.run(move || {
            began.send(()).unwrap();
            wait.recv()
        }));
        spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
        let short = Duration::from_millis(20);
        assert!(POOL.run_within(short, || ()).await.unwrap_err().detail().contains("again"));
        // The permit is not lost with the caller.
        busy.abort();
        assert!(POOL.run_within(short, || ()).await.is_err());
        end.send(()).unwrap();
        assert_eq!(POOL.run(|| 7).await.unwrap(), 7);
        assert!(POOL.run(|| panic!("on purpose")).await.unwrap_err().detail().contains("failed inside"));
    }
}
