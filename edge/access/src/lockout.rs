//! Guessing passwords is slowed down, in two ways.
//!
//! By name and address: who fails five times waits a minute, then twice as long for each further failure, up to 15
//! minutes. Nobody else is touched, so a stranger cannot lock a user out.
//!
//! By name alone, for guesses from many addresses: looser, never longer than a minute, and not for an address that has
//! signed in as this name within a month. Whoever is signed in needs no password and is never touched.
//!
//! A new password of the user (`wheeltapper user reset`, also from another process) begins with a clean slate: failures
//! count for the generation of the password that they were tried against.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// When failures make somebody wait.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// So many failures are free.
    free: u32,
    /// The first wait; each further failure doubles it.
    first: Duration,
    /// The longest wait.
    longest: Duration,
}

const AT_ADDRESS: Rule = Rule { free: 5, first: Duration::from_secs(60), longest: Duration::from_secs(15 * 60) };
const OF_NAME: Rule = Rule { free: 50, first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// After so long without a failure all are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// For so long an address is known for a name that signed in from there.
const KNOWN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Entries of each table, some 2 MB. Names and addresses that were tried are the choice of strangers.
const ENTRIES: usize = 16_384;
/// Entries among which the one to give up is chosen when a table is full.
const SAMPLE: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// Of the password that was tried.
    generation: i64,
    last: Duration,
    until: Duration,
}

impl Failures {
    fn left(self, generation: i64, now: Duration) -> Option<Duration> {
        let left = self.until.saturating_sub(now);
        (self.generation == generation && !left.is_zero()).then_some(left)
    }
}

/// A name in lower case, and where it was tried from.
type Pair = (String, String);

#[derive(Debug, Default)]
struct Tables {
    pairs: HashMap<Pair, Failures>,
    names: HashMap<String, Failures>,
    known: HashMap<Pair, Duration>,
}

/// Failed logins.
#[derive(Debug, Default)]
pub(crate) struct Lockout(Mutex<Tables>);

/// Makes room in a full table: of a few entries, the one that was touched longest ago goes.
fn make_room<K: Clone + Eq + Hash, V>(table: &mut HashMap<K, V>, key: &K, touched: impl Fn(&V) -> Duration) {
    if table.len() < ENTRIES || table.contains_key(key) {
        return;
    }
    let oldest = table.iter().take(SAMPLE).min_by_key(|(_, value)| touched(value)).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        table.remove(&oldest);
    }
}

fn fail<K: Clone + Eq + Hash>(table: &mut HashMap<K, Failures>, key: K, rule: Rule, generation: i64, now: Duration) {
    make_room(table, &key, |failures| failures.last);
    let fresh = Failures { count: 0, generation, last: now, until: now };
    let failures = table.entry(key).or_insert(fresh);
    if failures.generation != generation || now.saturating_sub(failures.last) >= FORGOTTEN {
        *failures = fresh;
    }
    failures.count = failures.count.saturating_add(1);
    failures.last = now;
    if failures.count >= rule.free {
        let wait = rule.first.saturating_mul(1 << (failures.count - rule.free).min(10)).min(rule.longest);
        failures.until = now.saturating_add(wait);
    }
}

impl Lockout {
    /// How long this name has to wait at this address, if it has to. `generation` is that of the user's password; any
    /// constant does where there is no such user.
    pub(crate) fn locked(&self, name: &str, address: &str, generation: i64, now: Duration) -> Option<Duration> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.to_lowercase(), address.to_owned());
        let at_address = tables.pairs.get(&pair).and_then(|failures| failures.left(generation, now));
        let known = tables.known.get(&pair).is_some_and(|at| now.saturating_sub(*at) < KNOWN);
        let of_name = tables.names.get(&pair.0).filter(|_| !known).and_then(|failures| failures.left(generation, now));
        at_address.max(of_name)
    }

    /// As [`Self::locked`], whatever was tried from elsewhere.
    pub(crate) fn locked_at(&self, name: &str, address: &str, generation: i64, now: Duration) -> Option<Duration> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.to_lowercase(), address.to_owned());
        tables.pairs.get(&pair).and_then(|failures| failures.left(generation, now))
    }

    pub(crate) fn failed(&self, name: &str, address: &str, generation: i64, now: Duration) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.to_lowercase(), address.to_owned());
        fail(&mut tables.names, pair.0.clone(), OF_NAME, generation, now);
        fail(&mut tables.pairs, pair, AT_ADDRESS, generation, now);
    }

    pub(crate) fn succeeded(&self, name: &str, address: &str, now: Duration) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.to_lowercase(), address.to_owned());
        tables.pairs.remove(&pair);
        make_room(&mut tables.known, &pair, |at| *at);
        tables.known.insert(pair, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);
    const FIRST: Duration = AT_ADDRESS.first;

    #[test]
    fn the_wait_of_an_address_grows_and_ends() {
        let lockout = Lockout::default();
        for _ in 0..4 {
            lockout.failed("Ada", "a", 1, NOW);
        }
        assert_eq!(lockout.locked("ada", "a", 1, NOW), None);
        lockout.failed("ada", "a", 1, NOW);
        assert_eq!(lockout.locked("ADA", "a", 1, NOW), Some(FIRST));
        assert_eq!(lockout.locked("ada", "a", 1, NOW + FIRST), None);
        lockout.failed("ada", "a", 1, NOW + FIRST);
        assert_eq!(lockout.locked("ada", "a", 1, NOW + FIRST), Some(FIRST * 2));
        for _ in 0..40 {
            lockout.failed("ada", "a", 1, NOW + FIRST);
        }
        assert_eq!(lockout.locked("ada", "a", 1, NOW + FIRST), Some(AT_ADDRESS.longest));
        assert_eq!(lockout.locked("ada", "b", 1, NOW + FIRST), None, "another address is not touched");
        assert_eq!(lockout.locked("bob", "a", 1, NOW), None);
        assert_eq!(lockout.locked("ada", "a", 2, NOW + FIRST), None, "a new password");
        lockout.succeeded("ada", "a", NOW);
        assert_eq!(lockout.locked("ada", "a", 1, NOW + FIRST), None);
    }

    #[test]
    fn guesses_from_many_addresses_slow_a_name_down_but_not_where_it_is_known() {
        let lockout = Lockout::default();
        lockout.succeeded("ada", "office", NOW);
        for number in 0..200 {
            lockout.failed("ada", &number.to_string(), 1, NOW);
        }
        let wait = lockout.locked("ada", "new", 1, NOW).unwrap();
        assert!(wait <= OF_NAME.longest, "{wait:?}");
        assert_eq!(lockout.locked("ada", "office", 1, NOW), None);
        assert_eq!(lockout.locked("bob", "new", 1, NOW), None);
        assert_eq!(lockout.locked("ada", "new", 2, NOW), None, "reset");
        assert!(lockout.locked("ada", "office", 1, NOW + KNOWN).is_none_or(|left| left <= OF_NAME.longest));
    }

    #[test]
    fn strangers_do_not_fill_the_memory_nor_get_free_guesses_by_it() {
        let lockout = Lockout::default();
        for number in 0..50_000 {
            lockout.failed(&number.to_string(), "a", 0, NOW + Duration::from_millis(number));
            lockout.succeeded(&number.to_string(), "a", NOW + Duration::from_millis(number));
            lockout.failed(&number.to_string(), "a", 0, NOW + Duration::from_millis(number));
        }
        let late = NOW + Duration::from_millis(50_000);
        for _ in 0..5 {
            lockout.failed("ada", "a", 1, late);
        }
        assert!(lockout.locked("ada", "a", 1, late).is_some(), "also when the tables are full");
        let tables = lockout.0.lock().unwrap();
        assert!(tables.pairs.len() <= ENTRIES && tables.names.len() <= ENTRIES && tables.known.len() <= ENTRIES);
    }
}
