//! User accounts: creation, changes, one-time passwords and removal.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use crate::{
    Access, AccessError, Role,
    account::{Account, User},
    database::{from_json, to_json},
    identity::validate_sites,
    random,
};

/// Changes of a user; fields that are `None` stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// New roles.
    pub roles: Option<Vec<Role>>,
    /// New sites; `Some(None)` means all sites.
    pub sites: Option<Option<Vec<String>>>,
    /// Whether the user may not sign in.
    pub disabled: Option<bool>,
}

const COLUMNS: &str = "name, roles, sites, disabled, must_change, created, last_login, password, generation";

type UserRow = (String, String, Option<String>, bool, bool, i64, Option<i64>, String, i64);

fn read_row(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get(7)?,
        row.get(8)?,
    ))
}

fn parse_row(raw: UserRow) -> Result<Account, AccessError> {
    let (name, roles, sites, disabled, must_change_password, created, last_login, hash, generation) = raw;
    let sites = sites.as_deref().map(from_json).transpose()?;
    let roles = from_json(&roles)?;
    let user = User { name, roles, sites, disabled, must_change_password, created, last_login };
    Ok(Account { user, hash, generation })
}

pub(crate) fn find_account(connection: &rusqlite::Connection, name: &str) -> Result<Option<Account>, AccessError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE name = ?1"))?;
    statement.query_row([name], read_row).optional()?.map(parse_row).transpose()
}

fn missing_user(name: &str) -> AccessError {
    AccessError::NotFound { what: "user", name: name.to_owned() }
}

/// Checks that a name is safe in logs and paths and cannot be confused with API keys or users of an issuer.
fn check_name(name: &str) -> Result<(), AccessError> {
    let letters = name
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '@' | '+'));
    if name.is_empty() || name.chars().count() > 64 || !letters {
        return Err(AccessError::Invalid(format!(
            "{name:?} is not a valid user name; write 1 to 64 characters: letters from a to z, digits, or . _ - + @"
        )));
    }
    // `local` is the identity of all requests while access control is off.
    if name.eq_ignore_ascii_case("local") {
        return Err(AccessError::UserExists(name.to_owned()));
    }
    Ok(())
}

fn check_roles(roles: &[Role]) -> Result<(), AccessError> {
    if roles.is_empty() {
        return Err(AccessError::Invalid("a user needs a role: admin, engineer, operator or viewer".into()));
    }
    Ok(())
}

impl Access {
    /// Creates the user `admin` if there are no users, and returns its one-time password. Returns `None` if there are
    /// users.
    ///
    /// # Errors
    /// [`AccessError`] when the user could not be written.
    pub fn first_admin(&self, now: i64) -> Result<Option<String>, AccessError> {
        let any = |connection: &rusqlite::Connection| {
            connection.query_row("SELECT EXISTS (SELECT 1 FROM users)", [], |row| row.get::<_, bool>(0))
        };
        if self.database.read(any)? {
            return Ok(None);
        }
        let password = random::one_time_password()?;
        let hash = self.hashing_slots.hash(&password)?;
        let made = self.database.write::<_, AccessError>(|write| {
            if any(write)? {
                return Ok(false);
            }
            insert_user(write, "admin", &hash, &[Role::Admin], None, now)?;
            Ok(true)
        })?;
        Ok(made.then_some(password))
    }

    /// Lists all users, ordered by name.
    ///
    /// # Errors
    /// [`AccessError`] when the database cannot be read.
    pub fn users(&self) -> Result<Vec<User>, AccessError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM users ORDER BY name"))?;
            let rows = statement.query_map([], read_row)?;
            rows.map(|row| Ok(parse_row(row?)?.user)).collect()
        })
    }

    /// Returns the user with this name, if there is one.
    ///
    /// # Errors
    /// [`AccessError`] when the database cannot be read.
    pub fn user(&self, name: &str) -> Result<Option<User>, AccessError> {
        Ok(self.database.read(|connection| find_account(connection, name))?.map(|account| account.user))
    }

    /// Creates a user and returns its one-time password, which is not stored in plain text.
    ///
    /// # Errors
    /// [`AccessError`] when the name, the roles or a site are invalid, or the name is taken.
    pub fn add_user(
        &self,
        name: &str,
        roles: &[Role],
        sites: Option<Vec<String>>,
        now: i64,
    ) -> Result<String, AccessError> {
        check_name(name)?;
        check_roles(roles)?;
        let sites = validate_sites(sites)?;
        let password = random::one_time_password()?;
        let hash = self.hashing_slots.hash(&password)?;
        self.database.write(|write| {
            if find_account(write, name)?.is_some() {
                return Err(AccessError::UserExists(name.to_owned()));
            }
            insert_user(write, name, &hash, roles, sites.as_ref(), now)
        })?;
        Ok(password)
    }

    /// Changes a user; the change takes effect with the next request.
    ///
    /// # Errors
    /// [`AccessError`] when there is no such user, a value is invalid, or no enabled admin would be left.
    pub fn change_user(&self, name: &str, change: UserChange) -> Result<User, AccessError> {
        if let Some(roles) = &change.roles {
            check_roles(roles)?;
        }
        let sites = change.sites.map(validate_sites).transpose()?;
        self.database.write(|write| {
            let Account { mut user, generation, .. } = find_account(write, name)?.ok_or_else(|| missing_user(name))?;
            user.roles = change.roles.unwrap_or(user.roles);
            user.sites = sites.unwrap_or(user.sites);
            user.disabled = change.disabled.unwrap_or(user.disabled);
            if user.disabled || !user.roles.contains(&Role::Admin) {
                ensure_another_admin(write, &user.name)?;
            }
            // Sessions from before the user was disabled stay invalid after the user is enabled again.
            let generation = generation + i64::from(user.disabled);
            write
                .prepare_cached(
                    "UPDATE users SET roles = ?2, sites = ?3, disabled = ?4, generation = ?5 WHERE name = ?1",
                )?
                .execute(params![
                    user.name,
                    to_json(&user.roles)?,
                    user.sites.as_ref().map(to_json).transpose()?,
                    user.disabled,
                    generation
                ])?;
            Ok(user)
        })
    }

    /// Sets a new one-time password and returns it. Ends all sessions of the user, and resets the count of failed
    /// logins, also in a host that is running.
    ///
    /// # Errors
    /// [`AccessError`] when there is no such user.
    pub fn reset_password(&self, name: &str) -> Result<String, AccessError> {
        let password = random::one_time_password()?;
        let hash = self.hashing_slots.hash(&password)?;
        self.database.write(|write| set_password(write, name, &hash, true))?;
        Ok(password)
    }

    /// Removes a user and ends all sessions of that user.
    ///
    /// # Errors
    /// [`AccessError`] when there is no such user, or it is the last admin.
    pub fn remove_user(&self, name: &str) -> Result<(), AccessError> {
        self.database.write(|write| {
            let account = find_account(write, name)?.ok_or_else(|| missing_user(name))?;
            ensure_another_admin(write, &account.user.name)?;
            write.execute("DELETE FROM users WHERE name = ?1", [name])?;
            write.execute("DELETE FROM refresh_tokens WHERE user = ?1", [name])?;
            Ok(())
        })
    }
}

fn insert_user(
    write: &Transaction<'_>,
    name: &str,
    hash: &str,
    roles: &[Role],
    sites: Option<&Vec<String>>,
    now: i64,
) -> Result<(), AccessError> {
    // Tokens of a removed user with this name must stay invalid: the time is above any earlier generation.
    let sites = sites.map(to_json).transpose()?;
    write.execute(
        "INSERT INTO users (name, password, roles, sites, must_change, generation, created) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5)",
        params![name, hash, to_json(&roles)?, sites, now],
    )?;
    Ok(())
}

/// Sets a new password hash and invalidates all tokens of the user.
pub(crate) fn set_password(write: &Transaction<'_>, name: &str, hash: &str, one_time: bool) -> Result<(), AccessError> {
    let changed = write.execute(
        "UPDATE users SET password = ?2, must_change = ?3, generation = generation + 1 WHERE name = ?1",
        params![name, hash, one_time],
    )?;
    if changed == 0 {
        return Err(missing_user(name));
    }
    write.execute("DELETE FROM refresh_tokens WHERE user = ?1", [name])?;
    Ok(())
}

/// Returns an error if `name` is the last admin who can sign in.
fn ensure_another_admin(write: &Transaction<'_>, name: &str) -> Result<(), AccessError> {
    let mut statement = write.prepare_cached("SELECT name, roles FROM users WHERE disabled = 0")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let (mut is_admin, mut has_other_admin) = (false, false);
    for row in rows {
        let (other, roles) = row?;
        if from_json::<Vec<Role>>(&roles)?.contains(&Role::Admin) {
            if other.eq_ignore_ascii_case(name) { is_admin = true } else { has_other_admin = true }
        }
    }
    if is_admin && !has_other_admin { Err(AccessError::LastAdmin(name.to_owned())) } else { Ok(()) }
}
