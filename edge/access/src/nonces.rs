//! Replay protection: remembers the nonces of accepted signed requests, so that each request is accepted once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Maximum number of stored nonces, about 40 MB: 3,000 requests per second over the validity of a signature.
const MAX_NONCES: usize = 1_000_000;
/// Minimum interval between two removals of expired nonces, in seconds.
const SWEEP_INTERVAL_SECONDS: i64 = 10;

/// Nonces of accepted requests whose signatures have not expired.
#[derive(Debug, Default)]
pub(crate) struct NonceStore(Mutex<UsedNonces>);

#[derive(Debug, Default)]
struct UsedNonces {
    /// Hash of source and nonce, to the expiry of the signature in seconds since 1970.
    expiries: HashMap<u128, i64>,
    last_sweep: i64,
}

/// Why a request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NonceError {
    /// A request with this nonce was accepted before, or is being processed now.
    Replayed,
    /// The store of nonces is full.
    Full,
}

/// Reservation of a nonce while its request is processed. If it is dropped without [`NonceReservation::commit`], the nonce is
/// released and the request can be sent again.
#[derive(Debug)]
pub struct NonceReservation {
    nonces: Arc<NonceStore>,
    key: Option<u128>,
}

impl NonceStore {
    /// Reserves a nonce of a source. `until` is the expiry of the signature.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        source: &str,
        nonce: &str,
        until: i64,
        now: i64,
    ) -> Result<NonceReservation, NonceError> {
        let key = nonce_key(source, nonce);
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.expiries.contains_key(&key) {
            return Err(NonceError::Replayed);
        }
        // The absolute difference also covers a clock that was set back.
        if now.abs_diff(used.last_sweep) >= SWEEP_INTERVAL_SECONDS.unsigned_abs() {
            used.last_sweep = now;
            used.expiries.retain(|_, until| *until >= now);
        }
        if used.expiries.len() >= MAX_NONCES {
            return Err(NonceError::Full);
        }
        used.expiries.insert(key, until);
        Ok(NonceReservation { nonces: Arc::clone(self), key: Some(key) })
    }
}

impl NonceReservation {
    /// Keeps the nonce until the signature expires, because the request had an effect and must not be repeated.
    pub fn commit(mut self) {
        self.key = None;
    }
}

impl Drop for NonceReservation {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.nonces.0.lock().unwrap_or_else(PoisonError::into_inner).expiries.remove(&key);
        }
    }
}

fn nonce_key(source: &str, nonce: &str) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(source.len() as u64).to_le_bytes()).update(source.as_bytes()).update(nonce.as_bytes());
    hasher.finalize().as_bytes().first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_nonce_is_accepted_once_until_it_expires() {
        let nonces = Arc::new(NonceStore::default());
        let first = nonces.reserve("erp", "a", 300, 0).unwrap();
        assert_eq!(
            nonces.reserve("erp", "a", 300, 1).unwrap_err(),
            NonceError::Replayed,
            "while the first is being processed"
        );
        drop(first);
        nonces.reserve("erp", "a", 300, 2).unwrap().commit();
        assert_eq!(nonces.reserve("erp", "a", 300, 3).unwrap_err(), NonceError::Replayed);
        nonces.reserve("erp2", "a", 300, 3).unwrap().commit();
        nonces.reserve("er", "pa", 300, 3).unwrap().commit();
        assert_eq!(nonces.0.lock().unwrap().expiries.len(), 3);
        nonces.reserve("erp", "b", 700, 400).unwrap().commit();
        assert_eq!(nonces.0.lock().unwrap().expiries.len(), 1, "expired nonces are removed");
    }
}
