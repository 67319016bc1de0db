//! Users of this host.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use crate::{
    Access, AccessError, Role,
    database::{from_json, to_json},
    identity::clean_sites,
    random,
};

/// A user, without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name; upper and lower case are the same.
    pub name: String,
    /// Roles.
    pub roles: Vec<Role>,
    /// Sites that are seen; all without a list.
    pub sites: Option<Vec<String>>,
    /// Whether they may not sign in.
    pub disabled: bool,
    /// Whether the password is a one-time password still.
    pub must_change_password: bool,
    /// When made, in nanoseconds since 1970.
    pub created: i64,
    /// When last signed in.
    pub last_login: Option<i64>,
}

/// What to change of a user; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Roles.
    pub roles: Option<Vec<Role>>,
    /// Sites; `Some(None)` means all.
    pub sites: Option<Option<Vec<String>>>,
    /// Whether they may not sign in.
    pub disabled: Option<bool>,
}

/// A user with what only this crate sees.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) user: User,
    pub(crate) hash: String,
    pub(crate) generation: i64,
}

const COLUMNS: &str = "name, roles, sites, disabled, must_change, created, last_login, password, generation";

type Raw = (String, String, Option<String>, bool, bool, i64, Option<i64>, String, i64);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
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

fn account(raw: Raw) -> Result<Account, AccessError> {
    let (name, roles, sites, disabled, must_change_password, created, last_login, hash, generation) = raw;
    let sites = sites.as_deref().map(from_json).transpose()?;
    let roles = from_json(&roles)?;
    let user = User { name, roles, sites, disabled, must_change_password, created, last_login };
    Ok(Account { user, hash, generation })
}

pub(crate) fn find(connection: &rusqlite::Connection, name: &str) -> Result<Option<Account>, AccessError> {
    let mut asked = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE name = ?1"))?;
    asked.query_row([name], raw).optional()?.map(account).transpose()
}

fn missing(name: &str) -> AccessError {
    AccessError::Missing { what: "user", name: name.to_owned() }
}

/// A name that is safe in logs, paths and beside names of other kinds.
fn check_name(name: &str) -> Result<(), AccessError> {
    let letters =
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | '@' | '+'));
    if name.is_empty() || name.chars().count() > 64 || !letters {
        return Err(AccessError::Invalid(format!(
            "{name:?} cannot be a user's name; write 1 to 64 letters from a to z, digits, or . _ - + @"
        )));
    }
    // Whoever asks where nobody has to sign in.
    if name.eq_ignore_ascii_case("local") {
        return Err(AccessError::Exists(name.to_owned()));
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
    /// Where there is no user yet, makes `admin` and gives its one-time password, to be shown once.
    ///
    /// # Errors
    /// [`AccessError`] when it could not be written.
    pub fn first_admin(&self, now: i64) -> Result<Option<String>, AccessError> {
        let any = |connection: &rusqlite::Connection| {
            connection.query_row("SELECT EXISTS (SELECT 1 FROM users)", [], |row| row.get::<_, bool>(0))
        };
        if self.database.read(any)? {
            return Ok(None);
        }
        let password = random::one_time_password()?;
        let hash = self.passwords.hash(&password)?;
        let made = self.database.write::<_, AccessError>(|write| {
            if any(write)? {
                return Ok(false);
            }
            insert(write, "admin", &hash, &[Role::Admin], None, now)?;
            Ok(true)
        })?;
        Ok(made.then_some(password))
    }

    /// All users, by name.
    ///
    /// # Errors
    /// [`AccessError`] when they cannot be read.
    pub fn users(&self) -> Result<Vec<User>, AccessError> {
        self.database.read(|connection| {
            let mut asked = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM users ORDER BY name"))?;
            let rows = asked.query_map([], raw)?;
            rows.map(|row| Ok(account(row?)?.user)).collect()
        })
    }

    /// A user, if there is one of that name.
    ///
    /// # Errors
    /// [`AccessError`] when it cannot be read.
    pub fn user(&self, name: &str) -> Result<Option<User>, AccessError> {
        Ok(self.database.read(|connection| find(connection, name))?.map(|account| account.user))
    }

    /// Makes a user and gives the one-time password, to be shown once.
    ///
    /// # Errors
    /// [`AccessError`] when the name, a role or a site does not do, or the name is taken.
    pub fn add_user(
        &self,
        name: &str,
        roles: &[Role],
        sites: Option<Vec<String>>,
        now: i64,
    ) -> Result<String, AccessError> {
        check_name(name)?;
        check_roles(roles)?;
        let sites = clean_sites(sites)?;
        let password = random::one_time_password()?;
        let hash = self.passwords.hash(&password)?;
        self.database.write(|write| {
            if find(write, name)?.is_some() {
                return Err(AccessError::Exists(name.to_owned()));
            }
            insert(write, name, &hash, roles, sites.as_ref(), now)
        })?;
        Ok(password)
    }

    /// Changes a user; it holds from the next request on.
    ///
    /// # Errors
    /// [`AccessError`] when there is none, a value does not do, or no admin would be left.
    pub fn change_user(&self, name: &str, change: UserChange) -> Result<User, AccessError> {
        if let Some(roles) = &change.roles {
            check_roles(roles)?;
        }
        let sites = change.sites.map(clean_sites).transpose()?;
        self.database.write(|write| {
            let Account { mut user, generation, .. } = find(write, name)?.ok_or_else(|| missing(name))?;
            user.roles = change.roles.unwrap_or(user.roles);
            user.sites = sites.unwrap_or(user.sites);
            user.disabled = change.disabled.unwrap_or(user.disabled);
            if user.disabled || !user.roles.contains(&Role::Admin) {
                keep_an_admin(write, &user.name)?;
            }
            // Who was disabled signs in anew afterwards.
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

    /// Gives a user a one-time password, to be shown once; whoever is signed in as them is signed out. Failed logins before it
    /// do not count any more, in a running host too.
    ///
    /// # Errors
    /// [`AccessError`] when there is no such user.
    pub fn reset_password(&self, name: &str) -> Result<String, AccessError> {
        let password = random::one_time_password()?;
        let hash = self.passwords.hash(&password)?;
        self.database.write(|write| set_password(write, name, &hash, true))?;
        Ok(password)
    }

    /// Removes a user.
    ///
    /// # Errors
    /// [`AccessError`] when there is none, or it is the last admin.
    pub fn remove_user(&self, name: &str) -> Result<(), AccessError> {
        self.database.write(|write| {
            let account = find(write, name)?.ok_or_else(|| missing(name))?;
            keep_an_admin(write, &account.user.name)?;
            write.execute("DELETE FROM users WHERE name = ?1", [name])?;
            write.execute("DELETE FROM refresh_tokens WHERE user = ?1", [name])?;
            Ok(())
        })
    }
}

fn insert(
    write: &Transaction<'_>,
    name: &str,
    hash: &str,
    roles: &[Role],
    sites: Option<&Vec<String>>,
    now: i64,
) -> Result<(), AccessError> {
    // A name that was there before must not give its old tokens to the new one: the time is above any old generation.
    let sites = sites.map(to_json).transpose()?;
    write.execute(
        "INSERT INTO users (name, password, roles, sites, must_change, generation, created) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5)",
        params![name, hash, to_json(&roles)?, sites, now],
    )?;
    Ok(())
}

/// Sets a new password; tokens made with the old one are no good any more.
pub(crate) fn set_password(write: &Transaction<'_>, name: &str, hash: &str, one_time: bool) -> Result<(), AccessError> {
    let changed = write.execute(
        "UPDATE users SET password = ?2, must_change = ?3, generation = generation + 1 WHERE name = ?1",
        params![name, hash, one_time],
    )?;
    if changed == 0 {
        return Err(missing(name));
    }
    write.execute("DELETE FROM refresh_tokens WHERE user = ?1", [name])?;
    Ok(())
}

/// Whether another admin may sign in, where `name` no longer is one.
fn keep_an_admin(write: &Transaction<'_>, name: &str) -> Result<(), AccessError> {
    let mut asked = write.prepare_cached("SELECT name, roles FROM users WHERE disabled = 0")?;
    let rows = asked.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let (mut was, mut another) = (false, false);
    for row in rows {
        let (other, roles) = row?;
        if from_json::<Vec<Role>>(&roles)?.contains(&Role::Admin) {
            if other.eq_ignore_ascii_case(name) { was = true } else { another = true }
        }
    }
    if was && !another { Err(AccessError::LastAdmin(name.to_owned())) } else { Ok(()) }
}
