//! The timer: ticks for the line, and the host's own housekeeping.

use std::{sync::Arc, time::Duration};

use tokio::time;

use crate::{clock, host::Host, supervisor::TaskContext};

/// Ticks every `period` and runs the housekeeping every second, until the task is stopped.
///
/// # Errors
/// If a tick cannot be written. The supervisor then restarts the task.
pub async fn run(host: Arc<Host>, period: Duration, task: TaskContext) -> anyhow::Result<()> {
    let mut tick = time::interval_at(time::Instant::now() + period, period);
    tick.set_missed_tick_behavior(time::MissedTickBehavior::Skip);
    let mut housekeeping = time::interval(Duration::from_secs(1));
    housekeeping.set_missed_tick_behavior(time::MissedTickBehavior::Skip);
    loop {
        // Both write to the disk, so they run off the threads that serve sockets.
        tokio::select! {
            _ = housekeeping.tick() => {
                let host = Arc::clone(&host);
                tokio::task::spawn_blocking(move || {
                    host.housekeeping();
                    host.snapshot_exchanges();
                    host.store.merge_small_chunks()
                })
                .await??;
                task.mark_healthy();
            }
            _ = tick.tick() => {
                let host = Arc::clone(&host);
                tokio::task::spawn_blocking(move || {
                    host.expire_store()?;
                    host.tick(clock::now())
                })
                .await??;
            }
        }
    }
}
