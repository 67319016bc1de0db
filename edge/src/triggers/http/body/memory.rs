//! Limits the memory for request bodies, in total and per address.
//!
//! The first 64 KiB of each body are not counted, because the number of connections already bounds them. A request of
//! ordinary size is therefore answered even while large bodies use all the memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;

use crate::{metrics::Metrics, triggers::http::problem::Problem};

/// The number of bytes of each body that are not counted.
const FREE_BYTES: usize = 64 << 10;
/// The unit in which memory is reserved, so that a body that arrives in small frames does not take the lock for each.
const STEP_BYTES: usize = 64 << 10;

/// The memory for request bodies.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    max_bytes: usize,
    usage: Mutex<Usage>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Usage {
    total: usize,
    per_address: HashMap<String, usize>,
}

/// The memory of one request; released when it is dropped.
#[derive(Debug)]
pub(crate) struct BodyPermit {
    memory: Arc<BodyMemory>,
    address: String,
    used: usize,
    counted: usize,
}

impl BodyMemory {
    /// A memory of `max_bytes` bytes, of which one address may use half.
    pub(crate) fn new(max_bytes: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { max_bytes, usage: Mutex::default(), metrics })
    }

    /// A permit without memory yet, for a client of that address.
    pub(crate) fn permit(self: &Arc<Self>, address: String) -> BodyPermit {
        BodyPermit { memory: Arc::clone(self), address, used: 0, counted: 0 }
    }
}

impl BodyPermit {
    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// 503 if not enough memory is free. The call does not wait: bodies that each hold a part would wait for each
    /// other.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        self.used = self.used.saturating_add(bytes);
        let needed = self.used.saturating_sub(FREE_BYTES).saturating_sub(self.counted);
        if needed == 0 {
            return Ok(());
        }
        let amount = needed.next_multiple_of(STEP_BYTES);
        let memory = &self.memory;
        let mut usage = memory.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let per_address = usage.per_address.get(&self.address).copied().unwrap_or(0);
        let user = if per_address + amount > memory.max_bytes / 2 {
            "your address"
        } else if usage.total + amount > memory.max_bytes {
            "all clients together"
        } else {
            usage.total += amount;
            usage.per_address.insert(self.address.clone(), per_address + amount);
            self.counted += amount;
            memory.metrics.http.body_bytes.set(i64::try_from(usage.total).unwrap_or(i64::MAX));
            return Ok(());
        };
        drop(usage);
        memory.metrics.http.count_limited("body-memory");
        let detail = format!(
            "the request bodies of {user} use all the memory reserved for them; send fewer or smaller ones at once, or raise [http.limits] body_memory"
        );
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
    }
}

impl Drop for BodyPermit {
    fn drop(&mut self) {
        if self.counted == 0 {
            return;
        }
        let mut usage = self.memory.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.total = usage.total.saturating_sub(self.counted);
        if let Some(bytes) = usage.per_address.get_mut(&self.address) {
            *bytes = bytes.saturating_sub(self.counted);
            if *bytes == 0 {
                usage.per_address.remove(&self.address);
            }
        }
        self.memory.metrics.http.body_bytes.set(i64::try_from(usage.total).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_do_not_block_small_ones() {
        const MIB: usize = 1 << 20;
        let memory = BodyMemory::new(4 * MIB, Arc::default());
        let mut large: Vec<_> = ["a", "b"].map(|address| memory.permit(address.into())).into();
        for permit in &mut large {
            permit.grow(2 * MIB + FREE_BYTES).unwrap();
            assert!(permit.grow(1).unwrap_err().detail().contains("your address"));
        }
        let mut other = memory.permit("c".into());
        other.grow(FREE_BYTES).unwrap();
        assert!(other.grow(1).unwrap_err().detail().contains("all clients"));
        large.pop();
        other.grow(MIB).unwrap();
        drop((large, other));
        let usage = memory.usage.lock().unwrap();
        assert!(usage.total == 0 && usage.per_address.is_empty());
    }
}
