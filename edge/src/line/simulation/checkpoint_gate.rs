//! Holds the thread that writes checkpoints between two transactions, so that the simulation decides what happens
//! there. Only one of the two threads runs at a time, so a history depends only on its seed.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::line::checkpoint::CheckpointGate;

#[derive(Debug, Default)]
struct GateState {
    /// Number of transactions that may still begin.
    permits: u32,
    /// Number of checkpoints that were handed over.
    begun: u32,
    /// Number of checkpoints that were written or failed.
    ended: u32,
    /// The worker waits for the checkpoints up to this one: they are not held.
    open_until: u32,
    /// The process died: nothing is written any more.
    is_killed: bool,
    /// The thread waits for a permit.
    is_held: bool,
}

impl GateState {
    fn is_idle(&self) -> bool {
        self.begun == self.ended
    }

    fn may_pass(&self) -> bool {
        self.permits > 0 || self.is_killed || self.ended < self.open_until
    }
}

/// The gate of one worker's checkpoints.
#[derive(Debug, Default)]
pub(super) struct SimulatedGate {
    state: Mutex<GateState>,
    changed: Condvar,
}

impl SimulatedGate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Permits one transaction, and waits until the thread is held again or has nothing to write.
    pub(super) fn run_one_transaction(&self) {
        let mut state = self.lock();
        if !state.is_idle() {
            state.permits = 1;
            state.is_held = false;
            self.changed.notify_all();
        }
        drop(state);
        self.wait_until_held();
    }

    /// Waits until the thread is held before a transaction, or has nothing to write.
    pub(super) fn wait_until_held(&self) {
        let state = self.lock();
        let _state = self
            .changed
            .wait_while(state, |state| !(state.is_idle() || state.is_killed || (state.is_held && !state.may_pass())))
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Stops holding: the thread finishes its write.
    pub(super) fn release(&self) {
        self.lock().open_until = u32::MAX;
        self.changed.notify_all();
    }

    /// Simulates the death of the process: the thread ends without another write.
    pub(super) fn kill(&self) {
        self.lock().is_killed = true;
        self.changed.notify_all();
    }
}

impl CheckpointGate for SimulatedGate {
    fn may_continue(&self) -> bool {
        let mut state = self.lock();
        state.is_held = true;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| !state.may_pass()).unwrap_or_else(PoisonError::into_inner);
        state.is_held = false;
        state.permits = 0;
        !state.is_killed
    }

    fn on_begin(&self) {
        self.lock().begun += 1;
    }

    fn on_end(&self) {
        self.lock().ended += 1;
        self.changed.notify_all();
    }

    fn on_wait(&self) {
        let mut state = self.lock();
        state.open_until = state.begun;
        drop(state);
        self.changed.notify_all();
    }
}
