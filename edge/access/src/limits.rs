//! Rate limits with the generic cell rate algorithm: one bucket for each identity and class.
//!
//! Why not `governor`: its keyed limiters grow with the number of keys until they are swept, and it cannot charge a
//! cost afterwards (such as the bytes of a body without a length). A bucket here is one number. The clock is monotonic:
//! with the wall clock, a step backwards would reject all requests until the old time is reached again.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::MonotonicClock;

/// Maximum number of buckets, about 6 MB. When all are in use, new identities share one bucket for each class.
const MAX_BUCKETS: usize = 65_536;
/// Minimum interval between two removals of full buckets, in nanoseconds.
const SWEEP_INTERVAL_NS: i64 = 1_000_000_000;

/// Classes of requests, each with its own quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateClass {
    /// Scoring of samples.
    Detect,
    /// Planning of maintenance.
    Schedule,
    /// Logins.
    Login,
    /// Readings, counted in bytes.
    Ingest,
    /// All other requests.
    Other,
}

impl RateClass {
    /// The name used in the rate limit headers.
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

/// An amount per time window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Number of requests, or of bytes.
    pub amount: u64,
    /// Length of the window.
    pub window: Duration,
}

impl Quota {
    /// A quota for a window of one minute.
    pub const fn per_minute(amount: u64) -> Self {
        Self { amount, window: Duration::from_secs(60) }
    }

    /// A quota for a window of one second.
    pub const fn per_second(amount: u64) -> Self {
        Self { amount, window: Duration::from_secs(1) }
    }

    /// The time in which `cost` is refilled, in nanoseconds.
    fn refill_nanoseconds(self, cost: u64) -> i64 {
        let nanoseconds = u128::from(cost) * self.window.as_nanos() / u128::from(self.amount.max(1));
        i64::try_from(nanoseconds).unwrap_or(i64::MAX)
    }
}

/// The quota of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Quota of [`RateClass::Detect`].
    pub detect: Quota,
    /// Quota of [`RateClass::Schedule`].
    pub schedule: Quota,
    /// Quota of [`RateClass::Login`].
    pub login: Quota,
    /// Quota of [`RateClass::Ingest`], in bytes.
    pub ingest: Quota,
    /// Quota of [`RateClass::Other`].
    pub other: Quota,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            detect: Quota::per_minute(100),
            schedule: Quota::per_minute(10),
            login: Quota::per_minute(10),
            ingest: Quota::per_second(64 << 20),
            other: Quota::per_minute(1200),
        }
    }
}

impl Quotas {
    fn for_class(&self, class: RateClass) -> Quota {
        match class {
            RateClass::Detect => self.detect,
            RateClass::Schedule => self.schedule,
            RateClass::Login => self.login,
            RateClass::Ingest => self.ingest,
            RateClass::Other => self.other,
        }
    }
}

/// The decision of the rate limiter, with the values for the response headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitDecision {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// Class of the request.
    pub class: RateClass,
    /// Quota of the class.
    pub quota: Quota,
    /// Remaining requests or bytes.
    pub remaining: u64,
    /// Time until the bucket is full again.
    pub reset: Duration,
    /// Time until the request would be allowed; zero if it is allowed now.
    pub retry_after: Duration,
}

impl RateLimitDecision {
    /// Value of the header `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    pub fn policy_header(&self) -> String {
        let unit = if self.class == RateClass::Ingest { ";qu=\"content-bytes\"" } else { "" };
        format!("\"{}\";q={}{unit};w={}", self.class.name(), self.quota.amount, self.quota.window.as_secs().max(1))
    }

    /// Value of the header `RateLimit` (draft-ietf-httpapi-ratelimit-headers).
    pub fn state_header(&self) -> String {
        format!("\"{}\";r={};t={}", self.class.name(), self.remaining, ceil_seconds(self.reset))
    }

    /// Value of the header `Retry-After`: seconds, rounded up, at least 1.
    pub fn retry_after_seconds(&self) -> u64 {
        ceil_seconds(self.retry_after).max(1)
    }
}

fn ceil_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The rate limiter: the buckets of all identities.
#[derive(Debug)]
pub struct RateLimiter {
    quotas: Quotas,
    clock: Arc<dyn MonotonicClock>,
    buckets: Mutex<BucketTable>,
}

#[derive(Debug, Default)]
struct BucketTable {
    /// Time at which each bucket is full again, in nanoseconds of the monotonic clock.
    full_at: HashMap<(RateClass, String), i64>,
    last_sweep: i64,
}

impl RateLimiter {
    /// Creates a rate limiter in which all buckets are full.
    pub fn new(quotas: Quotas, clock: Arc<dyn MonotonicClock>) -> Self {
        Self { quotas, clock, buckets: Mutex::default() }
    }

    /// Takes `cost` from the bucket of identity or address `who`, if the bucket has enough. A cost above the quota is
    /// allowed if the bucket is full; the excess delays the next requests.
    pub fn try_take(&self, class: RateClass, who: &str, cost: u64) -> RateLimitDecision {
        self.update_bucket(class, who, cost, false)
    }

    /// Takes `cost` unconditionally, because it is spent already.
    pub fn charge(&self, class: RateClass, who: &str, cost: u64) {
        self.update_bucket(class, who, cost, true);
    }

    /// Number of buckets in use.
    pub fn bucket_count(&self) -> usize {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).full_at.len()
    }

    fn update_bucket(&self, class: RateClass, who: &str, cost: u64, spent: bool) -> RateLimitDecision {
        let now = i64::try_from(self.clock.now().as_nanos()).unwrap_or(i64::MAX);
        let quota = self.quotas.for_class(class);
        let window = quota.refill_nanoseconds(quota.amount).max(1);
        let mut state = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = state.bucket(class, who, now);
        let begin = (*full).max(now);
        let needed = quota.refill_nanoseconds(cost.min(quota.amount));
        let late = begin.saturating_add(needed).saturating_sub(now).saturating_sub(window);
        let allowed = spent || late <= 0;
        if allowed {
            *full = begin.saturating_add(quota.refill_nanoseconds(cost));
        }
        let owed = (*full).saturating_sub(now).max(0);
        let left = u128::from(quota.amount) * u128::try_from((window - owed).max(0)).unwrap_or(0)
            / u128::try_from(window).unwrap_or(1);
        RateLimitDecision {
            allowed,
            class,
            quota,
            remaining: u64::try_from(left).unwrap_or(u64::MAX),
            reset: Duration::from_nanos(u64::try_from(owed).unwrap_or(0)),
            retry_after: Duration::from_nanos(if allowed { 0 } else { u64::try_from(late).unwrap_or(0) }),
        }
    }
}

impl BucketTable {
    fn bucket(&mut self, class: RateClass, who: &str, now: i64) -> &mut i64 {
        let mut key = (class, who.to_owned());
        if self.full_at.len() >= MAX_BUCKETS && !self.full_at.contains_key(&key) {
            if now.saturating_sub(self.last_sweep) >= SWEEP_INTERVAL_NS {
                self.last_sweep = now;
                self.full_at.retain(|_, full| *full > now);
            }
            if self.full_at.len() >= MAX_BUCKETS {
                key.1 = String::new();
            }
        }
        self.full_at.entry(key).or_insert(now)
    }
}

/// Returns the key of an address for rate limits and lockouts. All IPv6 addresses of a /64 share a key, because one
/// client usually has a whole /64.
pub fn client_key(address: IpAddr) -> String {
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

    /// A clock that the test sets, in nanoseconds.
    #[derive(Debug, Default)]
    struct ManualClock(AtomicI64);

    impl MonotonicClock for ManualClock {
        fn now(&self) -> Duration {
            Duration::from_nanos(self.0.load(Ordering::Relaxed).cast_unsigned())
        }
    }

    /// A rate limiter whose clock is set before each call.
    struct TestLimiter(RateLimiter, Arc<ManualClock>);

    impl TestLimiter {
        fn new(quotas: Quotas) -> Self {
            let clock = Arc::new(ManualClock::default());
            Self(RateLimiter::new(quotas, Arc::<ManualClock>::clone(&clock)), clock)
        }

        fn take(&self, class: RateClass, who: &str, cost: u64, now: i64) -> RateLimitDecision {
            self.1.0.store(now, Ordering::Relaxed);
            self.0.try_take(class, who, cost)
        }

        fn charge(&self, class: RateClass, who: &str, cost: u64, now: i64) {
            self.1.0.store(now, Ordering::Relaxed);
            self.0.charge(class, who, cost);
        }

        fn buckets(&self) -> usize {
            self.0.bucket_count()
        }
    }

    #[test]
    fn a_quota_is_used_up_and_refills() {
        let limits = TestLimiter::new(Quotas::default());
        for left in (0..10).rev() {
            let allowance = limits.take(RateClass::Schedule, "ada", 1, 0);
            assert!(allowance.allowed);
            assert_eq!(allowance.remaining, left);
        }
        let rejected = limits.take(RateClass::Schedule, "ada", 1, 0);
        assert!(!rejected.allowed);
        assert_eq!((rejected.remaining, rejected.retry_after_seconds()), (0, 6));
        assert_eq!(rejected.policy_header(), "\"schedule\";q=10;w=60");
        assert_eq!(rejected.state_header(), "\"schedule\";r=0;t=60");
        assert!(limits.take(RateClass::Schedule, "bob", 1, 0).allowed, "each identity has its own bucket");
        assert!(limits.take(RateClass::Detect, "ada", 1, 0).allowed, "each class has its own bucket");
        assert!(limits.take(RateClass::Schedule, "ada", 1, 6 * S).allowed);
        assert!(!limits.take(RateClass::Schedule, "ada", 1, 6 * S).allowed);
    }

    #[test]
    fn an_excess_cost_delays_later_requests() {
        let quotas = Quotas { ingest: Quota::per_second(1000), ..Quotas::default() };
        let limits = TestLimiter::new(quotas);
        assert!(limits.take(RateClass::Ingest, "gateway", 5000, 0).allowed, "a full bucket accepts one large body");
        let rejected = limits.take(RateClass::Ingest, "gateway", 100, S);
        assert!(!rejected.allowed && rejected.retry_after_seconds() == 4, "{rejected:?}");
        assert!(limits.take(RateClass::Ingest, "gateway", 100, 6 * S).allowed);
        limits.charge(RateClass::Ingest, "other", 3000, 0);
        assert!(!limits.take(RateClass::Ingest, "other", 1, S).allowed);
    }

    #[test]
    fn the_number_of_buckets_is_limited() {
        let limits = TestLimiter::new(Quotas::default());
        for number in 0..200_000 {
            limits.take(RateClass::Login, &number.to_string(), 1, 0);
        }
        assert!(limits.buckets() <= MAX_BUCKETS + 1, "{}", limits.buckets());
        limits.take(RateClass::Login, "late", 1, 3600 * S);
        assert_eq!(limits.buckets(), 1);
    }

    #[test]
    fn addresses_of_one_ipv6_prefix_share_a_key() {
        let key = |text: &str| client_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), key("2001:db8:1:2::9"));
        assert_ne!(key("2001:db8:1:2::9"), key("2001:db8:1:3::9"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    proptest! {
        #[test]
        fn never_more_than_twice_the_quota_in_a_window(steps in prop::collection::vec(0..3_000_000_000_i64, 1..400)) {
            let limits = TestLimiter::new(Quotas { other: Quota::per_minute(60), ..Quotas::default() });
            let (mut now, mut taken) = (0, Vec::new());
            for step in steps {
                now += step;
                if limits.take(RateClass::Other, "x", 1, now).allowed {
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
