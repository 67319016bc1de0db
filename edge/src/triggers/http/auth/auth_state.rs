//! The state of the guard: the access database, the limits, and the sources of signed webhooks.

use std::{sync::Arc, thread, time::Duration};

use axum::http::StatusCode;
use tokio::{sync::Semaphore, time::timeout};
use wheeltapper_access::{Access, AuthError, FetchUrl, Identity, SignatureVerifier};

use super::signature;
use crate::{
    access, clock,
    host::Host,
    triggers::http::{blocking, body::BodyMemory, problem::Problem},
};

/// The maximum number of password checks that wait; further ones are answered with 503,
const MAX_WAITING_PASSWORD_CHECKS: usize = 16;
/// and so are those that wait longer than this.
const PASSWORD_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of the guard and of the routes of accounts.
pub(crate) struct AuthState {
    pub(crate) access: Access,
    /// Whether no sign-in is required.
    pub(crate) is_open: bool,
    passwords: Semaphore,
    passwords_waiting: Semaphore,
    pub(crate) tls: bool,
    /// The origins whose pages may read and send.
    pub(crate) origins: Vec<String>,
    /// Whether only programs on this machine can reach the host.
    pub(super) local: bool,
    pub(super) fetch: FetchUrl,
    /// The sources of signed webhooks.
    pub(super) signatures: SignatureVerifier,
    pub(crate) memory: Arc<BodyMemory>,
    /// The maximum size of a body of readings.
    pub(super) max_body: usize,
}

impl std::fmt::Debug for AuthState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AuthState").field("open", &self.is_open).finish_non_exhaustive()
    }
}

/// The key under which the connections, memory and rate limits of a client are counted.
#[derive(Clone, Debug)]
pub(crate) struct AddressKey(pub(crate) String);

impl AuthState {
    /// Opens the access database of the data folder, and creates the first admin if sign-in is required and there are
    /// no users.
    pub(crate) fn new(host: &Host) -> anyhow::Result<Self> {
        let config = host.config();
        let (access, open) = (access::open(&config)?, access::is_open(&config));
        if !open && let Some(password) = access.first_admin(clock::now())? {
            print_first_password(&password);
        }
        Ok(Self {
            access,
            is_open: open,
            // Each check takes 19 MiB and a core: half of the cores are left to other work.
            passwords: Semaphore::new(thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))),
            passwords_waiting: Semaphore::new(MAX_WAITING_PASSWORD_CHECKS),
            tls: config.http.tls.is_some(),
            local: access::is_loopback(&config.http.listen),
            origins: config.http.origins.clone(),
            fetch: access::key_fetcher(),
            signatures: signature::load_sources(&config.http.sources, seconds())?,
            memory: BodyMemory::new(
                usize::try_from(config.http.body_memory()).unwrap_or(usize::MAX),
                Arc::clone(&host.metrics),
            ),
            max_body: usize::try_from(config.http.max_body.bytes()).unwrap_or(usize::MAX),
        })
    }

    /// The identity of a credential, from the cache if possible, otherwise on a thread that may wait for the disk.
    ///
    /// # Errors
    /// See [`blocking::BlockingPool::run`].
    pub(crate) async fn authenticate(
        self: &Arc<Self>,
        credential: &str,
    ) -> Result<Result<Identity, AuthError>, Problem> {
        if let Some(known) = self.access.authenticate_cached(credential, clock::now()) {
            return Ok(known);
        }
        let (auth, credential) = (Arc::clone(self), credential.to_owned());
        blocking::AUTHENTICATION.run(move || auth.access.authenticate(&credential, clock::now())).await
    }

    /// Runs a password check, which takes a core and 19 MiB for a while: few run at a time, and few wait.
    pub(crate) async fn with_password_permit<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || {
            let detail = "too many password checks are waiting; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5)
        };
        let _queue_slot = self.passwords_waiting.try_acquire().map_err(|_| busy())?;
        let Ok(Ok(_permit)) = timeout(PASSWORD_CHECK_TIMEOUT, self.passwords.acquire()).await else {
            return Err(busy());
        };
        let auth = Arc::clone(self);
        blocking::ROUTES.run(move || work(&auth)).await
    }
}

/// Seconds since 1970.
pub(super) fn seconds() -> i64 {
    clock::now().div_euclid(1_000_000_000)
}

/// Prints the first password once, and not to the log, which others may read.
#[allow(clippy::print_stderr, reason = "it must not reach the log")]
fn print_first_password(password: &str) {
    eprintln!(
        "\n  The first user is `admin`, with the one-time password\n\n      {password}\n\n  It is shown only once. Sign in and set your own; `wheeltapper user reset admin` makes another.\n"
    );
}
