//! Record formats of the log of QoS 2 exchanges: ends and snapshots.

use super::state::{ExchangeState, OpenExchange};
use crate::topics::SessionKey;

pub(super) fn session_key(name: &str) -> SessionKey {
    short_hash(&[name.as_bytes()])
}

pub(super) fn digest(topic: &str, payload: &[u8]) -> [u8; 16] {
    short_hash(&[topic.as_bytes(), &[0], payload])
}

fn short_hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut hash = [0; 16];
    hasher.finalize_xof().fill(&mut hash);
    hash
}

/// Record kinds of the log of exchanges, little endian.
///
/// | kind | fields |
/// |---|---|
/// | 1 end of an exchange | session 16 bytes, packet id u16, number u64 |
/// | 2 all exchanges of a session end | session 16 bytes, number of the last u64 |
/// | 3 snapshot | next number u64; ends of the raw topic: count u16, u64 each; exchanges: count u32, each as below |
///
/// An exchange in a snapshot: session, packet id u16, number u64, digest 16 bytes, opened i64 (ns since 1970), parts
/// u16, count u16 of the stored parts, and their numbers u16 each.
const END_KIND: u8 = 1;
const END_ALL_KIND: u8 = 2;
const SNAPSHOT_KIND: u8 = 3;

pub(super) fn encode_end(session: &SessionKey, id: Option<u16>, number: u64) -> Vec<u8> {
    let mut out = vec![if id.is_some() { END_KIND } else { END_ALL_KIND }];
    out.extend_from_slice(session);
    out.extend(id.iter().flat_map(|id| id.to_le_bytes()));
    out.extend_from_slice(&number.to_le_bytes());
    out
}

fn encode_count(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes()
}

pub(super) fn encode_snapshot(state: &ExchangeState, next: u64, ends: &[u64]) -> Vec<u8> {
    let mut out = vec![SNAPSHOT_KIND];
    out.extend_from_slice(&next.to_le_bytes());
    out.extend_from_slice(&encode_count(ends.len()));
    out.extend(ends.iter().flat_map(|end| end.to_le_bytes()));
    out.extend_from_slice(&u32::try_from(state.count).unwrap_or(u32::MAX).to_le_bytes());
    for (session, known) in &state.sessions {
        for (id, open) in known {
            out.extend_from_slice(session);
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&open.number.to_le_bytes());
            out.extend_from_slice(&open.digest);
            out.extend_from_slice(&open.opened.to_le_bytes());
            out.extend_from_slice(&open.parts.to_le_bytes());
            out.extend_from_slice(&encode_count(open.stored.len()));
            out.extend(open.stored.iter().flat_map(|part| part.to_le_bytes()));
        }
    }
    out
}

/// Content of the log of exchanges.
#[derive(Debug, Default)]
pub(super) struct ExchangeLogContent {
    /// State of the last snapshot.
    pub(super) state: ExchangeState,
    /// Offset at which to continue reading in each partition of the raw topic.
    pub(super) from: Vec<u64>,
    /// All ends, also of exchanges that are no longer in the snapshot.
    pub(super) ends: Vec<(SessionKey, Option<u16>, u64)>,
    /// The largest exchange number.
    pub(super) last: u64,
}

impl ExchangeLogContent {
    pub(super) fn add_record(&mut self, payload: &[u8]) {
        if self.parse(payload).is_none() {
            tracing::error!("a record of MQTT's QoS 2 exchanges cannot be decoded; it was written by another version");
        }
    }

    fn parse(&mut self, payload: &[u8]) -> Option<()> {
        let (kind, mut bytes) = payload.split_first()?;
        let bytes = &mut bytes;
        match *kind {
            END_KIND => self.ends.push((take_bytes(bytes)?, Some(take_u16(bytes)?), take_u64(bytes)?)),
            END_ALL_KIND => self.ends.push((take_bytes(bytes)?, None, take_u64(bytes)?)),
            SNAPSHOT_KIND => {
                let last = take_u64(bytes)?.saturating_sub(1);
                let from = (0..take_u16(bytes)?).map(|_| take_u64(bytes)).collect::<Option<_>>()?;
                let mut state = ExchangeState::default();
                for _ in 0..u32::from_le_bytes(take_bytes(bytes)?) {
                    let (session, id) = (take_bytes(bytes)?, take_u16(bytes)?);
                    let open = OpenExchange {
                        number: take_u64(bytes)?,
                        digest: take_bytes(bytes)?,
                        opened: i64::from_le_bytes(take_bytes(bytes)?),
                        parts: take_u16(bytes)?,
                        stored: (0..take_u16(bytes)?).map(|_| take_u16(bytes)).collect::<Option<_>>()?,
                    };
                    state.sessions.entry(session).or_default().insert(id, open);
                    state.count += 1;
                }
                (self.state, self.from, self.last) = (state, from, self.last.max(last));
            }
            _ => return None,
        }
        bytes.is_empty().then_some(())
    }
}

fn take_bytes<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    take_bytes(bytes).map(u16::from_le_bytes)
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take_bytes(bytes).map(u64::from_le_bytes)
}
