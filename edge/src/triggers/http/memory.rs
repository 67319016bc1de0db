//! How many bytes of bodies are held at once, in all and of one address.
//!
//! The first 64 KiB of a body are free, as the number of connections bounds them: so a request of ordinary size is
//! answered also while large bodies take all that there is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;

use super::Problem;
use crate::metrics::Metrics;

/// So much of each body is not counted.
const FREE: usize = 64 << 10;
/// It is counted in steps of this size, so that a body that comes in small parts does not take the lock for each.
const STEP: usize = 64 << 10;

/// Gives out memory for bodies.
#[derive(Debug)]
pub(super) struct BodyMemory {
    most: usize,
    held: Mutex<Held>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    of_address: HashMap<String, usize>,
}

/// The memory of one request; given back when it is dropped.
#[derive(Debug)]
pub(super) struct BodyPermit {
    memory: Arc<BodyMemory>,
    address: String,
    used: usize,
    counted: usize,
}

impl BodyMemory {
    /// With `most` bytes, of which one address may have half.
    pub(super) fn new(most: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default(), metrics })
    }

    /// Nothing yet, for a client of that address.
    pub(super) fn permit(self: &Arc<Self>, address: String) -> BodyPermit {
        BodyPermit { memory: Arc::clone(self), address, used: 0, counted: 0 }
    }
}

impl BodyPermit {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// 503 where there is no more now. It is not waited for: bodies that each hold a part would wait for each other.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        self.used = self.used.saturating_add(bytes);
        let needed = self.used.saturating_sub(FREE).saturating_sub(self.counted);
        if needed == 0 {
            return Ok(());
        }
        let take = needed.next_multiple_of(STEP);
        let memory = &self.memory;
        let mut held = memory.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = held.of_address.get(&self.address).copied().unwrap_or(0);
        let whose = if of_address + take > memory.most / 2 {
            "your address's"
        } else if held.all + take > memory.most {
            "all"
        } else {
            held.all += take;
            held.of_address.insert(self.address.clone(), of_address + take);
            self.counted += take;
            memory.metrics.http.body_bytes.set(i64::try_from(held.all).unwrap_or(i64::MAX));
            return Ok(());
        };
        drop(held);
        memory.metrics.http.limited("body-memory");
        let detail = format!(
            "{whose} bodies together hold all the memory that there is for them; send fewer or smaller ones at once, or raise [http.limits] body_memory"
        );
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
    }
}

impl Drop for BodyPermit {
    fn drop(&mut self) {
        if self.counted == 0 {
            return;
        }
        let mut held = self.memory.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all = held.all.saturating_sub(self.counted);
        if let Some(bytes) = held.of_address.get_mut(&self.address) {
            *bytes = bytes.saturating_sub(self.counted);
            if *bytes == 0 {
                held.of_address.remove(&self.address);
            }
        }
        self.memory.metrics.http.body_bytes.set(i64::try_from(held.all).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_do_not_keep_small_ones_out() {
        const MIB: usize = 1 << 20;
        let memory = BodyMemory::new(4 * MIB, Arc::default());
        let mut large: Vec<_> = ["a", "b"].map(|address| memory.permit(address.into())).into();
        for permit in &mut large {
            permit.grow(2 * MIB + FREE).unwrap();
            assert!(permit.grow(1).unwrap_err().detail().contains("address's"));
        }
        let mut other = memory.permit("c".into());
        other.grow(FREE).unwrap();
        assert!(other.grow(1).unwrap_err().detail().contains("all bodies"));
        large.pop();
        other.grow(MIB).unwrap();
        drop((large, other));
        let held = memory.held.lock().unwrap();
        assert!(held.all == 0 && held.of_address.is_empty());
    }
}
