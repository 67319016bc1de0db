//! Password hashing with Argon2id, and the password policy.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    thread,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};

use crate::AccessError;

/// Minimum number of characters of a password.
pub const MIN_CHARACTERS: usize = 12;
/// Maximum number of bytes of a password, which bounds the work of hashing it.
const MAX_BYTES: usize = 1024;

/// Hash that is checked for unknown users, so that the check takes as long as for a user that exists. It has the same
/// parameters, and no password matches it.
pub(crate) const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$d2hlZWx0YXBwZXItLW5vYg$q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";

/// Semaphore for password hashing, because each hash takes a core and 19 MiB for a while. Callers block until a slot is
/// free, so do not call it on the threads of an async runtime.
#[derive(Debug, Default)]
pub(crate) struct HashingSlots {
    in_use: Mutex<usize>,
    slot_released: Condvar,
}

/// Releases the slot when it is dropped, also after a panic.
struct SlotGuard<'a>(&'a HashingSlots);

impl Drop for SlotGuard<'_> {
    fn drop(&mut self) {
        *self.0.in_use.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.slot_released.notify_one();
    }
}

impl HashingSlots {
    /// Number of slots: half of the cores, so that ingest keeps the others; at least one.
    fn capacity() -> usize {
        thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
    }

    fn acquire(&self) -> SlotGuard<'_> {
        let taken = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let capacity = Self::capacity();
        let full = |taken: &mut usize| *taken >= capacity;
        let mut taken = self.slot_released.wait_while(taken, full).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        SlotGuard(self)
    }

    /// Runs [`hash`] in a slot.
    pub(crate) fn hash(&self, password: &str) -> Result<String, AccessError> {
        let _slot = self.acquire();
        hash(password)
    }

    /// Runs [`matches`] in a slot.
    pub(crate) fn matches(&self, password: &str, hash: &str) -> bool {
        let _slot = self.acquire();
        matches(password, hash)
    }
}

/// Hashes a password with a random salt.
pub(crate) fn hash(password: &str) -> Result<String, AccessError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|_| AccessError::Crypto("Argon2 failed"))?.to_string())
}

/// Whether the password matches this hash.
pub(crate) fn matches(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// Checks a new password against the password policy.
///
/// # Errors
/// [`AccessError::Password`], with what is wrong and what to do.
pub fn policy(user: &str, password: &str) -> Result<(), AccessError> {
    let length = password.chars().count();
    let error = |text: String| Err(AccessError::Password(text));
    if length < MIN_CHARACTERS {
        return error(format!(
            "a password needs at least {MIN_CHARACTERS} characters, this one has {length}; use several random words"
        ));
    }
    if password.len() > MAX_BYTES {
        return error(format!("a password has at most {MAX_BYTES} bytes, this one has {}", password.len()));
    }
    let (user, lower) = (user.to_lowercase(), password.to_lowercase());
    if lower == user || (user.chars().count() >= 4 && lower.replace(&user, "").chars().count() < 6) {
        return error("the password is too similar to the user name; choose one that others cannot guess".into());
    }
    let mut characters: Vec<char> = lower.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    if characters.len() < 4 {
        return error("the password repeats a few characters; use more different ones".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_only_its_password() {
        let password_hash = hash("correct horse battery").unwrap();
        assert!(matches("correct horse battery", &password_hash));
        assert!(!matches("correct horse batterz", &password_hash));
        assert!(!matches("", &password_hash));
        assert!(!matches("anything", "no hash"));
        assert_ne!(password_hash, hash("correct horse battery").unwrap(), "each hash has its own salt");
    }

    #[test]
    fn the_number_of_parallel_hashes_is_limited() {
        let (slots, max_in_use) = (HashingSlots::default(), Mutex::new(0));
        thread::scope(|scope| {
            for _ in 0..4 * HashingSlots::capacity() {
                scope.spawn(|| {
                    let _slot = slots.acquire();
                    let taken = *slots.in_use.lock().unwrap();
                    let mut max_in_use = max_in_use.lock().unwrap();
                    *max_in_use = taken.max(*max_in_use);
                    thread::yield_now();
                });
            }
        });
        assert!((1..=HashingSlots::capacity()).contains(&*max_in_use.lock().unwrap()));
        assert_eq!(*slots.in_use.lock().unwrap(), 0);
    }

    #[test]
    fn an_unknown_user_costs_as_much_as_a_known_one() {
        let (password_hash, dummy) = (hash("correct horse battery").unwrap(), PasswordHash::new(DUMMY_HASH).unwrap());
        let password_hash = PasswordHash::new(&password_hash).unwrap();
        assert_eq!(password_hash.algorithm, dummy.algorithm);
        assert_eq!(password_hash.version, dummy.version);
        assert_eq!(password_hash.params, dummy.params);
        assert_eq!(password_hash.salt.unwrap().len(), dummy.salt.unwrap().len());
        assert_eq!(password_hash.hash.unwrap().len(), dummy.hash.unwrap().len());
    }

    #[test]
    fn weak_passwords_are_rejected() {
        assert!(policy("ada", "short").is_err());
        assert!(policy("administrator", "Administrator").is_err());
        assert!(policy("administrator", "administrator123").is_err());
        assert!(policy("ada", "aaaaaaaaaaaaaaaa").is_err());
        assert!(policy("ada", &"long".repeat(300)).is_err());
        assert!(policy("ada", "correct horse battery").is_ok());
    }
}
