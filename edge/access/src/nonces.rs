//! Which signed requests were taken: none is taken twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Requests that are remembered at most, in 40 MB: 3,000 a second over the time for which a signature holds.
const MOST: usize = 1_000_000;
/// Those that have run out are dropped at most this often, in seconds.
const SWEEP: i64 = 10;

/// The requests that were taken and whose signatures still hold.
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// Until when each signature holds, in seconds since 1970.
    until: HashMap<u128, i64>,
    swept: i64,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It was taken before, or is being taken now.
    Repeated,
    /// No more can be remembered now.
    Full,
}

/// A signed request that is being taken. Dropped without [`NoncePermit::keep`] it may come again: it left nothing behind.
#[derive(Debug)]
pub struct NoncePermit {
    nonces: Arc<Nonces>,
    key: Option<u128>,
}

impl Nonces {
    /// Takes a source's nonce, which is good until that time.
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
        // Also where the clock went back.
        if now.abs_diff(taken.swept) >= SWEEP.unsigned_abs() {
            taken.swept = now;
            taken.until.retain(|_, until| *until >= now);
        }
        if taken.until.len() >= MOST {
            return Err(Refusal::Full);
        }
        taken.until.insert(key, until);
        Ok(NoncePermit { nonces: Arc::clone(self), key: Some(key) })
    }
}

impl NoncePermit {
    /// The request left something behind: it must not come again.
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
        assert_eq!(nonces.take("erp", "a", 300, 1).unwrap_err(), Refusal::Repeated, "while the first is on its way");
        drop(first);
        nonces.take("erp", "a", 300, 2).unwrap().keep();
        assert_eq!(nonces.take("erp", "a", 300, 3).unwrap_err(), Refusal::Repeated);
        nonces.take("erp2", "a", 300, 3).unwrap().keep();
        nonces.take("er", "pa", 300, 3).unwrap().keep();
        assert_eq!(nonces.0.lock().unwrap().until.len(), 3);
        nonces.take("erp", "b", 700, 400).unwrap().keep();
        assert_eq!(nonces.0.lock().unwrap().until.len(), 1, "what has run out is forgotten");
    }
}
