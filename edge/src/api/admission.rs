//! Limits how many requests compute at once, in the order in which they arrived: with more at once, all would take as
//! long as the longest. A request that computes for long lets others go first.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The maximum number of requests that have an instance; the others wait.
const SLOTS: usize = 16;
/// A request that waits for the line no longer than this keeps its compute permit.
const SHORT_WAIT: Duration = Duration::from_millis(5);
/// The maximum time that a request waits for a slot; after that it is answered with 503,
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// and so are requests that arrive while this many wait.
const MAX_QUEUED: usize = 256;

/// Gives out slots and compute permits.
#[derive(Debug)]
pub(super) struct Admission {
    slots: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    queue: Semaphore,
}

/// All slots stay taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Saturated;

impl Admission {
    /// For this number of threads. One request more than threads may compute, as one of them usually waits for the
    /// line.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(SLOTS)),
            permits: Arc::new(Semaphore::new(threads + 1)),
            queue: Semaphore::new(MAX_QUEUED),
        }
    }

    /// Waits for a slot, then for a compute permit.
    ///
    /// # Errors
    /// [`Saturated`] if too many requests wait, or no slot becomes free in time.
    pub(super) async fn admit(&self) -> Result<ComputePermit, Saturated> {
        let _queue_slot = self.queue.try_acquire().map_err(|_| Saturated)?;
        let acquired = timeout(QUEUE_TIMEOUT, async {
            let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
            let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
            Some((slot, permit))
        });
        let (slot, permit) = acquired.await.ok().flatten().ok_or(Saturated)?;
        Ok(ComputePermit {
            permits: Arc::clone(&self.permits),
            permit: Arc::new(Mutex::new(Some(permit))),
            _slot: slot,
        })
    }
}

/// The permit of one request to compute, until it is dropped.
#[derive(Debug)]
pub(super) struct ComputePermit {
    permits: Arc<Semaphore>,
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    _slot: OwnedSemaphorePermit,
}

impl ComputePermit {
    /// Lets others compute if `waited` takes longer than [`SHORT_WAIT`].
    pub(super) async fn release_while<T>(&mut self, waited: impl Future<Output = T>) -> T {
        let mut waited = std::pin::pin!(waited);
        if let Ok(done) = timeout(SHORT_WAIT, &mut waited).await {
            return done;
        }
        set_permit(&self.permit, None);
        let done = waited.await;
        set_permit(&self.permit, Arc::clone(&self.permits).acquire_owned().await.ok());
        done
    }

    /// Lets the request that has waited longest compute, and waits for the next permit; returns at once if no request
    /// waits.
    pub(super) fn yield_permit(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (permits, permit) = (Arc::clone(&self.permits), Arc::clone(&self.permit));
        Box::pin(async move {
            // Tasks that wait only for this thread get their turn as well.
            tokio::task::yield_now().await;
            set_permit(&permit, None);
            let next = permits.acquire_owned().await.ok();
            set_permit(&permit, next);
        })
    }
}

fn set_permit(holder: &Mutex<Option<OwnedSemaphorePermit>>, permit: Option<OwnedSemaphorePermit>) {
    *holder.lock().unwrap_or_else(PoisonError::into_inner) = permit;
}

/// The number of threads that compute.
pub(super) fn thread_count() -> usize {
    thread::available_parallelism().map_or(2, |cores| cores.get().max(2))
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_releases_the_permit_and_a_short_one_keeps_it() {
        let admission = Admission::new(1);
        let mut first = admission.admit().await.unwrap();
        let _second = admission.admit().await.unwrap();
        assert!(timeout(Duration::from_secs(1), admission.admit()).await.is_err(), "two permits, both taken");

        let (answer, receiver) = oneshot::channel();
        let waiting = tokio::spawn(async move {
            let answered = first.release_while(receiver).await;
            (first, answered)
        });
        sleep(SHORT_WAIT / 2).await;
        assert!(timeout(SHORT_WAIT / 4, admission.admit()).await.is_err(), "kept while the wait is short");
        sleep(SHORT_WAIT).await;
        let third = admission.admit().await.unwrap();
        answer.send(7).unwrap();
        sleep(SHORT_WAIT).await;
        assert!(!waiting.is_finished(), "it gets a permit again when another ends");
        drop(third);
        let (first, answered) = waiting.await.unwrap();
        assert_eq!(answered, Ok(7));
        assert!(first.permit.lock().unwrap().is_some());
    }

    /// Four requests that compute without end, a slice at a time, delay a fifth by one slice of each at most.
    #[tokio::test(start_paused = true)]
    async fn a_long_computation_lets_others_go_first() {
        const SLICE: Duration = Duration::from_millis(10);
        let admission = Arc::new(Admission::new(1));
        for _ in 0..4 {
            let admission = Arc::clone(&admission);
            tokio::spawn(async move {
                let permit = admission.admit().await.unwrap();
                loop {
                    sleep(SLICE).await;
                    permit.yield_permit().await;
                }
            });
        }
        sleep(10 * SLICE).await;
        for _ in 0..100 {
            let began = tokio::time::Instant::now();
            drop(admission.admit().await.unwrap());
            assert!(began.elapsed() <= 4 * SLICE, "{:?}", began.elapsed());
            sleep(SLICE / 3).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_held_until_a_request_ends() {
        let admission = Admission::new(SLOTS);
        let mut permits = Vec::new();
        for _ in 0..SLOTS {
            permits.push(admission.admit().await.unwrap());
        }
        assert!(timeout(Duration::from_secs(1), admission.admit()).await.is_err());
        assert_eq!(admission.admit().await.unwrap_err(), Saturated, "no request waits forever");
        permits.pop();
        assert!(timeout(Duration::from_secs(1), admission.admit()).await.is_ok());
    }
}
