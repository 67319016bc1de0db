//! Who guesses one user's password from many addresses is slowed down.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// So many wrong passwords are free.
const FREE: u32 = 5;
/// The first wait; each further wrong password doubles it.
const FIRST: i64 = 60 * 1_000_000_000;
/// The longest wait. Not for ever: else anybody could lock anybody out.
const LONGEST: i64 = 15 * FIRST;
/// After so long without a wrong password all is forgotten.
const FORGOTTEN: i64 = 60 * FIRST;
/// So many names at most. They are names that were tried, whether there is such a user or not.
const NAMES: usize = 16_384;

#[derive(Clone, Copy, Debug)]
struct Tries {
    failed: u32,
    last: i64,
    until: i64,
}

/// Failed logins by name.
#[derive(Debug, Default)]
pub(crate) struct Lockout(Mutex<HashMap<String, Tries>>);

impl Lockout {
    /// How long this name has to wait, if it has to.
    pub(crate) fn locked(&self, name: &str, now: i64) -> Option<Duration> {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).copied()?;
        let left = tries.until.saturating_sub(now);
        (left > 0).then(|| Duration::from_nanos(u64::try_from(left).unwrap_or(0)))
    }

    pub(crate) fn failed(&self, name: &str, now: i64) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name.to_lowercase();
        if names.len() >= NAMES && !names.contains_key(&name) {
            names.retain(|_, tries| now.saturating_sub(tries.last) < FORGOTTEN);
            if names.len() >= NAMES {
                return;
            }
        }
        let tries = names.entry(name).or_insert(Tries { failed: 0, last: now, until: 0 });
        if now.saturating_sub(tries.last) >= FORGOTTEN {
            tries.failed = 0;
        }
        tries.failed = tries.failed.saturating_add(1);
        tries.last = now;
        if tries.failed >= FREE {
            let wait = FIRST.saturating_mul(1 << (tries.failed - FREE).min(10)).min(LONGEST);
            tries.until = now.saturating_add(wait);
        }
    }

    pub(crate) fn succeeded(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_ends() {
        let lockout = Lockout::default();
        for _ in 0..4 {
            lockout.failed("Ada", 0);
        }
        assert_eq!(lockout.locked("ada", 0), None);
        lockout.failed("ada", 0);
        assert_eq!(lockout.locked("ADA", 0), Some(Duration::from_secs(60)));
        assert_eq!(lockout.locked("ada", FIRST), None);
        lockout.failed("ada", FIRST);
        assert_eq!(lockout.locked("ada", FIRST), Some(Duration::from_secs(120)));
        for _ in 0..40 {
            lockout.failed("ada", FIRST);
        }
        assert_eq!(lockout.locked("ada", FIRST), Some(Duration::from_secs(900)));
        assert_eq!(lockout.locked("bob", 0), None);
        lockout.succeeded("ada");
        assert_eq!(lockout.locked("ada", FIRST), None);
    }

    #[test]
    fn names_do_not_fill_the_memory() {
        let lockout = Lockout::default();
        for number in 0..50_000 {
            lockout.failed(&number.to_string(), 0);
        }
        assert!(lockout.0.lock().unwrap().len() <= NAMES);
    }
}
