//! The open exchanges in memory.

use std::{collections::HashMap, time::Instant};

use tokio::sync::oneshot;

use crate::topics::{ExchangeTag, SessionKey};

/// A message that is being stored.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) digest: [u8; 16],
    /// Resends that wait for it.
    pub(super) waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenExchange {
    pub(super) number: u64,
    pub(super) digest: [u8; 16],
    /// Nanoseconds since 1970.
    pub(super) opened: i64,
    pub(super) parts: u16,
    pub(super) stored: Vec<u16>,
}

impl OpenExchange {
    pub(super) fn is_complete(&self) -> bool {
        self.stored.len() >= usize::from(self.parts)
    }
}

#[derive(Debug, Default)]
pub(super) struct ExchangeState {
    pub(super) sessions: HashMap<SessionKey, HashMap<u16, OpenExchange>>,
    /// Messages on their way, by session and packet id.
    pub(super) pending: HashMap<(SessionKey, u16), Pending>,
    pub(super) count: usize,
    pub(super) has_changed: bool,
    /// When the last snapshot was made, and the sum of the raw topic's ends then.
    pub(super) snapshot: Option<(Instant, u64)>,
}

impl ExchangeState {
    pub(super) fn get(&self, session: &SessionKey, id: u16) -> Option<&OpenExchange> {
        self.sessions.get(session)?.get(&id)
    }

    /// Ends an attempt and returns the resends that wait for it.
    pub(super) fn finish(&mut self, exchange: (SessionKey, u16), number: u64) -> Vec<oneshot::Sender<()>> {
        match self.pending.get(&exchange) {
            Some(pending) if pending.number == number => {
                self.pending.remove(&exchange).map(|pending| pending.waiting).unwrap_or_default()
            }
            // A new message uses the packet id by now.
            _ => Vec::new(),
        }
    }

    /// Records that a part is stored.
    pub(super) fn record_part(&mut self, tag: &ExchangeTag, part: u16, parts: u16, since: i64) {
        let known = self.sessions.entry(tag.session).or_default();
        let new_exchange =
            || OpenExchange { number: tag.number, digest: tag.digest, opened: since, parts, stored: Vec::new() };
        let before = known.len();
        let open = known.entry(tag.id).or_insert_with(new_exchange);
        // A resend that stores missing parts has the number of the first attempt.
        if open.number < tag.number || (open.number == tag.number && open.parts != parts) {
            *open = new_exchange();
        }
        if open.number == tag.number && !open.stored.contains(&part) {
            open.stored.push(part);
        }
        self.count += known.len() - before;
        self.has_changed = true;
    }

    /// Ends the exchange of a packet id, or all exchanges of the session, up to a number.
    pub(super) fn end_exchanges(&mut self, session: &SessionKey, id: Option<u16>, number: u64) {
        let Some(known) = self.sessions.get_mut(session) else { return };
        let before = known.len();
        known.retain(|known, open| id.is_some_and(|id| id != *known) || open.number > number);
        self.count -= before - known.len();
        if known.is_empty() {
            self.sessions.remove(session);
        }
        self.has_changed = true;
    }

    /// Drops exchanges that opened at or before `oldest`, in nanoseconds since 1970.
    pub(super) fn drop_opened_before(&mut self, oldest: i64) {
        for known in self.sessions.values_mut() {
            known.retain(|_, open| open.opened > oldest);
        }
        self.sessions.retain(|_, known| !known.is_empty());
        self.count = self.sessions.values().map(HashMap::len).sum();
    }
}
