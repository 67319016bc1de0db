//! Authentication and authorisation: users, tokens, API keys, rate limits, encrypted columns and the audit log.
//!
//! [`Access`] uses one SQLite file, `access.db`, in the data folder, and a keyring file, `access.key`. Only the keyring
//! is secret. The host and the command line tool can have both open at the same time. Times are nanoseconds since 1970
//! and are passed in by the caller; rate limits and lockouts use a monotonic clock of their own.
//!
//! Most calls read or write SQLite, wait for the disk, or spend CPU time on a password hash. In async code, run them in
//! `spawn_blocking`. [`Access::authenticate_cached`], [`Access::rate_limiter`] and [`Access::syslog_dropped`] do not block.

mod account;
mod api_keys;
mod audit;
mod audit_entry;
mod cache;
mod clock;
mod column_encryption;
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
mod sessions;
mod signature;
mod stored_key;
mod syslog;
mod token;
mod usage;
mod users;
mod verify;

pub use account::User;
pub use audit::AuditEvent;
pub use audit_entry::AuditEntry;
pub use clock::{MonotonicClock, SystemClock};
pub use error::{AccessError, AuthError, LoginError, RejectReason};
pub use identity::{AuthMethod, Identity, Permission, Role, Scope};
pub use keyring::KeyInfo;
pub use limits::{Quota, Quotas, RateClass, RateLimitDecision, RateLimiter, client_key};
pub use nonces::NonceReservation;
pub use oidc::{FetchUrl, IssuerSettings, JwksSource};
pub use password::policy as password_policy;
pub use sessions::Session;
pub use signature::{
    SIGNATURE_HEADERS, SignatureError, SignatureScheme, SignatureVerifier, SignedHeaders, SignedSource,
};
pub use stored_key::ApiKey;
pub use syslog::Target as SyslogTarget;
pub use users::UserChange;
pub use verify::{AuditDefect, AuditVerification};

use std::{path::Path, sync::Arc, time::Duration};

use cache::Cache;
use database::Database;
use keyring::Keyring;
use lockout::Lockout;
use oidc::Issuer;
use syslog::Syslog;
use usage::KeyUsage;

/// Environment variable that can hold the keyring instead of the file `access.key`.
pub const KEY_VARIABLE: &str = "WHEELTAPPER_KEY";
const DATABASE_FILE: &str = "access.db";
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
    clock: Arc<dyn MonotonicClock>,
    cache: Cache,
    keyring: Keyring,
    settings: Settings,
    issuers: Vec<Issuer>,
    lockout: Lockout,
    rate_limiter: RateLimiter,
    syslog: Option<Syslog>,
    usage: KeyUsage,
    hashing_slots: password::HashingSlots,
}

impl Access {
    /// Opens the database and keyring in `folder`, and creates them if they are missing. [`Access::first_admin`]
    /// creates the first user.
    ///
    /// # Errors
    /// [`AccessError`] when a file cannot be used, the keyring does not match the database, or an issuer's keys cannot
    /// be read.
    pub fn open(folder: &Path, settings: Settings, now: i64) -> Result<Self, AccessError> {
        Self::open_with_clock(folder, settings, now, Arc::new(SystemClock::default()))
    }

    /// Same as [`Access::open`], with another clock for rate limits and lockouts.
    ///
    /// # Errors
    /// See [`Access::open`].
    pub fn open_with_clock(
        folder: &Path,
        settings: Settings,
        now: i64,
        clock: Arc<dyn MonotonicClock>,
    ) -> Result<Self, AccessError> {
        crypto::install();
        let path = folder.join(DATABASE_FILE);
        let keyring = Keyring::open(&folder.join(KEYRING), settings.keyring.as_deref(), !path.exists(), now)?;
        let ring = keyring.current_keys()?;
        let database = Database::open(&path, |write| audit::append_first_entry(write, &ring, now).map(|_| ()))?;
        let made_with = database.read(audit::read_head)?.map(|(_, key, _)| key);
        if let Some(key) = made_with.filter(|key| ring.find(key).is_none()) {
            return Err(AccessError::Keyring(format!(
                "access.db was last written with key {key}, which is not in the keyring; \
                 use the {KEYRING} or {KEY_VARIABLE} that contains it"
            )));
        }
        let issuers = settings.issuers.iter().cloned().map(Issuer::new).collect::<Result<_, _>>()?;
        let syslog = settings.syslog.clone().map(Syslog::start).transpose()?;
        let limits = RateLimiter::new(settings.quotas, Arc::clone(&clock));
        Ok(Self {
            database: Arc::new(database),
            clock,
            cache: Cache::default(),
            keyring,
            settings,
            issuers,
            lockout: Lockout::default(),
            rate_limiter: limits,
            syslog,
            usage: KeyUsage::default(),
            hashing_slots: password::HashingSlots::default(),
        })
    }

    /// Whether `folder` contains an access database.
    pub fn exists(folder: &Path) -> bool {
        folder.join(DATABASE_FILE).exists()
    }

    /// Returns the identity behind a token or an API key.
    ///
    /// # Errors
    /// [`AuthError`] when the credential is rejected. On [`AuthError::IssuerKeysNeeded`], call [`Self::fetch_issuer_keys`] and retry
    /// once.
    pub fn authenticate(&self, credential: &str, now: i64) -> Result<Identity, AuthError> {
        self.resolve_identity(credential, now, true)?.ok_or_else(|| AccessError::DamagedRow("no answer".into()).into())
    }

    /// Same as [`Self::authenticate`], but uses only the in-memory cache and never blocks on the database. Returns
    /// `None` on a cache miss; then call [`Self::authenticate`] on a thread that may block. Changes by other processes
    /// take effect here as soon as they are written.
    pub fn authenticate_cached(&self, credential: &str, now: i64) -> Option<Result<Identity, AuthError>> {
        self.resolve_identity(credential, now, false).transpose()
    }

    /// Returns `None` when the cache does not have the answer and `read` forbids reading the database.
    fn resolve_identity(&self, credential: &str, now: i64, read: bool) -> Result<Option<Identity>, AuthError> {
        // Read the change count before anything else: a later change then invalidates the cache at the next call.
        let changes = self.database.change_count()?;
        if api_keys::is_api_key(credential) {
            return self.authenticate_api_key(credential, now, changes, read);
        }
        let header = jsonwebtoken::decode_header(credential).map_err(token::reject_reason)?;
        let claimed = token::unverified_issuer(credential).ok_or(RejectReason::Malformed)?;
        if claimed == token::LOCAL_ISSUER {
            return self.authenticate_token(&header, credential, now, changes, read);
        }
        let issuer = self.issuers.iter().enumerate().find(|(_, issuer)| issuer.settings.issuer == claimed);
        let (number, issuer) = issuer.ok_or(RejectReason::UntrustedIssuer)?;
        let identity = issuer.authenticate(number, &header, credential, now, self.clock.now())?;
        let Some(jti) = &identity.jti else { return Ok(Some(identity)) };
        match self.is_revoked(&[jti], changes, read)? {
            Some(true) => Err(RejectReason::Revoked.into()),
            Some(false) => Ok(Some(identity)),
            None => Ok(None),
        }
    }

    /// Fetches the public keys of issuer number `issuer`, at most once a minute. Returns whether it fetched them.
    /// Blocks on an HTTP request.
    ///
    /// # Errors
    /// The error of `fetch`, or why its response is not a usable JWKS.
    pub fn fetch_issuer_keys(&self, issuer: usize, fetch: &FetchUrl) -> Result<bool, String> {
        self.issuers.get(issuer).map_or(Ok(false), |issuer| issuer.fetch(fetch, self.clock.now()))
    }

    /// The rate limiter, with one bucket for each identity and class.
    pub fn rate_limiter(&self) -> &RateLimiter {
        &self.rate_limiter
    }

    /// Number of audit entries that could not be sent to syslog since the start.
    pub fn syslog_dropped(&self) -> u64 {
        self.syslog.as_ref().map_or(0, Syslog::dropped)
    }

    /// Adds a new key for tokens, encrypted columns and the audit log, and re-encrypts the columns of `access.db`.
    /// Tokens signed with older keys stay valid until they expire; with `retire` they become invalid now. Returns the
    /// id of the new key.
    ///
    /// # Errors
    /// [`AccessError`] when the keyring cannot be written. A keyring from the environment can never be written.
    pub fn rotate_keys(&self, retire: bool, now: i64) -> Result<String, AccessError> {
        let id = self.keyring.rotate(retire, now)?;
        self.reencrypt()?;
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
    pub fn encrypt_column(&self, table: &str, row: &str, plain: &[u8]) -> Result<String, AccessError> {
        column_encryption::encrypt(&*self.keyring.current_keys()?, table, row, plain)
    }

    /// Decrypts a value that [`Self::encrypt_column`] encrypted for this `table` and `row`.
    ///
    /// # Errors
    /// [`AccessError::Decryption`] when the value was changed, moved to another row, or its key is not in the keyring.
    pub fn decrypt_column(&self, table: &str, row: &str, encrypted: &str) -> Result<Vec<u8>, AccessError> {
        column_encryption::decrypt(&*self.keyring.current_keys()?, table, row, encrypted)
    }

    /// Whether a value is encrypted with a key other than the newest and should be re-encrypted.
    ///
    /// # Errors
    /// [`AccessError`] when the keyring cannot be read.
    pub fn is_encrypted_with_old_key(&self, encrypted: &str) -> Result<bool, AccessError> {
        Ok(column_encryption::key_id_of(encrypted) != Some(self.keyring.current_keys()?.newest()?.id.as_str()))
    }
}
