//! Passwords: Argon2id, and what a password has to be.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    thread,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};

use crate::AccessError;

/// The shortest password.
pub const SHORTEST: usize = 12;
/// The longest: more only makes the server work.
const LONGEST: usize = 1024;

/// What is checked where there is no such user, so that it takes as long as where there is: the same parameters, and no
/// password that fits.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$d2hlZWx0YXBwZXItLW5vYg$q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";

/// Passwords are worked on few at a time: each takes a core and 19 MiB for a while. The others wait for their turn, so this
/// is nothing for a runtime's threads.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<usize>,
    free: Condvar,
}

/// Gives the turn back, also where the work panics.
struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.free.notify_one();
    }
}

impl Turns {
    /// Half of the cores, as the readings need some too; at least one.
    fn at_once() -> usize {
        thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
    }

    fn turn(&self) -> Turn<'_> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let most = Self::at_once();
        let full = |taken: &mut usize| *taken >= most;
        let mut taken = self.free.wait_while(taken, full).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Turn(self)
    }

    /// [`hash`], in turn.
    pub(crate) fn hash(&self, password: &str) -> Result<String, AccessError> {
        let _turn = self.turn();
        hash(password)
    }

    /// [`matches`], in turn.
    pub(crate) fn matches(&self, password: &str, hash: &str) -> bool {
        let _turn = self.turn();
        matches(password, hash)
    }
}

/// Hashes a password under a salt of its own.
pub(crate) fn hash(password: &str) -> Result<String, AccessError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|_| AccessError::Crypto("Argon2 refused"))?.to_string())
}

/// Whether the password is the one of this hash.
pub(crate) fn matches(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// Whether a person may take this password.
///
/// # Errors
/// [`AccessError::Password`], which says what to do.
pub fn policy(user: &str, password: &str) -> Result<(), AccessError> {
    let length = password.chars().count();
    let no = |text: String| Err(AccessError::Password(text));
    if length < SHORTEST {
        return no(format!(
            "a password has {SHORTEST} characters or more, this one has {length}; a sentence does well"
        ));
    }
    if password.len() > LONGEST {
        return no(format!("a password has at most {LONGEST} bytes, this one has {}", password.len()));
    }
    let (user, lower) = (user.to_lowercase(), password.to_lowercase());
    if lower == user || (user.chars().count() >= 4 && lower.replace(&user, "").chars().count() < 6) {
        return no("the password is the user's name, more or less; take something that others do not know".into());
    }
    let mut letters: Vec<char> = lower.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    if letters.len() < 4 {
        return no("the password repeats a few characters; take more different ones".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_its_password_only() {
        let made = hash("correct horse battery").unwrap();
        assert!(matches("correct horse battery", &made));
        assert!(!matches("correct horse batterz", &made));
        assert!(!matches("", &made));
        assert!(!matches("anything", "no hash"));
        assert_ne!(made, hash("correct horse battery").unwrap(), "each has its own salt");
    }

    #[test]
    fn few_are_worked_on_at_once() {
        let (turns, most) = (Turns::default(), Mutex::new(0));
        thread::scope(|scope| {
            for _ in 0..4 * Turns::at_once() {
                scope.spawn(|| {
                    let _turn = turns.turn();
                    let taken = *turns.taken.lock().unwrap();
                    let mut most = most.lock().unwrap();
                    *most = taken.max(*most);
                    thread::yield_now();
                });
            }
        });
        assert!((1..=Turns::at_once()).contains(&*most.lock().unwrap()));
        assert_eq!(*turns.taken.lock().unwrap(), 0);
    }

    #[test]
    fn nobody_costs_what_somebody_costs() {
        let (made, nobody) = (hash("correct horse battery").unwrap(), PasswordHash::new(NOBODY).unwrap());
        let made = PasswordHash::new(&made).unwrap();
        assert_eq!(made.algorithm, nobody.algorithm);
        assert_eq!(made.version, nobody.version);
        assert_eq!(made.params, nobody.params);
        assert_eq!(made.salt.unwrap().len(), nobody.salt.unwrap().len());
        assert_eq!(made.hash.unwrap().len(), nobody.hash.unwrap().len());
    }

    #[test]
    fn weak_passwords_are_told_what_to_do() {
        assert!(policy("ada", "short").is_err());
        assert!(policy("administrator", "Administrator").is_err());
        assert!(policy("administrator", "administrator123").is_err());
        assert!(policy("ada", "aaaaaaaaaaaaaaaa").is_err());
        assert!(policy("ada", &"long".repeat(300)).is_err());
        assert!(policy("ada", "correct horse battery").is_ok());
    }
}
