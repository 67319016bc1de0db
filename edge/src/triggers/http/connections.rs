//! Limits the number of open connections, in total and per address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};
use wheeltapper_access::client_key;

use crate::metrics::{HttpMetrics, Metrics};

/// The maximum number of rejected connections that get a response at once; further ones are only closed.
const MAX_REPLIES: usize = 64;
/// The maximum time for the response to a rejected connection.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Admits connections up to the limits.
#[derive(Debug)]
pub(crate) struct Connections {
    max_open: usize,
    max_per_address: usize,
    open: Mutex<OpenCounts>,
    metrics: Arc<Metrics>,
    reply_permits: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct OpenCounts {
    total: usize,
    per_address: HashMap<String, usize>,
}

/// Why a connection is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// Too many connections of this address are open.
    PerAddress,
    /// Too many connections are open.
    Total,
}

/// An admitted connection; it counts as open until this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    connections: Arc<Connections>,
    address: String,
}

impl Connections {
    pub(crate) fn new(max_open: usize, max_per_address: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        let reply_permits = Arc::new(Semaphore::new(MAX_REPLIES));
        Arc::new(Self { max_open, max_per_address, open: Mutex::default(), metrics, reply_permits })
    }

    /// Admits a connection of an address, or returns why not.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionPermit, Rejection> {
        let address = client_key(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let per_address = open.per_address.get(&address).copied().unwrap_or(0);
        if per_address >= self.max_per_address {
            self.http().count_limited("connections-per-address");
            return Err(Rejection::PerAddress);
        }
        if open.total >= self.max_open {
            self.http().count_limited("connections");
            return Err(Rejection::Total);
        }
        open.total += 1;
        open.per_address.insert(address.clone(), per_address + 1);
        self.http().connections.inc();
        Ok(ConnectionPermit { connections: Arc::clone(self), address })
    }

    /// Sends the reason to a client without TLS, in a task of its own.
    pub(crate) fn reject(&self, mut stream: TcpStream, rejection: Rejection) {
        let Ok(permit) = Arc::clone(&self.reply_permits).try_acquire_owned() else { return };
        let response = rejection.response(self.max_open, self.max_per_address);
        tokio::spawn(async move {
            let _permit = permit;
            let _ = timeout(REPLY_TIMEOUT, async {
                stream.write_all(response.as_bytes()).await?;
                stream.shutdown().await?;
                // The request is read first, or the client would see a reset instead of the response.
                let mut rest = [0; 4096];
                while stream.read(&mut rest).await? > 0 {}
                std::io::Result::Ok(())
            })
            .await;
        });
    }

    fn http(&self) -> &HttpMetrics {
        &self.metrics.http
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.per_address.remove(&self.address);
            }
        }
        self.connections.http().connections.dec();
    }
}

impl Rejection {
    fn response(self, max_open: usize, max_per_address: usize) -> String {
        let (status, title, detail) = match self {
            Self::PerAddress => (
                429,
                "Too Many Requests",
                format!(
                    "your address has {max_per_address} connections open, which is the limit; reuse them, or raise [http.limits] connections_per_address"
                ),
            ),
            Self::Total => (
                503,
                "Service Unavailable",
                format!(
                    "the host has {max_open} connections open, which is the limit; try again later, or raise [http.limits] connections"
                ),
            ),
        };
        let body = serde_json::json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
        let body = body.to_string();
        format!(
            "HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_use_all_connections() {
        let connections = Connections::new(5, 3, Arc::default());
        let admit = |address: &str| connections.admit(address.parse().unwrap());
        let first: Vec<_> = (0..3).map(|_| admit("192.0.2.1").unwrap()).collect();
        assert_eq!(admit("192.0.2.1").unwrap_err(), Rejection::PerAddress);
        // A household uses a whole /64.
        let second = [admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap()];
        assert_eq!(admit("192.0.2.3").unwrap_err(), Rejection::Total);
        drop(first);
        assert!(admit("192.0.2.1").is_ok());
        drop(second);
        assert!(connections.open.lock().unwrap().per_address.is_empty());
    }
}
