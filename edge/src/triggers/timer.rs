//! The timer: ticks for the line, and the host's own housekeeping.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time};

use crate::{clock, host::Host};

/// Ticks every `period`, and keeps house every second, until `stop` turns true.
pub async fn run(host: Arc<Host>, period: Duration, mut stop: watch::Receiver<bool>) {
    let mut tick = time::interval_at(time::Instant::now() + period, period);
    tick.set_missed_tick_behavior(time::MissedTickBehavior::Skip);
    let mut second = time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = crate::triggers::stopped(&mut stop) => return,
            _ = second.tick() => {
                host.housekeeping();
                let host = Arc::clone(&host);
                let compacted = tokio::task::spawn_blocking(move || {
                    host.keep_exchanges();
                    host.store.compact()
                })
                .await;
                if let Ok(Err(error)) = compacted {
                    tracing::warn!(%error, "small chunks of readings could not be merged; it is tried again");
                }
            }
            _ = tick.tick() => {
                let host = Arc::clone(&host);
                let ticked = tokio::task::spawn_blocking(move || {
                    if let Err(error) = host.expire_store() {
                        tracing::error!(%error, "old readings could not be dropped from the store; it is tried again");
                    }
                    host.tick(clock::now())
                });
                if let Ok(Err(error)) = ticked.await {
                    tracing::error!(%error, "the timer's tick could not be written");
                }
            }
        }
    }
}
