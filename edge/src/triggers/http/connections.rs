//! How many connections are open, in all and of one address.

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
use wheeltapper_access::address_key;

use super::metrics::HttpMetrics;
use crate::metrics::Metrics;

/// Refusals that are told at once; who comes beyond that is just closed.
const TOLD: usize = 64;
/// To tell a refusal takes no longer.
const TELLING: Duration = Duration::from_secs(1);

/// Gives out permits to be connected.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_of_address: usize,
    open: Mutex<Open>,
    metrics: Arc<Metrics>,
    telling: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_address: HashMap<String, usize>,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are too many of this address.
    Address,
    /// There are too many.
    All,
}

/// To be connected; given back when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    connections: Arc<Connections>,
    address: String,
}

impl Connections {
    pub(super) fn new(most: usize, most_of_address: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        let telling = Arc::new(Semaphore::new(TOLD));
        Arc::new(Self { most, most_of_address, open: Mutex::default(), metrics, telling })
    }

    /// Takes a connection of an address, or says why not.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionPermit, Refusal> {
        let address = address_key(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.of_address.get(&address).copied().unwrap_or(0);
        if of_address >= self.most_of_address {
            self.http().limited("connections-per-address");
            return Err(Refusal::Address);
        }
        if open.all >= self.most {
            self.http().limited("connections");
            return Err(Refusal::All);
        }
        open.all += 1;
        open.of_address.insert(address.clone(), of_address + 1);
        self.http().connections.inc();
        Ok(ConnectionPermit { connections: Arc::clone(self), address })
    }

    /// Tells a client without TLS why it is not taken, beside all else.
    pub(super) fn refuse(&self, mut stream: TcpStream, refusal: Refusal) {
        let Ok(turn) = Arc::clone(&self.telling).try_acquire_owned() else { return };
        let answer = refusal.answer(self.most, self.most_of_address);
        tokio::spawn(async move {
            let _turn = turn;
            let _ = timeout(TELLING, async {
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await?;
                // What was sent is read, or the client would see a reset instead of the answer.
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
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.of_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.of_address.remove(&self.address);
            }
        }
        self.connections.http().connections.dec();
    }
}

impl Refusal {
    fn answer(self, most: usize, of_address: usize) -> String {
        let (status, title, detail) = match self {
            Self::Address => (
                429,
                "Too Many Requests",
                format!(
                    "your address has {of_address} connections open, which is the most; use them again, or raise [http.limits] connections_per_address"
                ),
            ),
            Self::All => (
                503,
                "Service Unavailable",
                format!(
                    "the host has {most} connections open, which is the most; come again, or raise [http.limits] connections"
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
    fn one_address_does_not_take_all_connections() {
        let connections = Connections::new(5, 3, Arc::default());
        let admit = |address: &str| connections.admit(address.parse().unwrap());
        let first: Vec<_> = (0..3).map(|_| admit("192.0.2.1").unwrap()).collect();
        assert_eq!(admit("192.0.2.1").unwrap_err(), Refusal::Address);
        // A household has a whole /64.
        let second = [admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap()];
        assert_eq!(admit("192.0.2.3").unwrap_err(), Refusal::All);
        drop(first);
        assert!(admit("192.0.2.1").is_ok());
        drop(second);
        assert!(connections.open.lock().unwrap().of_address.is_empty());
    }
}
