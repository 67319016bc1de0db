//! Limits for open connections, in total and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::throttle::AddressKey;

/// Maximum number of connections above the limit that get an answer at the same time; further ones are closed without
/// one.
const REFUSING: usize = 64;

/// Counts open connections and enforces the limits.
#[derive(Debug)]
pub(crate) struct Admission {
    open: AtomicUsize,
    refusing: AtomicUsize,
    addresses: Mutex<HashMap<AddressKey, usize>>,
    max: usize,
    max_per_address: usize,
}

/// The decision on a new connection.
#[derive(Debug)]
pub(crate) enum Admitted {
    Served(Place),
    /// A limit is reached: the client gets the reason, then the connection is closed.
    Refused(Refusing),
    /// Too many connections are being rejected already: it is closed without an answer.
    Closed,
}

impl Admission {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            refusing: AtomicUsize::new(0),
            addresses: Mutex::default(),
            max,
            max_per_address,
        }
    }

    /// Number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Admitted {
        let key = AddressKey::of(address);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let own = addresses.get(&key).copied().unwrap_or(0);
        if self.open() < self.max && own < self.max_per_address {
            addresses.insert(key, own + 1);
            self.open.fetch_add(1, Ordering::Relaxed);
            return Admitted::Served(Place { admission: Arc::clone(self), key });
        }
        if self.refusing.load(Ordering::Relaxed) >= REFUSING {
            return Admitted::Closed;
        }
        self.refusing.fetch_add(1, Ordering::Relaxed);
        Admitted::Refused(Refusing(Arc::clone(self)))
    }
}

/// Permit for an open connection; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    key: AddressKey,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = addresses.get_mut(&self.key) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                addresses.remove(&self.key);
            }
        }
        self.admission.open.fetch_sub(1, Ordering::Release);
    }
}

/// Permit for a connection that is being rejected; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Refusing(Arc<Admission>);

impl Drop for Refusing {
    fn drop(&mut self) {
        self.0.refusing.fetch_sub(1, Ordering::Relaxed);
    }
}
