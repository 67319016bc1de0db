//! The pause before the next attempt: exponential, with jitter.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// The pause after the first failure; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Returns the pause after `attempts` failed attempts (at least 1): a half to the whole of the exponential pause
/// ("equal jitter"). The share is derived from the key of the message, not from entropy, so that a run can be repeated.
pub(super) fn pause(attempts: u32, key: &str) -> Duration {
    let whole = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST);
    let digest = Sha256::new().chain_update(key).chain_update(attempts.to_le_bytes()).finalize();
    let share = digest.first_chunk().map_or(0, |bytes: &[u8; 4]| u32::from_le_bytes(*bytes));
    whole / 2 + (whole / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_of_two_messages_differ_and_are_reproducible() {
        assert_eq!(pause(3, "a"), pause(3, "a"));
        assert_ne!(pause(3, "a"), pause(3, "b"));
    }

    proptest! {
        #[test]
        fn pauses_double_up_to_a_minute(attempts in 1_u32..100, key in "[a-z0-9-]{0,40}") {
            let whole = Duration::from_secs(1 << (attempts - 1).min(6)).min(Duration::from_secs(60));
            let pause = pause(attempts, &key);
            prop_assert!(pause >= whole / 2 && pause <= whole, "{attempts}: {pause:?}");
        }
    }
}
