//! Connections to PostgreSQL.

use std::sync::{Mutex, PoisonError};

use tokio_postgres::{Client, Config, NoTls};

/// Connections that are used again.
#[derive(Debug)]
pub struct Pool {
    config: Config,
    idle: Mutex<Vec<Client>>,
}

impl Pool {
    pub(crate) fn new(url: &str) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { config: url.parse()?, idle: Mutex::default() })
    }

    /// A connection that nobody uses, or a new one.
    pub(crate) async fn client(&self) -> Result<Client, tokio_postgres::Error> {
        while let Some(client) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            if !client.is_closed() {
                return Ok(client);
            }
        }
        let (client, connection) = self.config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Keeps a connection whose statement came to its end; one whose instance was lost in the middle is closed.
    pub(crate) fn give_back(&self, client: Client) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
    }
}

/// As wasmCloud words an error: SQLSTATE and message.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |told| format!("{}: {}", told.code().code(), told.message()))
}
