//! The position of a stream and its listeners, under one lock.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

/// Sends events to listeners. A listener gets a position and each event after it exactly once: the position and the set
/// of listeners change under one lock, so that no listener subscribes between the two changes.
#[derive(Debug)]
pub(super) struct Broadcaster<P, E> {
    position: Mutex<P>,
    events: broadcast::Sender<Arc<E>>,
}

impl<P: Clone + PartialEq, E> Broadcaster<P, E> {
    /// At a position; a listener may be `capacity` events behind.
    pub(super) fn new(position: P, capacity: usize) -> Self {
        Self { position: Mutex::new(position), events: broadcast::channel(capacity).0 }
    }

    /// The position up to which events have been sent.
    pub(super) fn position(&self) -> P {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The events from now on, and the current position.
    pub(super) fn subscribe(&self) -> (broadcast::Receiver<Arc<E>>, P) {
        let position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        (self.events.subscribe(), position.clone())
    }

    /// Moves to `until` if there are no listeners; returns whether it did. If there are, they have to get the events in
    /// between.
    pub(super) fn skip_if_unheard(&self, until: &P) -> bool {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        if self.events.receiver_count() > 0 {
            return false;
        }
        position.clone_from(until);
        true
    }

    /// Sends events, the last of which ends at `position`.
    pub(super) fn publish(&self, events: Vec<E>, position: &P) {
        let mut current = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            // The listeners may have disconnected.
            let _ = self.events.send(Arc::new(event));
        }
        current.clone_from(position);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
        thread,
    };

    use super::*;

    /// Numbers are sent while listeners come and go; each has to receive all numbers after the position that it was
    /// given.
    #[test]
    fn a_listener_receives_all_events_after_its_position() {
        const LISTENERS: u64 = 2_000;
        let announcer = Broadcaster::new(0_u64, 1 << 16);
        let (line, ended) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let until = line.fetch_add(1, Ordering::Relaxed) + 1;
                    let from = announcer.position();
                    if !announcer.skip_if_unheard(&until) {
                        announcer.publish((from + 1..=until).collect(), &until);
                    }
                    // Otherwise no other thread would ever get the lock.
                    thread::yield_now();
                }
            });
            for _ in 0..LISTENERS {
                let (mut events, position) = announcer.subscribe();
                let first = loop {
                    match events.try_recv() {
                        Ok(first) => break *first,
                        Err(broadcast::error::TryRecvError::Empty) => thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                };
                if first != position + 1 {
                    ended.store(true, Ordering::Relaxed);
                    panic!("a listener at {position} received {first} first");
                }
            }
            ended.store(true, Ordering::Relaxed);
        });
    }
}
