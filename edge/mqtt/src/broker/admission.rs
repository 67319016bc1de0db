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
const MAX_REJECTING: usize = 64;

/// Counts open connections and enforces the limits.
#[derive(Debug)]
pub(crate) struct Admission {
    open_connections: AtomicUsize,
    rejecting: AtomicUsize,
    connections_by_address: Mutex<HashMap<AddressKey, usize>>,
    max_connections: usize,
    max_per_address: usize,
}

/// The decision on a new connection.
#[derive(Debug)]
pub(crate) enum AdmissionDecision {
    Accepted(ConnectionPermit),
    /// A limit is reached: the client gets the reason, then the connection is closed.
    Rejected(RejectionPermit),
    /// Too many connections are being rejected already: it is closed without an answer.
    Closed,
}

impl Admission {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Self {
        Self {
            open_connections: AtomicUsize::new(0),
            rejecting: AtomicUsize::new(0),
            connections_by_address: Mutex::default(),
            max_connections: max,
            max_per_address,
        }
    }

    /// Number of open connections.
    pub(crate) fn open_connections(&self) -> usize {
        self.open_connections.load(Ordering::Acquire)
    }

    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> AdmissionDecision {
        let key = AddressKey::from_ip(address);
        let mut addresses = self.connections_by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let own = addresses.get(&key).copied().unwrap_or(0);
        if self.open_connections() < self.max_connections && own < self.max_per_address {
            addresses.insert(key, own + 1);
            self.open_connections.fetch_add(1, Ordering::Relaxed);
            return AdmissionDecision::Accepted(ConnectionPermit { admission: Arc::clone(self), key });
        }
        if self.rejecting.load(Ordering::Relaxed) >= MAX_REJECTING {
            return AdmissionDecision::Closed;
        }
        self.rejecting.fetch_add(1, Ordering::Relaxed);
        AdmissionDecision::Rejected(RejectionPermit(Arc::clone(self)))
    }
}

/// Permit for an open connection; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    admission: Arc<Admission>,
    key: AddressKey,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut addresses = self.admission.connections_by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = addresses.get_mut(&self.key) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                addresses.remove(&self.key);
            }
        }
        self.admission.open_connections.fetch_sub(1, Ordering::Release);
    }
}

/// Permit for a connection that is being rejected; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct RejectionPermit(Arc<Admission>);

impl Drop for RejectionPermit {
    fn drop(&mut self) {
        self.0.rejecting.fetch_sub(1, Ordering::Relaxed);
    }
}
