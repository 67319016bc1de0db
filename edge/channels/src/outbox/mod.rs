//! What a channel sends when: a state machine that gets messages, times and outcomes, and returns what to send.
//!
//! - A message waits [`OutboxSettings::group_wait`] for others. More than [`MAX_SINGLE`] that are due together, or more
//!   than the rate allows, become one summary that names the most severe. The next summary follows after a minute.
//! - A failed message is sent again with exponential back-off and jitter, which is derived from its key. Other messages
//!   overtake it, so a message that only fails itself does not hold them up.
//! - After five failures in a row nothing is sent for 30 s (circuit breaker); then one message probes the channel. With
//!   a fallback, messages are handed over to that channel in the meantime.
//! - A message that is held (quiet hours, silences) waits. If its alert resolves before it is sent, nothing is sent.
//!
//! Everything is bounded: [`MAX_WAITING`] messages and [`MAX_PARCELS`] parcels; further messages are counted in the next
//! summary. Each change is returned as rows to store ([`Outbox::take_changes`]), so that a crash loses nothing: the
//! messages are sent again under the same keys.

mod backoff;
mod breaker;
mod parcel;
mod rate;
mod rows;
mod summary;
#[cfg(test)]
mod tests;
mod threads;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    AlertMessage, Attempt, Event, Outcome, Severity,
    clock::{SECOND, nanoseconds},
};
pub use breaker::BreakerState;
use parcel::Content;
pub use parcel::{OutboxState, Parcel};
use rows::{Meta, Waiting};
use summary::Summary;
use threads::Destination;

/// The number of messages that are sent one by one although they are due together.
const MAX_SINGLE: usize = 3;
/// The time between two summaries: an event that goes on, such as a power cut, is not told every few seconds.
const SUMMARY_INTERVAL: i64 = 60 * SECOND;
/// Maximum number of messages that wait.
const MAX_WAITING: usize = 1_000;
/// Maximum number of parcels that wait for their next attempt.
const MAX_PARCELS: usize = 16;
/// Maximum number of keys of finished messages that are remembered.
const MAX_FINISHED_KEYS: usize = 64;
/// If a channel has accepted nothing for this long, each further message is tried only once.
const GIVE_UP_AFTER: i64 = 24 * 3600 * SECOND;
/// A time that is further ahead was written before the clock was set back, and has come.
const MAX_PAUSE: i64 = 900 * SECOND;

/// Settings of an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxSettings {
    /// Name of the channel.
    pub channel: String,
    /// Maximum number of parcels in a minute, at least 1.
    pub max_per_minute: u32,
    /// How long a message waits for others.
    pub group_wait: Duration,
    /// Whether messages are handed over to another channel while this one does not accept them.
    pub has_fallback: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Send this parcel once, and report the outcome to [`Outbox::record`].
    Send(Box<Parcel>),
    /// Give these messages to the fallback ([`Outbox::take_over`]).
    HandOver(Box<OutboxState>),
    /// Nothing before this time, in nanoseconds since 1970; `None` if nothing waits.
    Wait(Option<i64>),
}

/// What an outcome meant for a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is delivered or accepted.
    Done,
    /// It is sent again.
    Retry {
        /// When, in nanoseconds since 1970.
        at: i64,
    },
    /// The fallback gets it; see [`Step::HandOver`].
    HandedOver,
    /// It is not sent again.
    Abandoned,
}

/// The messages of one channel that are not delivered yet.
#[derive(Debug)]
pub struct Outbox {
    settings: OutboxSettings,
    /// By number, which is the order in which they were pushed.
    waiting: BTreeMap<u64, Waiting>,
    /// By key.
    parcels: BTreeMap<String, Parcel>,
    meta: Meta,
    changes: rows::Changes,
}

impl Outbox {
    /// Creates an empty outbox.
    pub fn new(settings: OutboxSettings) -> Self {
        Self {
            settings,
            waiting: BTreeMap::new(),
            parcels: BTreeMap::new(),
            meta: Meta::default(),
            changes: rows::Changes::default(),
        }
    }

    /// Replaces the settings; what waits is kept.
    pub fn configure(&mut self, settings: OutboxSettings) {
        self.settings = settings;
    }

    /// Adds a message. `hold` returns the time before which a message must not be sent, if there is one. A message that
    /// was pushed before under the same key, as after a crash, is ignored.
    pub fn push(&mut self, message: AlertMessage, now: i64, hold: impl Fn(&AlertMessage) -> Option<i64>) {
        if self.meta.last_keys.get(&message.route) == Some(&message.key) || self.contains(&message.key) {
            return;
        }
        self.meta.last_keys.insert(message.route.clone(), message.key.clone());
        self.changes.meta();
        let message = match self.meta.threads.destination(message) {
            Destination::Own(message) => message,
            Destination::Fallback(message) if self.settings.has_fallback => {
                self.insert_parcel(Content::Message(Box::new(message)), now, true);
                return;
            }
            Destination::Fallback(message) => message,
            Destination::Nowhere => return,
        };
        if let Some(number) = self.unsent_number(&message) {
            self.update_unsent(number, message, &hold);
            return;
        }
        let not_before = hold(&message).unwrap_or(i64::MIN);
        let number = self.meta.next_number;
        self.meta.next_number += 1;
        self.waiting.insert(number, Waiting { message, since: now, not_before });
        self.changes.waiting(number);
        while self.waiting.len() > MAX_WAITING {
            self.fold_least_severe();
        }
    }

    fn contains(&self, key: &str) -> bool {
        self.parcels.contains_key(key)
            || self.meta.finished_keys.iter().any(|finished| finished == key)
            || self.waiting.values().any(|waiting| waiting.message.key == key)
    }

    /// The message that says that this alert opened or was raised, if it was not sent yet.
    fn unsent_number(&self, message: &AlertMessage) -> Option<u64> {
        let is_same =
            |waiting: &Waiting| waiting.message.alert == message.alert && waiting.message.event != Event::Resolved;
        self.waiting.iter().find(|(_, waiting)| is_same(waiting)).map(|(number, _)| *number)
    }

    /// Applies a change of an alert to its message that was not sent yet.
    fn update_unsent(&mut self, number: u64, message: AlertMessage, hold: &impl Fn(&AlertMessage) -> Option<i64>) {
        let Some(waiting) = self.waiting.get_mut(&number) else { return };
        self.changes.waiting(number);
        let event = waiting.message.event;
        if message.event == Event::Resolved {
            if event == Event::Opened {
                // Nobody was told, so nobody needs to know.
                self.waiting.remove(&number);
                return;
            }
            // The raise is not news any more; that it resolved is.
            waiting.message = message;
        } else {
            waiting.message = AlertMessage { event, key: std::mem::take(&mut waiting.message.key), ..message };
        }
        waiting.not_before = hold(&waiting.message).unwrap_or(i64::MIN);
    }

    /// Counts the oldest of the least severe messages in the next summary.
    fn fold_least_severe(&mut self) {
        let least = self.waiting.iter().min_by_key(|(number, waiting)| (waiting.message.severity, **number));
        let Some(number) = least.map(|(number, _)| *number) else { return };
        if let Some(waiting) = self.waiting.remove(&number) {
            self.meta.overflow.add(&waiting.message);
            self.meta.overflow_not_before = self.meta.overflow_not_before.max(waiting.not_before);
            self.changes.waiting(number);
            self.changes.meta();
        }
    }

    /// Adds the messages of a channel that does not accept them.
    pub fn take_over(&mut self, state: OutboxState, now: i64, hold: impl Fn(&AlertMessage) -> Option<i64>) {
        for message in state.messages {
            self.push(message, now, &hold);
        }
        self.meta.overflow.merge(state.summary);
        self.changes.meta();
    }

    /// Returns what to do at the time `now`. `hold` as in [`Self::push`].
    pub fn next(&mut self, now: i64, hold: impl Fn(&AlertMessage) -> Option<i64>) -> Step {
        if let Some(state) = self.take_handed_over() {
            return Step::HandOver(Box::new(state));
        }
        if let Some(until) = self.meta.breaker.closed_until(now) {
            if self.settings.has_fallback
                && let Some(state) = self.take_due(now, &hold)
            {
                return Step::HandOver(Box::new(state));
            }
            return Step::Wait(Some(until));
        }
        if let Some(key) = self.due_parcel(now) {
            return self.start(&key, now);
        }
        if self.parcels.len() < MAX_PARCELS {
            self.hold_due(now, &hold);
            let due = self.due(now);
            let overflow_due = !self.meta.overflow.is_empty() && self.meta.overflow_not_before <= now;
            if self.is_group_complete(&due, overflow_due, now) {
                if let Some(at) = self.meta.rate.next_slot(now, self.settings.max_per_minute) {
                    return Step::Wait(Some(at));
                }
                let is_single = self.is_single(&due, overflow_due, now);
                if let Some(at) = self.next_summary_at(now).filter(|_| !is_single) {
                    return Step::Wait(Some(at));
                }
                let key = self.form_parcel(&due, is_single, overflow_due, now);
                return self.start(&key, now);
            }
        }
        Step::Wait(self.next_time(now))
    }

    fn start(&mut self, key: &str, now: i64) -> Step {
        self.meta.breaker.begin_attempt(now);
        self.changes.meta();
        match self.parcels.get(key) {
            Some(parcel) => Step::Send(Box::new(parcel.clone())),
            None => Step::Wait(None),
        }
    }

    /// The parcel whose next attempt is due first.
    fn due_parcel(&self, now: i64) -> Option<String> {
        let due = self.parcels.iter().filter(|(_, parcel)| is_due(parcel.retry_at, now));
        due.min_by_key(|(_, parcel)| parcel.retry_at).map(|(key, _)| key.clone())
    }

    /// Asks again whether messages that are due are held, as silences may have been added.
    fn hold_due(&mut self, now: i64, hold: &impl Fn(&AlertMessage) -> Option<i64>) {
        for (number, waiting) in &mut self.waiting {
            if waiting.not_before > now {
                continue;
            }
            if let Some(until) = hold(&waiting.message).filter(|until| *until > now) {
                waiting.not_before = until;
                self.changes.waiting(*number);
            }
        }
    }

    /// The numbers of the messages that may be sent.
    fn due(&self, now: i64) -> Vec<u64> {
        let is_due = |waiting: &Waiting| waiting.not_before <= now && !self.is_blocked(&waiting.message);
        self.waiting.iter().filter(|(_, waiting)| is_due(waiting)).map(|(number, _)| *number).collect()
    }

    /// Whether an earlier message about the same alert is on its way: nobody should read that an alert resolved before
    /// they read that it opened.
    fn is_blocked(&self, message: &AlertMessage) -> bool {
        self.parcels.values().any(|parcel| match &parcel.content {
            Content::Message(earlier) => earlier.alert == message.alert,
            Content::Summary { .. } => false,
        })
    }

    /// Whether the first of the messages has waited long enough for others.
    fn is_group_complete(&self, due: &[u64], overflow_due: bool, now: i64) -> bool {
        let wait = nanoseconds(self.settings.group_wait);
        let is_old = |number: &u64| {
            self.waiting.get(number).is_some_and(|waiting| is_due(waiting.since.saturating_add(wait), now))
        };
        overflow_due || due.first().is_some_and(is_old)
    }

    /// Whether the messages are few enough to be sent one by one.
    fn is_single(&self, due: &[u64], overflow_due: bool, now: i64) -> bool {
        let available = self.meta.rate.available(now, self.settings.max_per_minute);
        !overflow_due && due.len() <= MAX_SINGLE.min(available)
    }

    /// The time before which no further summary is sent, if there is one.
    fn next_summary_at(&self, now: i64) -> Option<i64> {
        let at = self.meta.last_summary?.saturating_add(SUMMARY_INTERVAL);
        // A time that is further ahead was written before the clock was set back.
        (at > now && at - now <= SUMMARY_INTERVAL).then_some(at)
    }

    /// Makes a parcel of the oldest message, or a summary of all, and returns its key.
    fn form_parcel(&mut self, due: &[u64], is_single: bool, overflow_due: bool, now: i64) -> String {
        let taken = if is_single { due.get(..1).unwrap_or_default() } else { due };
        let mut summary = Summary::default();
        let mut single = None;
        for number in taken {
            self.changes.waiting(*number);
            let Some(waiting) = self.waiting.remove(number) else { continue };
            if is_single {
                single = Some(waiting.message);
            } else {
                summary.add(&waiting.message);
            }
        }
        let content = match single {
            Some(message) => Content::Message(Box::new(message)),
            None => {
                if overflow_due {
                    summary.merge(std::mem::take(&mut self.meta.overflow));
                    self.meta.overflow_not_before = 0;
                }
                self.meta.last_summary = Some(now);
                let number = self.meta.next_number;
                self.meta.next_number += 1;
                Content::Summary { key: format!("summary-{}-{now}-{number}", self.settings.channel), summary }
            }
        };
        self.meta.rate.take(now, self.settings.max_per_minute);
        self.insert_parcel(content, now, false)
    }

    fn insert_parcel(&mut self, content: Content, now: i64, is_handed_over: bool) -> String {
        let parcel = Parcel { content, attempts: 0, retry_at: now, finished: BTreeSet::new(), is_handed_over };
        let key = parcel.key().to_owned();
        self.changes.parcel(&key);
        self.parcels.insert(key.clone(), parcel);
        key
    }

    /// When something happens without a further message.
    fn next_time(&self, now: i64) -> Option<i64> {
        let wait = nanoseconds(self.settings.group_wait);
        let messages = self
            .waiting
            .values()
            .filter(|waiting| !self.is_blocked(&waiting.message))
            .map(|waiting| waiting.since.saturating_add(wait).max(waiting.not_before));
        let parcels = self.parcels.values().map(|parcel| parcel.retry_at);
        let overflow = (!self.meta.overflow.is_empty()).then_some(self.meta.overflow_not_before);
        messages.chain(parcels).chain(overflow).min().map(|at| at.max(now))
    }

    /// Takes all that may be sent now, for the fallback.
    fn take_due(&mut self, now: i64, hold: &impl Fn(&AlertMessage) -> Option<i64>) -> Option<OutboxState> {
        self.hold_due(now, hold);
        let mut state = OutboxState::default();
        for (key, parcel) in std::mem::take(&mut self.parcels) {
            self.changes.parcel(&key);
            state.add(parcel);
        }
        for number in self.due(now) {
            self.changes.waiting(number);
            state.messages.extend(self.waiting.remove(&number).map(|waiting| waiting.message));
        }
        if self.meta.overflow_not_before <= now && !self.meta.overflow.is_empty() {
            state.summary.merge(std::mem::take(&mut self.meta.overflow));
            self.changes.meta();
        }
        self.note_handed_over(&state);
        (!state.is_empty()).then_some(state)
    }

    /// Records the outcome of an attempt to send the parcel with this key.
    pub fn record(&mut self, key: &str, attempt: &Attempt, now: i64) -> Effect {
        let Some(parcel) = self.parcels.get_mut(key) else { return Effect::Done };
        self.changes.parcel(key);
        self.changes.meta();
        match &attempt.outcome {
            Outcome::Delivered | Outcome::Accepted { .. } => {
                self.succeed();
                self.finish(key);
                Effect::Done
            }
            Outcome::Rejected { .. } => {
                // The channel works; it is this message that it does not take.
                self.succeed();
                self.discard(key)
            }
            Outcome::Failed { retry_after, .. } => {
                let since = *self.meta.failing_since.get_or_insert(now);
                self.meta.breaker.fail(now);
                if now.saturating_sub(since) >= GIVE_UP_AFTER {
                    return self.discard(key);
                }
                parcel.attempts = parcel.attempts.saturating_add(1);
                parcel.finished.extend(attempt.finished.iter().cloned());
                let pause = backoff::pause(parcel.attempts, key).max(retry_after.unwrap_or_default());
                parcel.retry_at = now.saturating_add(nanoseconds(pause));
                Effect::Retry { at: parcel.retry_at }
            }
        }
    }

    fn finish(&mut self, key: &str) {
        self.parcels.remove(key);
        self.meta.finished_keys.push_back(key.to_owned());
        if self.meta.finished_keys.len() > MAX_FINISHED_KEYS {
            self.meta.finished_keys.pop_front();
        }
    }

    fn succeed(&mut self) {
        self.meta.breaker.succeed();
        self.meta.failing_since = None;
    }

    /// Gives a parcel to the fallback, or abandons it.
    fn discard(&mut self, key: &str) -> Effect {
        if !self.settings.has_fallback {
            if let Some(Parcel { content: Content::Message(message), .. }) = self.parcels.remove(key) {
                self.meta.threads.abandon(&message);
            }
            return Effect::Abandoned;
        }
        if let Some(parcel) = self.parcels.get_mut(key) {
            parcel.is_handed_over = true;
        }
        Effect::HandedOver
    }

    /// Takes the parcels that the fallback gets.
    fn take_handed_over(&mut self) -> Option<OutboxState> {
        let mut state = OutboxState::default();
        for (key, parcel) in self.parcels.extract_if(.., |_, parcel| parcel.is_handed_over) {
            self.changes.parcel(&key);
            state.add(parcel);
        }
        self.note_handed_over(&state);
        (!state.is_empty()).then_some(state)
    }

    /// Notes that the fallback gets these messages, and so what follows about their alerts.
    fn note_handed_over(&mut self, state: &OutboxState) {
        for message in &state.messages {
            self.meta.threads.hand_over(message);
            self.changes.meta();
        }
    }

    /// The state of the circuit breaker.
    pub fn breaker(&self, now: i64) -> BreakerState {
        self.meta.breaker.state(now)
    }

    /// The number of messages that are not delivered yet.
    pub fn len(&self) -> usize {
        let in_parcels: usize = self.parcels.values().map(Parcel::count).sum();
        self.waiting.len() + in_parcels + self.meta.overflow.count()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The highest severity of the messages that wait.
    pub fn severity(&self) -> Option<Severity> {
        self.waiting.values().map(|waiting| waiting.message.severity).max()
    }
}

/// Whether a time has come. A time that is too far ahead was written before the clock was set back.
fn is_due(at: i64, now: i64) -> bool {
    at <= now || at.saturating_sub(now) > MAX_PAUSE
}
