//! Connections to PostgreSQL.

use std::sync::{Mutex, PoisonError};

use tokio_postgres::{Client, Config, NoTls};

/// A pool of connections.
#[derive(Debug)]
pub struct ConnectionPool {
    config: Config,
    idle: Mutex<Vec<Client>>,
}

impl ConnectionPool {
    pub(crate) fn new(url: &str) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { config: url.parse()?, idle: Mutex::default() })
    }

    /// Returns an idle connection, or a new one.
    pub(crate) async fn acquire(&self) -> Result<Client, tokio_postgres::Error> {
        while let Some(client) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            if !client.is_closed() {
                return Ok(client);
            }
        }
        let (client, connection) = self.config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Returns a connection to the pool after its statement has finished. A connection whose instance was killed is
    /// closed.
    pub(crate) fn release(&self, client: Client) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
    }
}

/// Formats an error as wasmCloud does: SQLSTATE and message.
pub(crate) fn format_error(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |cause| format!("{}: {}", cause.code().code(), cause.message()))
}
