//! Holds the thread that writes checkpoints between two transactions, so that the simulation decides what happens
//! there. Only one of the two threads runs at a time, so a history depends only on its seed.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::line::checkpoint::CheckpointGate;

#[derive(Debug, Default)]
struct State {
    /// Number of transactions that may still begin.
    permits: u32,
    /// Number of checkpoints that were handed over.
    begun: u32,
    /// Number of checkpoints that were written or failed.
    ended: u32,
    /// The worker waits for the checkpoints up to this one: they are not held.
    open_until: u32,
    /// The process died: nothing is written any more.
    dead: bool,
    /// The thread waits for a permit.
    held: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.begun == self.ended
    }

    fn may_pass(&self) -> bool {
        self.permits > 0 || self.dead || self.ended < self.open_until
    }
}

/// The gate of one worker's checkpoints.
#[derive(Debug, Default)]
pub(super) struct SimulatedGate {
    state: Mutex<State>,
    changed: Condvar,
}

impl SimulatedGate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Permits one transaction, and waits until the thread is held again or has nothing to write.
    pub(super) fn step(&self) {
        let mut state = self.lock();
        if !state.is_idle() {
            state.permits = 1;
            state.held = false;
            self.changed.notify_all();
        }
        drop(state);
        self.settle();
    }

    /// Waits until the thread is held before a transaction, or has nothing to write.
    pub(super) fn settle(&self) {
        let state = self.lock();
        let _state = self
            .changed
            .wait_while(state, |state| !(state.is_idle() || state.dead || (state.held && !state.may_pass())))
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Stops holding: the thread finishes its write.
    pub(super) fn release(&self) {
        self.lock().open_until = u32::MAX;
        self.changed.notify_all();
    }

    /// Simulates the death of the process: the thread ends without another write.
    pub(super) fn kill(&self) {
        self.lock().dead = true;
        self.changed.notify_all();
    }
}

impl CheckpointGate for SimulatedGate {
    fn pass(&self) -> bool {
        let mut state = self.lock();
        state.held = true;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| !state.may_pass()).unwrap_or_else(PoisonError::into_inner);
        state.held = false;
        state.permits = 0;
        !state.dead
    }

    fn began(&self) {
        self.lock().begun += 1;
    }

    fn ended(&self) {
        self.lock().ended += 1;
        self.changed.notify_all();
    }

    fn awaited(&self) {
        let mut state = self.lock();
        state.open_until = state.begun;
        drop(state);
        self.changed.notify_all();
    }
}
