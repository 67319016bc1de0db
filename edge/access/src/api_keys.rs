//! API keys for devices, webhooks and programs: `wt_<id>_<secret>`. The secret has 256 random bits, so an unsalted fast
//! hash is enough to protect it in the database.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Row, params};
use subtle::ConstantTimeEq as _;

use crate::{
    Access, AccessError, AuthError, AuthMethod, Identity, RejectReason, Scope,
    database::{from_json, to_json},
    identity::validate_sites,
    random,
    stored_key::{ApiKey, StoredKey},
};

const COLUMNS: &str = "id, name, scopes, sites, created, expires, last_used, hash";

type KeyRow = (String, String, String, Option<String>, i64, Option<i64>, Option<i64>, Vec<u8>);

fn read_row(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?))
}

fn parse_row(raw: KeyRow) -> Result<(ApiKey, Vec<u8>), AccessError> {
    let (id, name, scopes, sites, created, expires, last_used, hash) = raw;
    let sites = sites.as_deref().map(from_json).transpose()?;
    Ok((ApiKey { id, name, scopes: from_json(&scopes)?, sites, created, expires, last_used }, hash))
}

/// Whether a credential has the form of an API key rather than of a token.
pub(crate) fn is_api_key(text: &str) -> bool {
    text.starts_with("wt_")
}

impl Access {
    /// Lists all API keys, newest first.
    ///
    /// # Errors
    /// [`AccessError`] when the database cannot be read.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, AccessError> {
        self.database.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys ORDER BY created DESC, id"))?;
            let rows = statement.query_map([], read_row)?;
            let with_use = |row: rusqlite::Result<KeyRow>| {
                let (mut key, _) = parse_row(row?)?;
                key.last_used = key.last_used.max(self.usage.last_use(&key.id));
                Ok(key)
            };
            rows.map(with_use).collect()
        })
    }

    /// Creates an API key. Returns it with its text, which is not stored and cannot be shown again.
    ///
    /// # Errors
    /// [`AccessError`] when the name, the scopes, a site or the expiry is invalid.
    pub fn add_api_key(
        &self,
        name: &str,
        scopes: &[Scope],
        sites: Option<Vec<String>>,
        expires: Option<i64>,
        now: i64,
    ) -> Result<(ApiKey, String), AccessError> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(AccessError::Invalid(
                "an API key needs a name of 1 to 100 characters, such as \"gateway 7\"".into(),
            ));
        }
        if scopes.is_empty() {
            return Err(AccessError::Invalid("an API key needs a scope: ingest, read or write".into()));
        }
        if expires.is_some_and(|expires| expires <= now) {
            return Err(AccessError::ExpiryInPast);
        }
        let key = ApiKey {
            id: random::id()?,
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            sites: validate_sites(sites)?,
            created: now,
            expires,
            last_used: None,
        };
        let text = format!("wt_{}_{}", key.id, hex::encode(random::bytes::<32>()?));
        self.database.write::<_, AccessError>(|write| {
            write.execute(
                "INSERT INTO api_keys (id, name, hash, scopes, sites, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    key.id,
                    key.name,
                    blake3::hash(text.as_bytes()).as_bytes(),
                    to_json(&key.scopes)?,
                    key.sites.as_ref().map(to_json).transpose()?,
                    key.created,
                    key.expires
                ],
            )?;
            Ok(())
        })?;
        Ok((key, text))
    }

    /// Removes an API key.
    ///
    /// # Errors
    /// [`AccessError`] when there is no key with this id.
    pub fn remove_api_key(&self, id: &str) -> Result<(), AccessError> {
        let removed = self.database.write(|write| write.execute("DELETE FROM api_keys WHERE id = ?1", [id]))?;
        if removed == 0 {
            return Err(AccessError::NotFound { what: "API key", name: id.to_owned() });
        }
        Ok(())
    }

    /// Returns the identity of the API key with this id, without its text. For long connections, which authenticate
    /// once with the text.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] when the key was removed or has expired.
    pub fn api_key_identity(&self, id: &str, now: i64) -> Result<Identity, AuthError> {
        let changes = self.database.change_count()?;
        let known = self.find_key(id, changes, true)?.ok_or(RejectReason::UnknownKey)?;
        identity_of(&known.key, now)
    }

    pub(crate) fn authenticate_api_key(
        &self,
        text: &str,
        now: i64,
        changes: i64,
        read: bool,
    ) -> Result<Option<Identity>, AuthError> {
        let id = text.split('_').nth(1).unwrap_or_default();
        let known = match self.find_key(id, changes, read)? {
            Some(known) => known,
            None if read => return Err(RejectReason::UnknownKey.into()),
            None => return Ok(None),
        };
        if !bool::from(blake3::hash(text.as_bytes()).as_bytes().ct_eq(known.hash.as_slice())) {
            return Err(RejectReason::InvalidSignature.into());
        }
        let identity = identity_of(&known.key, now)?;
        self.usage.record_use(&known.key.id, now, &self.database);
        Ok(Some(identity))
    }

    /// Returns the key with this id from the cache, or from the database if `read` allows it.
    fn find_key(&self, id: &str, changes: i64, read: bool) -> Result<Option<Arc<StoredKey>>, AccessError> {
        let cached = self.cache.api_key(id, changes);
        if cached.is_some() || !read {
            return Ok(cached);
        }
        let found = self.database.read::<_, AccessError>(|connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys WHERE id = ?1"))?;
            statement.query_row([id], read_row).optional()?.map(parse_row).transpose()
        })?;
        let Some((key, hash)) = found else { return Ok(None) };
        let known = Arc::new(StoredKey { key, hash });
        self.cache.insert_api_key(&known, changes);
        Ok(Some(known))
    }
}

fn identity_of(key: &ApiKey, now: i64) -> Result<Identity, AuthError> {
    if key.expires.is_some_and(|expires| now >= expires) {
        return Err(RejectReason::Expired.into());
    }
    Ok(Identity {
        name: format!("key:{}", key.id),
        roles: Vec::new(),
        scopes: key.scopes.clone(),
        sites: key.sites.clone(),
        method: AuthMethod::Key,
        jti: None,
        session: None,
        expires: key.expires,
        must_change_password: false,
    })
}
