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
pub(crate) struct Nonces(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// Hash of source and nonce, to the expiry of the signature in seconds since 1970.
    until: HashMap<u128, i64>,
    swept: i64,
}

/// Why a request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A request with this nonce was accepted before, or is being processed now.
    Repeated,
    /// The store of nonces is full.
    Full,
}

/// Reservation of a nonce while its request is processed. If it is dropped without [`NoncePermit::keep`], the nonce is
/// released and the request can be sent again.
#[derive(Debug)]
pub struct NoncePermit {
    nonces: Arc<Nonces>,
    key: Option<u128>,
}

impl Nonces {
    /// Reserves a nonce of a source. `until` is the expiry of the signature.
    pub(crate) fn take(
        self: &Arc<Self>,
        source: &str,
        nonce: &str,
        until: i64,
        now: i64,
    ) -> Result<NoncePermit, Refusal> {
        let key = key(source, nonce);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.until.contains_key(&key) {
            return Err(Refusal::Repeated);
        }
        // The absolute difference also covers a clock that was set back.
        if now.abs_diff(taken.swept) >= SWEEP_INTERVAL_SECONDS.unsigned_abs() {
            taken.swept = now;
            taken.until.retain(|_, until| *until >= now);
        }
        if taken.until.len() >= MAX_NONCES {
            return Err(Refusal::Full);
        }
        taken.until.insert(key, until);
        Ok(NoncePermit { nonces: Arc::clone(self), key: Some(key) })
    }
}

impl NoncePermit {
    /// Keeps the nonce until the signature expires, because the request had an effect and must not be repeated.
    pub fn keep(mut self) {
        self.key = None;
    }
}

impl Drop for NoncePermit {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.nonces.0.lock().unwrap_or_else(PoisonError::into_inner).until.remove(&key);
        }
    }
}

fn key(source: &str, nonce: &str) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(source.len() as u64).to_le_bytes()).update(source.as_bytes()).update(nonce.as_bytes());
    hasher.finalize().as_bytes().first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_nonce_is_taken_once_while_it_holds() {
        let nonces = Arc::new(Nonces::default());
        let first = nonces.take("erp", "a", 300, 0).unwrap();
        assert_eq!(
            nonces.take("erp", "a", 300, 1).unwrap_err(),
            Refusal::Repeated,
            "while the first is being processed"
        );
        drop(first);
        nonces.take("erp", "a", 300, 2).unwrap().keep();
        assert_eq!(nonces.take("erp", "a", 300, 3).unwrap_err(), Refusal::Repeated);
        nonces.take("erp2", "a", 300, 3).unwrap().keep();
        nonces.take("er", "pa", 300, 3).unwrap().keep();
        assert_eq!(nonces.0.lock().unwrap().until.len(), 3);
        nonces.take("erp", "b", 700, 400).unwrap().keep();
        assert_eq!(nonces.0.lock().unwrap().until.len(), 1, "expired nonces are removed");
    }
}
