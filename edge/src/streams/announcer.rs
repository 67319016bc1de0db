//! Where the stream is, and who listens to it: both under one lock.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

/// Hands events to listeners. A listener gets a place and all events after that place, none twice: place and listeners
/// change under one lock, so that nobody begins to listen between the two.
#[derive(Debug)]
pub(super) struct Announcer<P, E> {
    place: Mutex<P>,
    events: broadcast::Sender<Arc<E>>,
}

impl<P: Clone + PartialEq, E> Announcer<P, E> {
    /// At a place; a listener may be `kept` events behind.
    pub(super) fn new(place: P, kept: usize) -> Self {
        Self { place: Mutex::new(place), events: broadcast::channel(kept).0 }
    }

    /// How far it has been told.
    pub(super) fn place(&self) -> P {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events from now on, and where now is.
    pub(super) fn listen(&self) -> (broadcast::Receiver<Arc<E>>, P) {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        (self.events.subscribe(), place.clone())
    }

    /// Moves to `until` if nobody listens; tells whether it did. Whoever began to listen meanwhile is owed what lies
    /// between.
    pub(super) fn skip_unheard(&self, until: &P) -> bool {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if self.events.receiver_count() > 0 {
            return false;
        }
        place.clone_from(until);
        true
    }

    /// Tells events that end at `place`.
    pub(super) fn announce(&self, events: Vec<E>, place: &P) {
        let mut held = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            // Whoever listened may have gone.
            let _ = self.events.send(Arc::new(event));
        }
        held.clone_from(place);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
        thread,
    };

    use super::*;

    /// Numbers are told while listeners come and go; each has to hear all numbers after the place that it was given.
    #[test]
    fn a_listener_hears_all_that_follows_its_place() {
        const LISTENERS: u64 = 2_000;
        let announcer = Announcer::new(0_u64, 1 << 16);
        let (line, ended) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let until = line.fetch_add(1, Ordering::Relaxed) + 1;
                    let from = announcer.place();
                    if !announcer.skip_unheard(&until) {
                        announcer.announce((from + 1..=until).collect(), &until);
                    }
                    // Or nobody else would ever get the lock.
                    thread::yield_now();
                }
            });
            for _ in 0..LISTENERS {
                let (mut events, place) = announcer.listen();
                let first = loop {
                    match events.try_recv() {
                        Ok(first) => break *first,
                        Err(broadcast::error::TryRecvError::Empty) => thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                };
                if first != place + 1 {
                    ended.store(true, Ordering::Relaxed);
                    panic!("a listener at {place} heard {first} first");
                }
            }
            ended.store(true, Ordering::Relaxed);
        });
    }
}
