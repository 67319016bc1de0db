//! Delays logins after failures, per address and user name. It uses monotonic time, so a change of the wall clock
//! neither extends nor cancels a delay.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Number of failures of one name from one address without a delay.
const FREE_FAILURES_PER_NAME: u32 = 5;
/// Number of failures from one address, over all names, without a delay. A site behind one address may have many
/// devices.
const FREE_FAILURES_PER_ADDRESS: u32 = 50;
/// The first delay; each further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The maximum delay.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// The failure count decreases by one per interval.
const FORGIVE_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum number of entries of each table.
const MAX_ENTRIES: usize = 16_384;
/// Number of entries from which the entry to evict is chosen when a table is full.
const EVICTION_SAMPLE: usize = 16;

/// The part of an IP address that is counted. For IPv6 this is the /64 prefix, because one household or attacker owns
/// all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AddressKey(u128);

impl AddressKey {
    pub(crate) fn from_ip(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u128::from(address.to_bits())),
            // The lower half of a /64 is zero, and no IPv4 address is in the upper half.
            IpAddr::V6(address) => Self(((address.to_bits() >> 64) << 64) | (1 << 32)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct FailureRecord {
    count: u32,
    last_failure: Instant,
    blocked_until: Instant,
}

impl FailureRecord {
    fn new(now: Instant) -> Self {
        Self { count: 0, last_failure: now, blocked_until: now }
    }

    fn add(&mut self, free: u32, now: Instant) {
        let forgiven = now.saturating_duration_since(self.last_failure).as_secs() / FORGIVE_INTERVAL.as_secs();
        self.count = self.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX)).saturating_add(1);
        self.last_failure = now;
        if self.count >= free {
            let wait = FIRST_DELAY.saturating_mul(1 << (self.count - free).min(10)).min(MAX_DELAY);
            self.blocked_until = now + wait;
        }
    }
}

/// Failed logins by name and address, with bounded memory.
#[derive(Debug, Default)]
pub(crate) struct LoginThrottle {
    names: HashMap<(AddressKey, Box<str>), FailureRecord>,
    addresses: HashMap<AddressKey, FailureRecord>,
    /// Names that have logged in from an address. Failures of other names at the same address do not delay them.
    known_names: HashMap<(AddressKey, Box<str>), Instant>,
}

/// Evicts an entry if the table is full: the least recently touched entry of a small sample.
fn evict_oldest<K: Clone + Eq + std::hash::Hash, V>(
    table: &mut HashMap<K, V>,
    key: &K,
    touched: impl Fn(&V) -> Instant,
) {
    if table.len() < MAX_ENTRIES || table.contains_key(key) {
        return;
    }
    let oldest = table.iter().take(EVICTION_SAMPLE).min_by_key(|(_, value)| touched(value)).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        table.remove(&oldest);
    }
}

impl LoginThrottle {
    /// The remaining delay for this name at this address, if any.
    pub(crate) fn remaining_delay(&self, address: AddressKey, name: &str, now: Instant) -> Option<Duration> {
        let key = (address, Box::from(name));
        let of_name = self.names.get(&key).map(|failures| failures.blocked_until);
        let of_address = self
            .addresses
            .get(&address)
            .filter(|_| !self.known_names.contains_key(&key))
            .map(|failures| failures.blocked_until);
        let until = of_name.max(of_address)?;
        Some(until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    pub(crate) fn record_failure(&mut self, address: AddressKey, name: &str, now: Instant) {
        let key = (address, Box::from(name));
        evict_oldest(&mut self.names, &key, |failures| failures.last_failure);
        self.names.entry(key).or_insert_with(|| FailureRecord::new(now)).add(FREE_FAILURES_PER_NAME, now);
        evict_oldest(&mut self.addresses, &address, |failures| failures.last_failure);
        self.addresses.entry(address).or_insert_with(|| FailureRecord::new(now)).add(FREE_FAILURES_PER_ADDRESS, now);
    }

    pub(crate) fn record_success(&mut self, address: AddressKey, name: &str, now: Instant) {
        let key = (address, Box::from(name));
        self.names.remove(&key);
        evict_oldest(&mut self.known_names, &key, |at| *at);
        self.known_names.insert(key, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> AddressKey {
        AddressKey::from_ip(text.parse().unwrap())
    }

    #[test]
    fn the_delay_applies_to_a_name_at_an_address_and_grows() {
        let mut throttle = LoginThrottle::default();
        let now = Instant::now();
        for _ in 0..4 {
            throttle.record_failure(at("10.0.0.1"), "plc", now);
        }
        assert_eq!(throttle.remaining_delay(at("10.0.0.1"), "plc", now), None);
        throttle.record_failure(at("10.0.0.1"), "plc", now);
        assert_eq!(throttle.remaining_delay(at("10.0.0.1"), "plc", now), Some(FIRST_DELAY));
        throttle.record_failure(at("10.0.0.1"), "plc", now);
        assert_eq!(throttle.remaining_delay(at("10.0.0.1"), "plc", now), Some(FIRST_DELAY * 2));
        assert_eq!(throttle.remaining_delay(at("10.0.0.2"), "plc", now), None, "another address");
        assert_eq!(throttle.remaining_delay(at("10.0.0.1"), "hmi", now), None, "another name");
        assert_eq!(throttle.remaining_delay(at("10.0.0.1"), "plc", now + MAX_DELAY), None, "it ends");
        throttle.record_success(at("10.0.0.1"), "plc", now);
        assert_eq!(throttle.remaining_delay(at("10.0.0.1"), "plc", now), None);
    }

    #[test]
    fn an_address_that_tries_many_names_is_delayed_but_not_its_known_names() {
        let mut throttle = LoginThrottle::default();
        let now = Instant::now();
        throttle.record_success(at("10.0.0.1"), "plc", now);
        for number in 0..60 {
            throttle.record_failure(at("10.0.0.1"), &number.to_string(), now);
        }
        assert!(throttle.remaining_delay(at("10.0.0.1"), "new", now).is_some());
        assert_eq!(throttle.remaining_delay(at("10.0.0.1"), "plc", now), None);
        assert_eq!(throttle.remaining_delay(at("10.0.0.2"), "new", now), None);
        // One device with a wrong password and one attempt per minute does not block the address.
        let mut throttle = LoginThrottle::default();
        for minute in 0..200 {
            throttle.record_failure(at("10.0.0.1"), "plc", now + FORGIVE_INTERVAL * minute);
        }
        assert_eq!(throttle.remaining_delay(at("10.0.0.1"), "new", now + FORGIVE_INTERVAL * 200), None);
    }

    #[test]
    fn the_tables_are_bounded() {
        let mut throttle = LoginThrottle::default();
        let now = Instant::now();
        for number in 0..40_000_u32 {
            let address = AddressKey::from_ip(IpAddr::from(number.to_be_bytes()));
            throttle.record_failure(address, "x", now);
            throttle.record_success(address, "x", now);
            throttle.record_failure(address, "x", now);
        }
        assert!(throttle.names.len() <= MAX_ENTRIES && throttle.addresses.len() <= MAX_ENTRIES);
        assert!(throttle.known_names.len() <= MAX_ENTRIES);
    }

    #[test]
    fn an_ipv6_prefix_counts_as_one_address() {
        assert_eq!(at("2001:db8:1:2:3:4:5:6"), at("2001:db8:1:2::9"));
        assert_ne!(at("2001:db8:1:2::9"), at("2001:db8:1:3::9"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("::1"), at("0.0.0.0"));
    }
}
