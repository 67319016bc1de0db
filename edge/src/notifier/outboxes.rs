//! The outboxes of all channels, stored: a message is in the store before its route goes on, and a parcel before it is
//! sent.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use wheeltapper_channels::{AlertMessage, Attempt, BreakerState, Effect, Outbox, OutboxSettings, Parcel, Step};
use wheeltapper_store::Store;

/// The prefix of the keys under which messages that wait are stored.
pub(crate) const OUTBOX_PREFIX: &str = "outbox/";

/// Returns the time before which a message must not be sent on a channel, if there is one.
pub(super) type Hold<'a> = &'a dyn Fn(&AlertMessage) -> Option<i64>;

/// A channel, for one call.
pub(super) struct Channel<'a> {
    pub(super) settings: OutboxSettings,
    pub(super) hold: Hold<'a>,
}

/// The outboxes by channel. An outbox is loaded when it is first used, and again after the store has failed.
pub(super) struct Outboxes {
    store: Store,
    loaded: Mutex<BTreeMap<String, Outbox>>,
}

/// What a channel does next; see [`Step`].
#[derive(Debug)]
pub(super) enum Next {
    Send(Box<Parcel>),
    /// Messages were handed over to the fallback.
    HandedOver,
    Wait(Option<i64>),
}

impl Outboxes {
    pub(super) fn new(store: Store) -> Self {
        Self { store, loaded: Mutex::default() }
    }

    /// Adds a message to the outboxes of all these channels at once.
    ///
    /// # Errors
    /// If the store cannot be read or written; then no outbox has the message.
    pub(super) fn push(&self, channels: &[Channel<'_>], message: &AlertMessage, now: i64) -> anyhow::Result<()> {
        let names = channels.iter().map(|channel| channel.settings.channel.as_str()).collect::<Vec<_>>();
        self.transaction(&names, |loaded| {
            for channel in channels {
                self.load(loaded, &channel.settings)?.push(message.clone(), now, channel.hold);
            }
            Ok(())
        })
    }

    /// Returns what a channel does next. Messages for its fallback are moved there.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub(super) fn next(&self, channel: &Channel<'_>, fallback: Option<&Channel<'_>>, now: i64) -> anyhow::Result<Next> {
        let mut names = vec![channel.settings.channel.as_str()];
        names.extend(fallback.map(|fallback| fallback.settings.channel.as_str()));
        self.transaction(&names, |loaded| {
            Ok(match self.load(loaded, &channel.settings)?.next(now, channel.hold) {
                Step::Send(parcel) => Next::Send(parcel),
                Step::Wait(until) => Next::Wait(until),
                Step::HandOver(state) => {
                    // Without a fallback nothing is handed over.
                    if let Some(fallback) = fallback {
                        self.load(loaded, &fallback.settings)?.take_over(*state, now, fallback.hold);
                    }
                    Next::HandedOver
                }
            })
        })
    }

    /// Records the outcome of an attempt.
    ///
    /// # Errors
    /// If the store cannot be read or written; then the parcel may be sent again.
    pub(super) fn record(
        &self,
        settings: &OutboxSettings,
        key: &str,
        attempt: &Attempt,
        now: i64,
    ) -> anyhow::Result<Effect> {
        self.transaction(&[&settings.channel], |loaded| Ok(self.load(loaded, settings)?.record(key, attempt, now)))
    }

    /// Returns the number of messages that wait, and the state of the circuit breaker.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn status(&self, settings: &OutboxSettings, now: i64) -> anyhow::Result<(usize, BreakerState)> {
        let mut loaded = self.lock();
        let outbox = self.load(&mut loaded, settings)?;
        Ok((outbox.len(), outbox.breaker(now)))
    }

    /// Changes outboxes, and stores all their changes at once. If that fails they are loaded again before their next
    /// use.
    fn transaction<T>(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut BTreeMap<String, Outbox>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut loaded = self.lock();
        let result = change(&mut loaded).and_then(|result| {
            let mut rows = Vec::new();
            for name in names {
                let changes = loaded.get_mut(*name).map(Outbox::take_changes).unwrap_or_default();
                rows.extend(changes.into_iter().map(|(key, value)| (format!("{}{key}", prefix(name)), value)));
            }
            if !rows.is_empty() {
                self.store.write_states(&rows)?;
            }
            Ok(result)
        });
        if result.is_err() {
            for name in names {
                loaded.remove(*name);
            }
        }
        result
    }

    fn load<'a>(
        &self,
        loaded: &'a mut BTreeMap<String, Outbox>,
        settings: &OutboxSettings,
    ) -> anyhow::Result<&'a mut Outbox> {
        let name = &settings.channel;
        if !loaded.contains_key(name) {
            let rows = self.store.states(&prefix(name))?;
            let (outbox, unreadable) = Outbox::restore(settings.clone(), rows);
            if unreadable > 0 {
                tracing::error!(channel = name, unreadable, "messages that wait cannot be read and are not sent");
            }
            loaded.insert(name.clone(), outbox);
        }
        let outbox = loaded.entry(name.clone()).or_insert_with(|| Outbox::new(settings.clone()));
        outbox.configure(settings.clone());
        Ok(outbox)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Outbox>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names of channels contain no slash.
fn prefix(channel: &str) -> String {
    format!("{OUTBOX_PREFIX}{channel}/")
}
