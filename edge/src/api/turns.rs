//! Who may compute now. Few at once, in the order in which they came: with more, all would take as long as the longest.

use std::{sync::Arc, thread, time::Duration};

use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Requests that have an instance at once; the others wait.
const SEATS: usize = 16;
/// Who waits for the line no longer than this keeps the turn meanwhile.
const PATIENCE: Duration = Duration::from_millis(5);

/// Gives out seats and turns.
#[derive(Debug)]
pub(super) struct Turns {
    seats: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Turns {
    /// For so many threads. While as many compute, one more waits for the line.
    pub(super) fn new(threads: usize) -> Self {
        Self { seats: Arc::new(Semaphore::new(SEATS)), turns: Arc::new(Semaphore::new(threads + 1)) }
    }

    /// Waits for a seat, then for a turn.
    ///
    /// # Errors
    /// Never, as nobody closes them.
    pub(super) async fn take(&self) -> Result<Turn, AcquireError> {
        let seat = Arc::clone(&self.seats).acquire_owned().await?;
        let held = Arc::clone(&self.turns).acquire_owned().await?;
        Ok(Turn { turns: Arc::clone(&self.turns), held: Some(held), _seat: seat })
    }
}

/// One's turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    _seat: OwnedSemaphorePermit,
}

impl Turn {
    /// Lets others compute while `waited` takes long.
    pub(super) async fn while_waiting<T>(&mut self, waited: impl Future<Output = T>) -> T {
        let mut waited = std::pin::pin!(waited);
        if let Ok(done) = timeout(PATIENCE, &mut waited).await {
            return done;
        }
        self.held = None;
        let done = waited.await;
        self.held = Arc::clone(&self.turns).acquire_owned().await.ok();
        done
    }
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
        assert!(first.held.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn seats_are_not_given_away() {
        let turns = Turns::new(SEATS);
        let mut held = Vec::new();
        for _ in 0..SEATS {
            held.push(turns.take().await.unwrap());
        }
        assert!(timeout(Duration::from_secs(1), turns.take()).await.is_err());
        held.pop();
        assert!(timeout(Duration::from_secs(1), turns.take()).await.is_ok());
    }
}
