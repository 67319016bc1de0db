//! API keys, for devices, webhooks and programs: `wt_<id>_<secret>`. The secret is random, so a plain hash hides it.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Row, params};
use subtle::ConstantTimeEq as _;

use crate::{
    Access, AccessError, AuthError, Identity, Method, Refusal, Scope,
    database::{from_json, to_json},
    identity::clean_sites,
    random,
};

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, the part after `wt_`.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Sites that are seen; all without a list.
    pub sites: Option<Vec<String>>,
    /// When made, in nanoseconds since 1970.
    pub created: i64,
    /// When it ends; never without.
    pub expires: Option<i64>,
    /// When last used; another process learns of it some seconds later.
    pub last_used: Option<i64>,
}

/// A key with the hash of its text.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) key: ApiKey,
    hash: Vec<u8>,
}

const COLUMNS: &str = "id, name, scopes, sites, created, expires, last_used, hash";

type Raw = (String, String, String, Option<String>, i64, Option<i64>, Option<i64>, Vec<u8>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?))
}

fn key(raw: Raw) -> Result<(ApiKey, Vec<u8>), AccessError> {
    let (id, name, scopes, sites, created, expires, last_used, hash) = raw;
    let sites = sites.as_deref().map(from_json).transpose()?;
    Ok((ApiKey { id, name, scopes: from_json(&scopes)?, sites, created, expires, last_used }, hash))
}

/// Whether this is meant to be an API key rather than a token.
pub(crate) fn looks_like(text: &str) -> bool {
    text.starts_with("wt_")
}

impl Access {
    /// All API keys, the newest first.
    ///
    /// # Errors
    /// [`AccessError`] when they cannot be read.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, AccessError> {
        self.database.read(|connection| {
            let mut asked =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys ORDER BY created DESC, id"))?;
            let rows = asked.query_map([], raw)?;
            let with_use = |row: rusqlite::Result<Raw>| {
                let (mut key, _) = key(row?)?;
                key.last_used = key.last_used.max(self.usage.last(&key.id));
                Ok(key)
            };
            rows.map(with_use).collect()
        })
    }

    /// Makes an API key; gives it with the text that is shown once.
    ///
    /// # Errors
    /// [`AccessError`] when a value does not do.
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
            return Err(AccessError::Over);
        }
        let made = ApiKey {
            id: random::id()?,
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            sites: clean_sites(sites)?,
            created: now,
            expires,
            last_used: None,
        };
        let text = format!("wt_{}_{}", made.id, hex::encode(random::bytes::<32>()?));
        self.database.write::<_, AccessError>(|write| {
            write.execute(
                "INSERT INTO api_keys (id, name, hash, scopes, sites, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    made.id,
                    made.name,
                    blake3::hash(text.as_bytes()).as_bytes(),
                    to_json(&made.scopes)?,
                    made.sites.as_ref().map(to_json).transpose()?,
                    made.created,
                    made.expires
                ],
            )?;
            Ok(())
        })?;
        Ok((made, text))
    }

    /// Removes an API key.
    ///
    /// # Errors
    /// [`AccessError`] when there is none of that id.
    pub fn remove_api_key(&self, id: &str) -> Result<(), AccessError> {
        let gone = self.database.write(|write| write.execute("DELETE FROM api_keys WHERE id = ?1", [id]))?;
        if gone == 0 {
            return Err(AccessError::Missing { what: "API key", name: id.to_owned() });
        }
        Ok(())
    }

    /// Who has the API key of this id, without its text: for connections that showed it once and last.
    ///
    /// # Errors
    /// [`AuthError::Refused`] when it is gone or over.
    pub fn api_key_identity(&self, id: &str, now: i64) -> Result<Identity, AuthError> {
        let changes = self.database.changes()?;
        let known = self.known_key(id, changes, true)?.ok_or(Refusal::Key)?;
        identity(&known.key, now)
    }

    pub(crate) fn by_api_key(
        &self,
        text: &str,
        now: i64,
        changes: i64,
        read: bool,
    ) -> Result<Option<Identity>, AuthError> {
        let id = text.split('_').nth(1).unwrap_or_default();
        let known = match self.known_key(id, changes, read)? {
            Some(known) => known,
            None if read => return Err(Refusal::Key.into()),
            None => return Ok(None),
        };
        if !bool::from(blake3::hash(text.as_bytes()).as_bytes().ct_eq(known.hash.as_slice())) {
            return Err(Refusal::Signature.into());
        }
        let identity = identity(&known.key, now)?;
        self.usage.used(&known.key.id, now, &self.database);
        Ok(Some(identity))
    }

    /// The key of this id, from memory or, where `read` allows it, the database.
    fn known_key(&self, id: &str, changes: i64, read: bool) -> Result<Option<Arc<Known>>, AccessError> {
        let cached = self.cache.key(id, changes);
        if cached.is_some() || !read {
            return Ok(cached);
        }
        let found = self.database.read::<_, AccessError>(|connection| {
            let mut asked = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys WHERE id = ?1"))?;
            asked.query_row([id], raw).optional()?.map(key).transpose()
        })?;
        let Some((key, hash)) = found else { return Ok(None) };
        let known = Arc::new(Known { key, hash });
        self.cache.keep_key(&known, changes);
        Ok(Some(known))
    }
}

fn identity(key: &ApiKey, now: i64) -> Result<Identity, AuthError> {
    if key.expires.is_some_and(|expires| now >= expires) {
        return Err(Refusal::Expired.into());
    }
    Ok(Identity {
        name: format!("key:{}", key.id),
        roles: Vec::new(),
        scopes: key.scopes.clone(),
        sites: key.sites.clone(),
        method: Method::Key,
        jti: None,
        session: None,
        expires: key.expires,
        must_change_password: false,
    })
}
