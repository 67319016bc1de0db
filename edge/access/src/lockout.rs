//! Lockout after failed logins, to slow down password guessing. Failures are counted in two ways.
//!
//! By name and address: after five failures the address has to wait a minute, and twice as long after each further
//! failure, up to 15 minutes. Other addresses are not affected, so an attacker cannot lock a user out.
//!
//! By name alone, against guesses from many addresses: the limit is higher, the wait is at most a minute, and addresses
//! that signed in with this name within the last 30 days are exempt. Sessions that exist are never affected.
//!
//! A new password resets the counters, also when another process sets it (`wheeltapper user reset`): failures count
//! only for the generation of the password that they were tried against.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long to wait after how many failures.
#[derive(Clone, Copy, Debug)]
struct LockoutRule {
    /// Number of failures from which on there is a wait.
    threshold: u32,
    /// The first wait; each further failure doubles it.
    initial_wait: Duration,
    /// The longest wait.
    max_wait: Duration,
}

const ADDRESS_RULE: LockoutRule =
    LockoutRule { threshold: 5, initial_wait: Duration::from_secs(60), max_wait: Duration::from_secs(15 * 60) };
const NAME_RULE: LockoutRule =
    LockoutRule { threshold: 50, initial_wait: Duration::from_secs(1), max_wait: Duration::from_secs(60) };
/// Failures are forgotten when the last one is this old.
const FAILURE_TTL: Duration = Duration::from_secs(3600);
/// How long an address is exempt from the limit of a name that signed in from it.
const KNOWN_ADDRESS_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// Maximum entries of each table, about 2 MB. The limit is needed because attackers choose the names and addresses.
const MAX_ENTRIES: usize = 16_384;
/// When a table is full, the oldest of this many entries is evicted.
const EVICTION_SAMPLE: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// Generation of the password that was tried.
    generation: i64,
    last_failure: Duration,
    locked_until: Duration,
}

impl Failures {
    fn remaining(self, generation: i64, now: Duration) -> Option<Duration> {
        let remaining = self.locked_until.saturating_sub(now);
        (self.generation == generation && !remaining.is_zero()).then_some(remaining)
    }
}

/// A name in lower case, and the client address.
type NameAndAddress = (String, String);

#[derive(Debug, Default)]
struct LockoutTables {
    by_address: HashMap<NameAndAddress, Failures>,
    by_name: HashMap<String, Failures>,
    known_addresses: HashMap<NameAndAddress, Duration>,
}

/// Counters of failed logins, in memory only.
#[derive(Debug, Default)]
pub(crate) struct Lockout(Mutex<LockoutTables>);

/// If the table is full, evicts the least recently used of a few entries.
fn evict<K: Clone + Eq + Hash, V>(table: &mut HashMap<K, V>, key: &K, last_use: impl Fn(&V) -> Duration) {
    if table.len() < MAX_ENTRIES || table.contains_key(key) {
        return;
    }
    let oldest =
        table.iter().take(EVICTION_SAMPLE).min_by_key(|(_, value)| last_use(value)).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        table.remove(&oldest);
    }
}

fn add_failure<K: Clone + Eq + Hash>(
    table: &mut HashMap<K, Failures>,
    key: K,
    rule: LockoutRule,
    generation: i64,
    now: Duration,
) {
    evict(table, &key, |failures| failures.last_failure);
    let none = Failures { count: 0, generation, last_failure: now, locked_until: now };
    let failures = table.entry(key).or_insert(none);
    if failures.generation != generation || now.saturating_sub(failures.last_failure) >= FAILURE_TTL {
        *failures = none;
    }
    failures.count = failures.count.saturating_add(1);
    failures.last_failure = now;
    if failures.count >= rule.threshold {
        let doublings = (failures.count - rule.threshold).min(10);
        let wait = rule.initial_wait.saturating_mul(1 << doublings).min(rule.max_wait);
        failures.locked_until = now.saturating_add(wait);
    }
}

impl Lockout {
    /// Returns how long a login with this name from this address has to wait, if at all. `generation` is the generation
    /// of the user's password; for an unknown user, pass any constant.
    pub(crate) fn remaining_wait(&self, name: &str, address: &str, generation: i64, now: Duration) -> Option<Duration> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.to_lowercase(), address.to_owned());
        let at_address = tables.by_address.get(&pair).and_then(|failures| failures.remaining(generation, now));
        let known = tables.known_addresses.get(&pair).is_some_and(|at| now.saturating_sub(*at) < KNOWN_ADDRESS_TTL);
        let of_name =
            tables.by_name.get(&pair.0).filter(|_| !known).and_then(|failures| failures.remaining(generation, now));
        at_address.max(of_name)
    }

    /// Same as [`Self::remaining_wait`], but ignores failures from other addresses.
    pub(crate) fn remaining_wait_at_address(
        &self,
        name: &str,
        address: &str,
        generation: i64,
        now: Duration,
    ) -> Option<Duration> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.to_lowercase(), address.to_owned());
        tables.by_address.get(&pair).and_then(|failures| failures.remaining(generation, now))
    }

    pub(crate) fn record_failure(&self, name: &str, address: &str, generation: i64, now: Duration) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.to_lowercase(), address.to_owned());
        add_failure(&mut tables.by_name, pair.0.clone(), NAME_RULE, generation, now);
        add_failure(&mut tables.by_address, pair, ADDRESS_RULE, generation, now);
    }

    pub(crate) fn record_success(&self, name: &str, address: &str, now: Duration) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.to_lowercase(), address.to_owned());
        tables.by_address.remove(&pair);
        evict(&mut tables.known_addresses, &pair, |at| *at);
        tables.known_addresses.insert(pair, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);
    const INITIAL_WAIT: Duration = ADDRESS_RULE.initial_wait;

    #[test]
    fn the_wait_of_an_address_grows_and_ends() {
        let lockout = Lockout::default();
        for _ in 0..4 {
            lockout.record_failure("Ada", "a", 1, NOW);
        }
        assert_eq!(lockout.remaining_wait("ada", "a", 1, NOW), None);
        lockout.record_failure("ada", "a", 1, NOW);
        assert_eq!(lockout.remaining_wait("ADA", "a", 1, NOW), Some(INITIAL_WAIT));
        assert_eq!(lockout.remaining_wait("ada", "a", 1, NOW + INITIAL_WAIT), None);
        lockout.record_failure("ada", "a", 1, NOW + INITIAL_WAIT);
        assert_eq!(lockout.remaining_wait("ada", "a", 1, NOW + INITIAL_WAIT), Some(INITIAL_WAIT * 2));
        for _ in 0..40 {
            lockout.record_failure("ada", "a", 1, NOW + INITIAL_WAIT);
        }
        assert_eq!(lockout.remaining_wait("ada", "a", 1, NOW + INITIAL_WAIT), Some(ADDRESS_RULE.max_wait));
        assert_eq!(lockout.remaining_wait("ada", "b", 1, NOW + INITIAL_WAIT), None, "another address is not touched");
        assert_eq!(lockout.remaining_wait("bob", "a", 1, NOW), None);
        assert_eq!(lockout.remaining_wait("ada", "a", 2, NOW + INITIAL_WAIT), None, "a new password");
        lockout.record_success("ada", "a", NOW);
        assert_eq!(lockout.remaining_wait("ada", "a", 1, NOW + INITIAL_WAIT), None);
    }

    #[test]
    fn guesses_from_many_addresses_delay_a_name_except_at_its_known_addresses() {
        let lockout = Lockout::default();
        lockout.record_success("ada", "office", NOW);
        for number in 0..200 {
            lockout.record_failure("ada", &number.to_string(), 1, NOW);
        }
        let wait = lockout.remaining_wait("ada", "new", 1, NOW).unwrap();
        assert!(wait <= NAME_RULE.max_wait, "{wait:?}");
        assert_eq!(lockout.remaining_wait("ada", "office", 1, NOW), None);
        assert_eq!(lockout.remaining_wait("bob", "new", 1, NOW), None);
        assert_eq!(lockout.remaining_wait("ada", "new", 2, NOW), None, "reset");
        assert!(
            lockout
                .remaining_wait("ada", "office", 1, NOW + KNOWN_ADDRESS_TTL)
                .is_none_or(|wait| wait <= NAME_RULE.max_wait)
        );
    }

    #[test]
    fn the_tables_are_bounded_and_eviction_grants_no_free_guesses() {
        let lockout = Lockout::default();
        for number in 0..50_000 {
            lockout.record_failure(&number.to_string(), "a", 0, NOW + Duration::from_millis(number));
            lockout.record_success(&number.to_string(), "a", NOW + Duration::from_millis(number));
            lockout.record_failure(&number.to_string(), "a", 0, NOW + Duration::from_millis(number));
        }
        let late = NOW + Duration::from_millis(50_000);
        for _ in 0..5 {
            lockout.record_failure("ada", "a", 1, late);
        }
        assert!(lockout.remaining_wait("ada", "a", 1, late).is_some(), "also when the tables are full");
        let tables = lockout.0.lock().unwrap();
        assert!(
            tables.by_address.len() <= MAX_ENTRIES
                && tables.by_name.len() <= MAX_ENTRIES
                && tables.known_addresses.len() <= MAX_ENTRIES
        );
    }
}
