//! Authentication and authorisation: users, tokens, API keys, rate limits, encrypted columns and the audit log.
//!
//! [`Access`] uses one SQLite file, `access.db`, in the data folder, and a keyring file, `access.key`. Only the keyring
//! is secret. The host and the command line tool can have both open at the same time. Times are nanoseconds since 1970
//! and are passed in by the caller; rate limits and lockouts use a monotonic clock of their own.
//!
//! Most calls read or write SQLite, wait for the disk, or spend CPU time on a password hash. In async code, run them in
//! `spawn_blocking`. [`Access::authenticate_cached`], [`Access::limits`] and [`Access::lost_by_syslog`] do not block.

mod api_keys;
mod audit;
mod cache;
mod clock;
mod crypto;
mod database;
mod error;
mod identity;
mod keyring;
mod limits;
mod lockout;
mod nonces;
mod oidc;
mod password;
mod random;
mod seal;
mod sessions;
mod signature;
mod syslog;
mod token;
mod usage;
mod users;
mod verify;

pub use api_keys::ApiKey;
pub use audit::{Entry, Event};
pub use clock::{Monotonic, Uptime};
pub use error::{AccessError, AuthError, LoginError, Refusal};
pub use identity::{Identity, Method, Permission, Role, Scope};
pub use keyring::KeyInfo;
pub use limits::{Allowance, Class, Limits, Quota, Quotas, address_key};
pub use nonces::NoncePermit;
pub use oidc::{Fetch, IssuerSettings, Jwks};
pub use password::policy as password_policy;
pub use sessions::Session;
pub use signature::{SIGNATURE_HEADERS, SignatureError, SignatureScheme, Signatures, SignedHead, SignedSource};
pub use syslog::Target as SyslogTarget;
pub use users::{User, UserChange};
pub use verify::{Bad, Verification};

use std::{path::Path, sync::Arc, time::Duration};

use cache::Cache;
use database::Database;
use keyring::Keyring;
use lockout::Lockout;
use oidc::Issuer;
use syslog::Syslog;
use usage::Usage;

/// Environment variable that can hold the keyring instead of the file `access.key`.
pub const KEY_VARIABLE: &str = "WHEELTAPPER_KEY";
const DATABASE: &str = "access.db";
const KEYRING: &str = "access.key";

/// Settings of [`Access`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Lifetime of a token.
    pub token_lifetime: Duration,
    /// Lifetime of a refresh token.
    pub refresh_lifetime: Duration,
    /// Rate limit of each class of requests.
    pub quotas: Quotas,
    /// Trusted OpenID Connect issuers.
    pub issuers: Vec<IssuerSettings>,
    /// Where audit entries are sent in addition to `access.db`.
    pub syslog: Option<SyslogTarget>,
    /// The keyring as text, from [`KEY_VARIABLE`]; `None` uses the file.
    pub keyring: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_secs(24 * 3600),
            refresh_lifetime: Duration::from_secs(30 * 24 * 3600),
            quotas: Quotas::default(),
            issuers: Vec::new(),
            syslog: None,
            keyring: None,
        }
    }
}

/// Users, credentials, rate limits and audit log of one data folder.
#[derive(Debug)]
pub struct Access {
    database: Arc<Database>,
    clock: Arc<dyn Monotonic>,
    cache: Cache,
    keyring: Keyring,
    settings: Settings,
    issuers: Vec<Issuer>,
    lockout: Lockout,
    limits: Limits,
    syslog: Option<Syslog>,
    usage: Usage,
    passwords: password::HashingSlots,
}

impl Access {
    /// Opens the database and keyring in `folder`, and creates them if they are missing. [`Access::first_admin`]
    /// creates the first user.
    ///
    /// # Errors
    /// [`AccessError`] when a file cannot be used, the keyring does not match the database, or an issuer's keys cannot
    /// be read.
    pub fn open(folder: &Path, settings: Settings, now: i64) -> Result<Self, AccessError> {
        Self::open_with_clock(folder, settings, now, Arc::new(Uptime::default()))
    }

    /// Same as [`Access::open`], with another clock for rate limits and lockouts.
    ///
    /// # Errors
    /// See [`Access::open`].
    pub fn open_with_clock(
        folder: &Path,
        settings: Settings,
        now: i64,
        clock: Arc<dyn Monotonic>,
    ) -> Result<Self, AccessError> {
        crypto::install();
        let path = folder.join(DATABASE);
        let keyring = Keyring::open(&folder.join(KEYRING), settings.keyring.as_deref(), !path.exists(), now)?;
        let ring = keyring.current()?;
        let database = Database::open(&path, |write| audit::begin(write, &ring, now).map(|_| ()))?;
        let made_with = database.read(audit::head)?.map(|(_, key, _)| key);
        if let Some(key) = made_with.filter(|key| ring.find(key).is_none()) {
            return Err(AccessError::Keyring(format!(
                "access.db was last written with key {key}, which is not in the keyring; \
                 use the {KEYRING} or {KEY_VARIABLE} that contains it"
            )));
        }
        let issuers = settings.issuers.iter().cloned().map(Issuer::new).collect::<Result<_, _>>()?;
        let syslog = settings.syslog.clone().map(Syslog::start).transpose()?;
        let limits = Limits::new(settings.quotas, Arc::clone(&clock));
        Ok(Self {
            database: Arc::new(database),
            clock,
            cache: Cache::default(),
            keyring,
            settings,
            issuers,
            lockout: Lockout::default(),
            limits,
            syslog,
            usage: Usage::default(),
            passwords: password::HashingSlots::default(),
        })
    }

    /// Whether `folder` contains an access database.
    pub fn exists(folder: &Path) -> bool {
        folder.join(DATABASE).exists()
    }

    /// Returns the identity behind a token or an API key.
    ///
    /// # Errors
    /// [`AuthError`] when the credential is rejected. On [`AuthError::KeysNeeded`], call [`Self::fetch_keys`] and retry
    /// once.
    pub fn authenticate(&self, credential: &str, now: i64) -> Result<Identity, AuthError> {
        self.identify(credential, now, true)?.ok_or_else(|| AccessError::Damaged("no answer".into()).into())
    }

    /// Same as [`Self::authenticate`], but uses only the in-memory cache and never blocks on the database. Returns
    /// `None` on a cache miss; then call [`Self::authenticate`] on a thread that may block. Changes by other processes
    /// take effect here as soon as they are written.
    pub fn authenticate_cached(&self, credential: &str, now: i64) -> Option<Result<Identity, AuthError>> {
        self.identify(credential, now, false).transpose()
    }

    /// Returns `None` when the cache does not have the answer and `read` forbids reading the database.
    fn identify(&self, credential: &str, now: i64, read: bool) -> Result<Option<Identity>, AuthError> {
        // Read the change count before anything else: a later change then invalidates the cache at the next call.
        let changes = self.database.changes()?;
        if api_keys::looks_like(credential) {
            return self.by_api_key(credential, now, changes, read);
        }
        let header = jsonwebtoken::decode_header(credential).map_err(token::refusal)?;
        let claimed = token::claimed_issuer(credential).ok_or(Refusal::Malformed)?;
        if claimed == token::ISSUER {
            return self.by_token(&header, credential, now, changes, read);
        }
        let issuer = self.issuers.iter().enumerate().find(|(_, issuer)| issuer.settings.issuer == claimed);
        let (number, issuer) = issuer.ok_or(Refusal::Issuer)?;
        let identity = issuer.identify(number, &header, credential, now, self.clock.now())?;
        let Some(jti) = &identity.jti else { return Ok(Some(identity)) };
        match self.is_revoked(&[jti], changes, read)? {
            Some(true) => Err(Refusal::Revoked.into()),
            Some(false) => Ok(Some(identity)),
            None => Ok(None),
        }
    }

    /// Fetches the public keys of issuer number `issuer`, at most once a minute. Returns whether it fetched them.
    /// Blocks on an HTTP request.
    ///
    /// # Errors
    /// The error of `fetch`, or why its response is not a usable JWKS.
    pub fn fetch_keys(&self, issuer: usize, fetch: &Fetch) -> Result<bool, String> {
        self.issuers.get(issuer).map_or(Ok(false), |issuer| issuer.fetch(fetch, self.clock.now()))
    }

    /// The rate limiter, with one bucket for each identity and class.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Number of audit entries that could not be sent to syslog since the start.
    pub fn lost_by_syslog(&self) -> u64 {
        self.syslog.as_ref().map_or(0, Syslog::lost)
    }

    /// Adds a new key for tokens, encrypted columns and the audit log, and re-encrypts the columns of `access.db`.
    /// Tokens signed with older keys stay valid until they expire; with `retire` they become invalid now. Returns the
    /// id of the new key.
    ///
    /// # Errors
    /// [`AccessError`] when the keyring cannot be written. A keyring from the environment can never be written.
    pub fn rotate_keys(&self, retire: bool, now: i64) -> Result<String, AccessError> {
        let id = self.keyring.rotate(retire, now)?;
        self.reseal()?;
        Ok(id)
    }

    /// Lists the keys of the keyring, oldest first, without their secrets.
    ///
    /// # Errors
    /// [`AccessError`] when the file cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyInfo>, AccessError> {
        self.keyring.list()
    }

    /// Encrypts a value. It can only be decrypted for the same `table` and `row`, and with the same keyring.
    ///
    /// # Errors
    /// [`AccessError`] when the keyring has no key or the system's random generator fails.
    pub fn seal(&self, table: &str, row: &str, plain: &[u8]) -> Result<String, AccessError> {
        seal::seal(&*self.keyring.current()?, table, row, plain)
    }

    /// Decrypts a value that [`Self::seal`] encrypted for this `table` and `row`.
    ///
    /// # Errors
    /// [`AccessError::Seal`] when the value was changed, moved to another row, or its key is not in the keyring.
    pub fn unseal(&self, table: &str, row: &str, sealed: &str) -> Result<Vec<u8>, AccessError> {
        seal::open(&*self.keyring.current()?, table, row, sealed)
    }

    /// Whether a value is encrypted with a key other than the newest and should be re-encrypted.
    ///
    /// # Errors
    /// [`AccessError`] when the keyring cannot be read.
    pub fn sealed_with_old_key(&self, sealed: &str) -> Result<bool, AccessError> {
        Ok(seal::key_of(sealed) != Some(self.keyring.current()?.newest()?.id.as_str()))
    }
}
