//! Rate limits: a bucket an identity and class, by the generic cell rate algorithm.
//!
//! Not `governor`: its keyed limiters grow with the number of keys until somebody sweeps them, and cost of what was
//! already received (bytes of a body without a length) cannot be charged afterwards. A bucket here is one number. Time is
//! monotonic: by the wall clock, a step backwards would refuse everybody until the old time is reached again.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::Monotonic;

/// So many buckets at most, some 6 MB; who comes when all are in use shares one.
const BUCKETS: usize = 65_536;
/// Buckets that are full again are dropped at most this often, in nanoseconds.
const SWEEP: i64 = 1_000_000_000;

/// Kinds of requests that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Judging a sample.
    Detect,
    /// Planning.
    Schedule,
    /// Trying a password.
    Login,
    /// Sending readings; counted in bytes.
    Ingest,
    /// All others.
    Other,
}

impl Class {
    /// As headers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Schedule => "schedule",
            Self::Login => "login",
            Self::Ingest => "ingest-bytes",
            Self::Other => "default",
        }
    }
}

/// So much in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests, or bytes.
    pub amount: u64,
    /// In this time.
    pub window: Duration,
}

impl Quota {
    /// So many a minute.
    pub const fn a_minute(amount: u64) -> Self {
        Self { amount, window: Duration::from_secs(60) }
    }

    /// So many a second.
    pub const fn a_second(amount: u64) -> Self {
        Self { amount, window: Duration::from_secs(1) }
    }

    /// How long `cost` takes to come back.
    fn nanoseconds(self, cost: u64) -> i64 {
        let took = u128::from(cost) * self.window.as_nanos() / u128::from(self.amount.max(1));
        i64::try_from(took).unwrap_or(i64::MAX)
    }
}

/// The quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// [`Class::Detect`].
    pub detect: Quota,
    /// [`Class::Schedule`].
    pub schedule: Quota,
    /// [`Class::Login`].
    pub login: Quota,
    /// [`Class::Ingest`].
    pub ingest: Quota,
    /// [`Class::Other`].
    pub other: Quota,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            detect: Quota::a_minute(100),
            schedule: Quota::a_minute(10),
            login: Quota::a_minute(10),
            ingest: Quota::a_second(64 << 20),
            other: Quota::a_minute(1200),
        }
    }
}

impl Quotas {
    fn of(&self, class: Class) -> Quota {
        match class {
            Class::Detect => self.detect,
            Class::Schedule => self.schedule,
            Class::Login => self.login,
            Class::Ingest => self.ingest,
            Class::Other => self.other,
        }
    }
}

/// Whether a request may go on, and what its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whether it may.
    pub allowed: bool,
    /// The class.
    pub class: Class,
    /// The quota.
    pub quota: Quota,
    /// What is left of it.
    pub remaining: u64,
    /// When all of it is back.
    pub reset: Duration,
    /// When to come again, if it may not.
    pub retry_after: Duration,
}

impl Allowance {
    /// `RateLimit-Policy`, by draft-ietf-httpapi-ratelimit-headers.
    pub fn policy(&self) -> String {
        let unit = if self.class == Class::Ingest { ";qu=\"content-bytes\"" } else { "" };
        format!("\"{}\";q={}{unit};w={}", self.class.name(), self.quota.amount, self.quota.window.as_secs().max(1))
    }

    /// `RateLimit`, by the same.
    pub fn state(&self) -> String {
        format!("\"{}\";r={};t={}", self.class.name(), self.remaining, seconds(self.reset))
    }

    /// `Retry-After`: whole seconds, never too early.
    pub fn retry_after_seconds(&self) -> u64 {
        seconds(self.retry_after).max(1)
    }
}

fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// All buckets.
#[derive(Debug)]
pub struct Limits {
    quotas: Quotas,
    clock: Arc<dyn Monotonic>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When each bucket is full again.
    full: HashMap<(Class, String), i64>,
    swept: i64,
}

impl Limits {
    /// Full buckets.
    pub fn new(quotas: Quotas, clock: Arc<dyn Monotonic>) -> Self {
        Self { quotas, clock, state: Mutex::default() }
    }

    /// Takes `cost` from the bucket of `who`, if it has so much. A cost above the whole quota needs a full bucket, and is
    /// waited for afterwards.
    pub fn take(&self, class: Class, who: &str, cost: u64) -> Allowance {
        self.visit(class, who, cost, false)
    }

    /// Takes `cost` in any case: it has been spent already.
    pub fn charge(&self, class: Class, who: &str, cost: u64) {
        self.visit(class, who, cost, true);
    }

    /// How many buckets are in use.
    pub fn buckets(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).full.len()
    }

    fn visit(&self, class: Class, who: &str, cost: u64, spent: bool) -> Allowance {
        let now = i64::try_from(self.clock.now().as_nanos()).unwrap_or(i64::MAX);
        let quota = self.quotas.of(class);
        let window = quota.nanoseconds(quota.amount).max(1);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = state.bucket(class, who, now);
        let begin = (*full).max(now);
        let needed = quota.nanoseconds(cost.min(quota.amount));
        let late = begin.saturating_add(needed).saturating_sub(now).saturating_sub(window);
        let allowed = spent || late <= 0;
        if allowed {
            *full = begin.saturating_add(quota.nanoseconds(cost));
        }
        let owed = (*full).saturating_sub(now).max(0);
        let left = u128::from(quota.amount) * u128::try_from((window - owed).max(0)).unwrap_or(0)
            / u128::try_from(window).unwrap_or(1);
        Allowance {
            allowed,
            class,
            quota,
            remaining: u64::try_from(left).unwrap_or(u64::MAX),
            reset: Duration::from_nanos(u64::try_from(owed).unwrap_or(0)),
            retry_after: Duration::from_nanos(if allowed { 0 } else { u64::try_from(late).unwrap_or(0) }),
        }
    }
}

impl State {
    fn bucket(&mut self, class: Class, who: &str, now: i64) -> &mut i64 {
        let mut key = (class, who.to_owned());
        if self.full.len() >= BUCKETS && !self.full.contains_key(&key) {
            if now.saturating_sub(self.swept) >= SWEEP {
                self.swept = now;
                self.full.retain(|_, full| *full > now);
            }
            if self.full.len() >= BUCKETS {
                key.1 = String::new();
            }
        }
        self.full.entry(key).or_insert(now)
    }
}

/// Whose bucket an address uses: a household has a whole /64 of IPv6.
pub fn address_key(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000_000;

    /// Nanoseconds, as the test sets them.
    #[derive(Debug, Default)]
    struct Hand(AtomicI64);

    impl Monotonic for Hand {
        fn now(&self) -> Duration {
            Duration::from_nanos(self.0.load(Ordering::Relaxed).cast_unsigned())
        }
    }

    /// Limits whose clock is set before each call.
    struct Timed(Limits, Arc<Hand>);

    impl Timed {
        fn new(quotas: Quotas) -> Self {
            let hand = Arc::new(Hand::default());
            Self(Limits::new(quotas, Arc::<Hand>::clone(&hand)), hand)
        }

        fn take(&self, class: Class, who: &str, cost: u64, now: i64) -> Allowance {
            self.1.0.store(now, Ordering::Relaxed);
            self.0.take(class, who, cost)
        }

        fn charge(&self, class: Class, who: &str, cost: u64, now: i64) {
            self.1.0.store(now, Ordering::Relaxed);
            self.0.charge(class, who, cost);
        }

        fn buckets(&self) -> usize {
            self.0.buckets()
        }
    }

    #[test]
    fn a_quota_is_used_up_and_comes_back() {
        let limits = Timed::new(Quotas::default());
        for left in (0..10).rev() {
            let allowance = limits.take(Class::Schedule, "ada", 1, 0);
            assert!(allowance.allowed);
            assert_eq!(allowance.remaining, left);
        }
        let refused = limits.take(Class::Schedule, "ada", 1, 0);
        assert!(!refused.allowed);
        assert_eq!((refused.remaining, refused.retry_after_seconds()), (0, 6));
        assert_eq!(refused.policy(), "\"schedule\";q=10;w=60");
        assert_eq!(refused.state(), "\"schedule\";r=0;t=60");
        assert!(limits.take(Class::Schedule, "bob", 1, 0).allowed, "each has an own bucket");
        assert!(limits.take(Class::Detect, "ada", 1, 0).allowed, "each class has an own bucket");
        assert!(limits.take(Class::Schedule, "ada", 1, 6 * S).allowed);
        assert!(!limits.take(Class::Schedule, "ada", 1, 6 * S).allowed);
    }

    #[test]
    fn what_was_spent_already_is_waited_for() {
        let quotas = Quotas { ingest: Quota::a_second(1000), ..Quotas::default() };
        let limits = Timed::new(quotas);
        assert!(limits.take(Class::Ingest, "gateway", 5000, 0).allowed, "a full bucket lets one large body in");
        let refused = limits.take(Class::Ingest, "gateway", 100, S);
        assert!(!refused.allowed && refused.retry_after_seconds() == 4, "{refused:?}");
        assert!(limits.take(Class::Ingest, "gateway", 100, 6 * S).allowed);
        limits.charge(Class::Ingest, "other", 3000, 0);
        assert!(!limits.take(Class::Ingest, "other", 1, S).allowed);
    }

    #[test]
    fn many_addresses_do_not_fill_the_memory() {
        let limits = Timed::new(Quotas::default());
        for number in 0..200_000 {
            limits.take(Class::Login, &number.to_string(), 1, 0);
        }
        assert!(limits.buckets() <= BUCKETS + 1, "{}", limits.buckets());
        limits.take(Class::Login, "late", 1, 3600 * S);
        assert_eq!(limits.buckets(), 1);
    }

    #[test]
    fn a_household_is_one_address() {
        let of = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    proptest! {
        #[test]
        fn never_more_than_twice_the_quota_in_a_window(steps in prop::collection::vec(0..3_000_000_000_i64, 1..400)) {
            let limits = Timed::new(Quotas { other: Quota::a_minute(60), ..Quotas::default() });
            let (mut now, mut taken) = (0, Vec::new());
            for step in steps {
                now += step;
                if limits.take(Class::Other, "x", 1, now).allowed {
                    taken.push(now);
                }
            }
            for &end in &taken {
                let within = taken.iter().filter(|&&time| time <= end && time > end - 60 * S).count();
                prop_assert!(within <= 120, "{within}");
            }
        }
    }
}
