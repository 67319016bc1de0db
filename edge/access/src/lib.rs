//! Who may do what: users, tokens, API keys, rate limits, sealed columns, and the audit.
//!
//! [`Access`] is one SQLite file, `access.db`, beside the store, and a keyring, `access.key`, which is all that is secret.
//! A host and the commands may have it open at once. Times are nanoseconds since 1970, and come from the caller; rate
//! limits and lock-outs have a monotonic clock of their own.
//!
//! Most calls read or write SQLite, wait for the disk, or work for a while on a password: on a runtime's threads they belong
//! into `spawn_blocking`. [`Access::authenticate_cached`], [`Access::limits`] and [`Access::lost_by_syslog`] do not block.

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

/// The environment variable that the keyring may come from instead of `access.key`.
pub const KEY_VARIABLE: &str = "WHEELTAPPER_KEY";
const DATABASE: &str = "access.db";
const KEYRING: &str = "access.key";

/// How it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a token is good.
    pub token_lifetime: Duration,
    /// How long a refresh token is good.
    pub refresh_lifetime: Duration,
    /// Rate limits.
    pub quotas: Quotas,
    /// Trusted issuers of tokens.
    pub issuers: Vec<IssuerSettings>,
    /// Where entries of the audit go besides.
    pub syslog: Option<SyslogTarget>,
    /// The keyring, where it is not in the file: what [`KEY_VARIABLE`] holds.
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

/// The door.
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
    passwords: password::Turns,
}

impl Access {
    /// Opens what lies in `folder`, or makes it. [`Access::first_admin`] makes the first user.
    ///
    /// # Errors
    /// [`AccessError`] when a file cannot be used, the keyring is not the one that the file was made with, or an issuer's
    /// keys cannot be read.
    pub fn open(folder: &Path, settings: Settings, now: i64) -> Result<Self, AccessError> {
        Self::open_with_clock(folder, settings, now, Arc::new(Uptime::default()))
    }

    /// As [`Access::open`], with another clock for rate limits and lock-outs.
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
                "access.db was last written with the key {key}, which is not in it; use the {KEYRING} or {KEY_VARIABLE} of then"
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
            passwords: password::Turns::default(),
        })
    }

    /// Whether access was ever opened in this folder.
    pub fn exists(folder: &Path) -> bool {
        folder.join(DATABASE).exists()
    }

    /// Who shows this token or API key.
    ///
    /// # Errors
    /// [`AuthError`] when it is not good; on [`AuthError::KeysNeeded`] call [`Self::fetch_keys`] and try once more.
    pub fn authenticate(&self, credential: &str, now: i64) -> Result<Identity, AuthError> {
        self.identify(credential, now, true)?.ok_or_else(|| AccessError::Damaged("no answer".into()).into())
    }

    /// As [`Self::authenticate`], but from memory alone, so that it may be called where nobody may wait: `None` where that
    /// is not enough, then call [`Self::authenticate`] on a thread that may block. What another process has changed counts
    /// here too, from the moment it was written.
    pub fn authenticate_cached(&self, credential: &str, now: i64) -> Option<Result<Identity, AuthError>> {
        self.identify(credential, now, false).transpose()
    }

    /// `None`: it is not in memory, and `read` does not allow to read the database.
    fn identify(&self, credential: &str, now: i64, read: bool) -> Result<Option<Identity>, AuthError> {
        // Counted before anything is read: what changes in between is found the next time.
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

    /// Gets an issuer's keys, at most once a minute; whether it did. Slow: it asks somebody else.
    ///
    /// # Errors
    /// What `fetch` said, or why its answer is of no use.
    pub fn fetch_keys(&self, issuer: usize, fetch: &Fetch) -> Result<bool, String> {
        self.issuers.get(issuer).map_or(Ok(false), |issuer| issuer.fetch(fetch, self.clock.now()))
    }

    /// Rate limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Entries of the audit that syslog did not get.
    pub fn lost_by_syslog(&self) -> u64 {
        self.syslog.as_ref().map_or(0, Syslog::lost)
    }

    /// Makes a new key for tokens, seals and the audit, and seals anew what this file holds. Tokens of older keys stay
    /// good until they end; with `retire` they end now. Gives the new key's id.
    ///
    /// # Errors
    /// [`AccessError`] when the keyring cannot be written; one from the environment never can.
    pub fn rotate_keys(&self, retire: bool, now: i64) -> Result<String, AccessError> {
        let id = self.keyring.rotate(retire, now)?;
        self.reseal()?;
        Ok(id)
    }

    /// The keys of the keyring, the oldest first.
    ///
    /// # Errors
    /// [`AccessError`] when the file cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyInfo>, AccessError> {
        self.keyring.list()
    }

    /// Seals a value of `table` and `row`, so that it only opens there and with the keyring.
    ///
    /// # Errors
    /// [`AccessError`] when there is no key or no randomness.
    pub fn seal(&self, table: &str, row: &str, plain: &[u8]) -> Result<String, AccessError> {
        seal::seal(&*self.keyring.current()?, table, row, plain)
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// [`AccessError::Seal`] when it was changed, moved, or its key is gone.
    pub fn unseal(&self, table: &str, row: &str, sealed: &str) -> Result<Vec<u8>, AccessError> {
        seal::open(&*self.keyring.current()?, table, row, sealed)
    }

    /// Whether a value is sealed under an older key than the newest, and should be sealed anew.
    ///
    /// # Errors
    /// [`AccessError`] when the keyring cannot be read.
    pub fn sealed_with_old_key(&self, sealed: &str) -> Result<bool, AccessError> {
        Ok(seal::key_of(sealed) != Some(self.keyring.current()?.newest()?.id.as_str()))
    }
}
