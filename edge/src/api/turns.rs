//! Who may compute now, and for how long before the next one's turn comes. Few at once, in the order in which they came: with more, all would take as long as the longest.

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

/// Requests that have an instance at once; the others wait.
const SEATS: usize = 16;
/// Who waits for the line no longer than this keeps the turn meanwhile.
const PATIENCE: Duration = Duration::from_millis(5);
/// Who gets no seat within this time is told to come again,
const QUEUEING: Duration = Duration::from_secs(5);
/// and so is who comes when so many wait.
const QUEUE: usize = 256;

/// Gives out seats and turns.
#[derive(Debug)]
pub(super) struct Turns {
    seats: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    queue: Semaphore,
}

/// All seats stay taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Saturated;

impl Turns {
    /// For so many threads. While as many compute, one more waits for the line.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(SEATS)),
            turns: Arc::new(Semaphore::new(threads + 1)),
            queue: Semaphore::new(QUEUE),
        }
    }

    /// Waits for a seat, then for a turn.
    ///
    /// # Errors
    /// [`Saturated`] where too many wait, or none becomes free for long.
    pub(super) async fn take(&self) -> Result<Turn, Saturated> {
        let _place = self.queue.try_acquire().map_err(|_| Saturated)?;
        let taken = timeout(QUEUEING, async {
            let seat = Arc::clone(&self.seats).acquire_owned().await.ok()?;
            let held = Arc::clone(&self.turns).acquire_owned().await.ok()?;
            Some((seat, held))
        });
        let (seat, held) = taken.await.ok().flatten().ok_or(Saturated)?;
        Ok(Turn { turns: Arc::clone(&self.turns), held: Arc::new(Mutex::new(Some(held))), _seat: seat })
    }
}

/// One's turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Semaphore>,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    _seat: OwnedSemaphorePermit,
}

impl Turn {
    /// Lets others compute while `waited` takes long.
    pub(super) async fn while_waiting<T>(&mut self, waited: impl Future<Output = T>) -> T {
        let mut waited = std::pin::pin!(waited);
        if let Ok(done) = timeout(PATIENCE, &mut waited).await {
            return done;
        }
        hold(&self.held, None);
        let done = waited.await;
        hold(&self.held, Arc::clone(&self.turns).acquire_owned().await.ok());
        done
    }

    /// Lets whoever waits longest compute, and waits for the next turn; goes on at once where nobody waits.
    pub(super) fn pass_on(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (turns, held) = (Arc::clone(&self.turns), Arc::clone(&self.held));
        Box::pin(async move {
            // Also what waits for this thread alone gets its turn.
            tokio::task::yield_now().await;
            hold(&held, None);
            let next = turns.acquire_owned().await.ok();
            hold(&held, next);
        })
    }
}

fn hold(held: &Mutex<Option<OwnedSemaphorePermit>>, permit: Option<OwnedSemaphorePermit>) {
    *held.lock().unwrap_or_else(PoisonError::into_inner) = permit;
}

/// How many threads compute.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(2, |cores| cores.get().max(2))
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_gives_the_turn_away_and_a_short_one_keeps_it() {
        let turns = Turns::new(1);
        let mut first = turns.take().await.unwrap();
        let _second = turns.take().await.unwrap();
        assert!(timeout(Duration::from_secs(1), turns.take()).await.is_err(), "two turns, both taken");

        let (answer, asked) = oneshot::channel();
        let waiting = tokio::spawn(async move {
            let answered = first.while_waiting(asked).await;
            (first, answered)
        });
        sleep(PATIENCE / 2).await;
        assert!(timeout(PATIENCE / 4, turns.take()).await.is_err(), "kept while the wait is short");
        sleep(PATIENCE).await;
        let third = turns.take().await.unwrap();
        answer.send(7).unwrap();
        sleep(PATIENCE).await;
        assert!(!waiting.is_finished(), "its turn comes again when another's ends");
        drop(third);
        let (first, answered) = waiting.await.unwrap();
        assert_eq!(answered, Ok(7));
        assert!(first.held.lock().unwrap().is_some());
    }

    /// Four that compute for ever, a slice at a time, hold up a fifth for a slice of each at most.
    #[tokio::test(start_paused = true)]
    async fn who_computes_for_long_lets_others_go_first() {
        const SLICE: Duration = Duration::from_millis(10);
        let turns = Arc::new(Turns::new(1));
        for _ in 0..4 {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move {
                let turn = turns.take().await.unwrap();
                loop {
                    sleep(SLICE).await;
                    turn.pass_on().await;
                }
            });
        }
        sleep(10 * SLICE).await;
        for _ in 0..100 {
            let began = tokio::time::Instant::now();
            drop(turns.take().await.unwrap());
            assert!(began.elapsed() <= 4 * SLICE, "{:?}", began.elapsed());
            sleep(SLICE / 3).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn seats_are_not_given_away() {
        let turns = Turns::new(SEATS);
        let mut held = Vec::new();
        for _ in 0..SEATS {
            held.push(turns.take().await.unwrap());
        }
        assert!(timeout(Duration::from_secs(1), turns.take()).await.is_err());
        assert_eq!(turns.take().await.unwrap_err(), Saturated, "nobody waits for ever");
        held.pop();
        assert!(timeout(Duration::from_secs(1), turns.take()).await.is_ok());
    }
}
