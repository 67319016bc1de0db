//! Login, logout and token refresh. A login returns a token and a refresh token that can be used once.

use std::{net::IpAddr, sync::Arc};

use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::{
    Access, AccessError, AuthError, AuthMethod, Identity, LoginError, RejectReason,
    account::Account,
    client_key,
    keyring::KeySet,
    password, random,
    token::{self, Claims, LOCAL_ISSUER, NANOSECONDS_PER_SECOND},
    users,
};

/// Used in place of a client address for callers in this process.
const LOCAL_ADDRESS: &str = "here";
/// Used in place of a client address for users who are signed in already.
const SIGNED_IN_ADDRESS: &str = "signed in";

/// The result of a login or refresh.
#[derive(Clone)]
pub struct Session {
    /// The token, for `Authorization: Bearer`.
    pub token: String,
    /// When the token expires, in nanoseconds since 1970.
    pub expires: i64,
    /// Token for [`Access::refresh`]; it can be used once.
    pub refresh_token: String,
    /// When the refresh token expires, in nanoseconds since 1970.
    pub refresh_expires: i64,
    /// The user who signed in.
    pub identity: Identity,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Tokens must not reach a log.
        out.debug_struct("Session").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Access {
    /// Signs in from this process: [`Self::login_from`] without a client address.
    ///
    /// # Errors
    /// See [`Self::login_from`].
    pub fn login(&self, name: &str, password: &str, now: i64) -> Result<Session, LoginError> {
        self.sign_in(name, password, LOCAL_ADDRESS, now)
    }

    /// Signs in from a client address. An unknown or disabled user takes as long as a wrong password. The call is slow
    /// on purpose (password hash), and only a few run at the same time: call it on a thread that may block.
    ///
    /// # Errors
    /// [`LoginError`], which does not reveal whether the user exists. [`LoginError::LockedOut`] depends on name and
    /// address.
    pub fn login_from(&self, name: &str, password: &str, address: IpAddr, now: i64) -> Result<Session, LoginError> {
        self.sign_in(name, password, &client_key(address), now)
    }

    fn sign_in(&self, name: &str, password: &str, from: &str, now: i64) -> Result<Session, LoginError> {
        let account = self.database.read(|connection| users::find_account(connection, name))?;
        let generation = account.as_ref().map_or(0, |account| account.generation);
        if let Some(left) = self.lockout.remaining_wait(name, from, generation, self.clock.now()) {
            return Err(LoginError::LockedOut(left));
        }
        let hash = account.as_ref().map_or(password::DUMMY_HASH, |account| account.hash.as_str());
        // The policy allows no password this long, and a longer one would take more time to hash.
        let matches = self.hashing_slots.matches(password.get(..4096).unwrap_or(password), hash);
        let Some(account) = account.filter(|account| matches && !account.user.disabled) else {
            self.lockout.record_failure(name, from, generation, self.clock.now());
            return Err(LoginError::WrongCredentials);
        };
        self.lockout.record_success(name, from, self.clock.now());
        Ok(self.start_session(&account, now)?)
    }

    /// Changes the password of a signed-in user and starts a new session; all other sessions end. Only wrong old
    /// passwords count towards the lockout here, failed logins from other addresses do not.
    ///
    /// # Errors
    /// [`LoginError::WrongCredentials`] when the old password is wrong, [`AccessError::Password`] when the new one violates the
    /// policy.
    pub fn change_password(&self, name: &str, old: &str, new: &str, now: i64) -> Result<Session, LoginError> {
        let account = self.database.read(|connection| users::find_account(connection, name))?;
        let generation = account.as_ref().map_or(0, |account| account.generation);
        if let Some(left) =
            self.lockout.remaining_wait_at_address(name, SIGNED_IN_ADDRESS, generation, self.clock.now())
        {
            return Err(LoginError::LockedOut(left));
        }
        let Some(account) = account.filter(|account| self.hashing_slots.matches(old, &account.hash)) else {
            self.lockout.record_failure(name, SIGNED_IN_ADDRESS, generation, self.clock.now());
            return Err(LoginError::WrongCredentials);
        };
        password::policy(&account.user.name, new)?;
        if old == new {
            return Err(AccessError::Password("the new password is the old one; choose another".into()).into());
        }
        let hash = self.hashing_slots.hash(new)?;
        let account = self.database.write::<_, AccessError>(|write| {
            users::set_password(write, &account.user.name, &hash, false)?;
            let missing = || AccessError::NotFound { what: "user", name: name.to_owned() };
            users::find_account(write, name)?.ok_or_else(missing)
        })?;
        Ok(self.start_session(&account, now)?)
    }

    /// Exchanges a refresh token for a new session. A refresh token that is used a second time was stolen, either by
    /// the first user or by the second, so the whole login is revoked.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] when the refresh token is unknown, used, expired, or its user may not sign in.
    pub fn refresh(&self, token: &str, now: i64) -> Result<Session, AuthError> {
        let ring = self.keyring.current_keys()?;
        let hash = blake3::hash(token.as_bytes());
        let refreshed = self.database.write(|write| {
            let row: Option<(String, String, i64, i64, bool)> = write
                .prepare_cached("SELECT family, user, generation, expires, used FROM refresh_tokens WHERE hash = ?1")?
                .query_row([hash.as_bytes()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                })
                .optional()?;
            let Some((family, user, generation, expires, used)) = row else { return Ok(Err(RejectReason::UnknownKey)) };
            if used {
                revoke_login(write, &family, self.token_expiry(now))?;
                return Ok(Err(RejectReason::Reused));
            }
            if now >= expires {
                return Ok(Err(RejectReason::Expired));
            }
            let account = users::find_account(write, &user)?;
            let Some(account) = account.filter(|account| account.generation == generation && !account.user.disabled)
            else {
                return Ok(Err(RejectReason::InvalidAccount));
            };
            write.execute("UPDATE refresh_tokens SET used = 1 WHERE hash = ?1", [hash.as_bytes()])?;
            Ok::<_, AccessError>(Ok(self.issue(write, &ring, &account, family, now)?))
        })?;
        Ok(refreshed?)
    }

    /// Signs out: revokes the token and the refresh tokens of its login.
    ///
    /// # Errors
    /// [`AccessError`] when the revocation could not be written.
    pub fn logout(&self, identity: &Identity, now: i64) -> Result<(), AccessError> {
        self.database.write(|write| {
            let end = identity.expires.unwrap_or_else(|| self.token_expiry(now));
            if let Some(jti) = &identity.jti {
                revoke(write, jti, end)?;
            }
            if let Some(session) = &identity.session {
                revoke_login(write, session, self.token_expiry(now))?;
            }
            Ok(())
        })
    }

    /// Revokes a token by its id. `expires` is when it would expire anyway; the revocation is deleted after that.
    ///
    /// # Errors
    /// [`AccessError`] when the revocation could not be written.
    pub fn revoke(&self, jti: &str, expires: i64) -> Result<(), AccessError> {
        self.database.write(|write| revoke(write, jti, expires))
    }

    fn start_session(&self, account: &Account, now: i64) -> Result<Session, AccessError> {
        let ring = self.keyring.current_keys()?;
        let family = random::id()?;
        self.database.write(|write| {
            write.execute("UPDATE users SET last_login = ?2 WHERE name = ?1", params![account.user.name, now])?;
            write.execute("DELETE FROM refresh_tokens WHERE expires <= ?1", [now])?;
            write.execute("DELETE FROM revoked WHERE expires <= ?1", [now])?;
            self.issue(write, &ring, account, family, now)
        })
    }

    fn token_expiry(&self, now: i64) -> i64 {
        add_duration(now, self.settings.token_lifetime)
    }

    fn issue(
        &self,
        write: &Transaction<'_>,
        ring: &KeySet,
        account: &Account,
        family: String,
        now: i64,
    ) -> Result<Session, AccessError> {
        let user = &account.user;
        let (second, expires) =
            (now.div_euclid(NANOSECONDS_PER_SECOND), self.token_expiry(now).div_euclid(NANOSECONDS_PER_SECOND));
        let claims = Claims {
            user_id: user.name.clone(),
            roles: user.roles.clone(),
            sites: user.sites.clone(),
            iss: LOCAL_ISSUER.into(),
            aud: LOCAL_ISSUER.into(),
            iat: second,
            nbf: second,
            exp: expires,
            jti: random::id()?,
            sid: family,
            generation: account.generation,
        };
        let refresh_token = format!("wtr_{}", hex::encode(random::bytes::<32>()?));
        let refresh_expires = add_duration(now, self.settings.refresh_lifetime);
        write
            .prepare_cached(
                "INSERT INTO refresh_tokens (hash, family, user, generation, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                blake3::hash(refresh_token.as_bytes()).as_bytes(),
                claims.sid,
                user.name,
                account.generation,
                refresh_expires
            ])?;
        Ok(Session {
            token: token::sign(ring, &claims)?,
            expires: expires.saturating_mul(NANOSECONDS_PER_SECOND),
            refresh_token,
            refresh_expires,
            identity: identity_of(account, &claims),
        })
    }

    /// Returns the identity behind a token of this host, with the current roles and sites of the user. `None`: see
    /// [`Access::authenticate_cached`].
    pub(crate) fn authenticate_token(
        &self,
        header: &jsonwebtoken::Header,
        token: &str,
        now: i64,
        changes: i64,
        read: bool,
    ) -> Result<Option<Identity>, AuthError> {
        let claims = token::verify(&*self.keyring.current_keys()?, header, token, now)?;
        match self.is_revoked(&[&claims.jti, &claims.sid], changes, read)? {
            Some(true) => return Err(RejectReason::Revoked.into()),
            Some(false) => {}
            None => return Ok(None),
        }
        let account = match self.cache.account(&claims.user_id, changes) {
            Some(account) => account,
            None if !read => return Ok(None),
            None => {
                let found = self.database.read(|connection| users::find_account(connection, &claims.user_id))?;
                let account = Arc::new(found.ok_or(RejectReason::InvalidAccount)?);
                self.cache.insert_account(&account, changes);
                account
            }
        };
        if account.generation != claims.generation || account.user.disabled {
            return Err(RejectReason::InvalidAccount.into());
        }
        Ok(Some(identity_of(&account, &claims)))
    }

    /// Whether any of these tokens or logins was revoked. `None`: see [`Access::authenticate_cached`].
    pub(crate) fn is_revoked(&self, ids: &[&str], changes: i64, read: bool) -> Result<Option<bool>, AccessError> {
        let cached = self.cache.is_any_revoked(ids, changes);
        if cached.is_some() || !read {
            return Ok(cached);
        }
        let revoked = self.database.read(|connection| revocation_flags(connection, ids))?;
        self.cache.insert_revoked(ids, &revoked, changes);
        Ok(Some(revoked.contains(&true)))
    }
}

/// For each of these ids, whether it was revoked.
fn revocation_flags(connection: &rusqlite::Connection, ids: &[&str]) -> Result<Vec<bool>, AccessError> {
    let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM revoked WHERE id = ?1)")?;
    ids.iter().map(|id| Ok(statement.query_row([id], |row| row.get(0))?)).collect()
}

fn revoke(write: &Transaction<'_>, id: &str, expires: i64) -> Result<(), AccessError> {
    write
        .prepare_cached(
            "INSERT INTO revoked (id, expires) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET expires = max(expires, ?2)",
        )?
        .execute(params![id, expires])?;
    Ok(())
}

fn revoke_login(write: &Transaction<'_>, family: &str, until: i64) -> Result<(), AccessError> {
    write.execute("DELETE FROM refresh_tokens WHERE family = ?1", [family])?;
    // Each token that was issued in this login carries the id of the login.
    revoke(write, family, until)
}

fn add_duration(now: i64, by: std::time::Duration) -> i64 {
    now.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX))
}

fn identity_of(account: &Account, claims: &Claims) -> Identity {
    let user = &account.user;
    Identity {
        name: user.name.clone(),
        roles: user.roles.clone(),
        scopes: Vec::new(),
        sites: user.sites.clone(),
        method: AuthMethod::Password,
        jti: Some(claims.jti.clone()),
        session: Some(claims.sid.clone()),
        expires: Some(claims.exp.saturating_mul(NANOSECONDS_PER_SECOND)),
        must_change_password: user.must_change_password,
    }
}
