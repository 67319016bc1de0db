//! What the requests of the last minutes needed to know of users, keys and revoked tokens, so that most are known without
//! the database. A change by this process or another empties it: [`crate::database::Database::changes`] tells.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{api_keys::Known, users::Account};

/// Entries of each table; a full one is emptied. Only what exists is kept, but for ids of tokens that are not revoked, and
/// those come with a good signature.
const ENTRIES: usize = 16_384;

#[derive(Debug, Default)]
struct Tables {
    /// The change that the entries are as of.
    changes: i64,
    keys: HashMap<String, Arc<Known>>,
    accounts: HashMap<String, Arc<Account>>,
    revoked: HashMap<String, bool>,
}

/// The entries.
#[derive(Debug, Default)]
pub(crate) struct Cache(RwLock<Tables>);

impl Cache {
    fn read<T>(&self, changes: i64, look: impl FnOnce(&Tables) -> Option<T>) -> Option<T> {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (tables.changes == changes).then(|| look(&tables)).flatten()
    }

    /// Keeps what was read after `changes` had been counted.
    fn keep(&self, changes: i64, put: impl FnOnce(&mut Tables)) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if tables.changes > changes {
            return;
        }
        let full = |length: usize| length >= ENTRIES;
        if tables.changes < changes
            || full(tables.keys.len())
            || full(tables.accounts.len())
            || full(tables.revoked.len())
        {
            *tables = Tables { changes, ..Tables::default() };
        }
        put(&mut tables);
    }

    pub(crate) fn key(&self, id: &str, changes: i64) -> Option<Arc<Known>> {
        self.read(changes, |tables| tables.keys.get(id).map(Arc::clone))
    }

    pub(crate) fn keep_key(&self, key: &Arc<Known>, changes: i64) {
        self.keep(changes, |tables| {
            tables.keys.insert(key.key.id.clone(), Arc::clone(key));
        });
    }

    pub(crate) fn account(&self, name: &str, changes: i64) -> Option<Arc<Account>> {
        self.read(changes, |tables| tables.accounts.get(&name.to_lowercase()).map(Arc::clone))
    }

    pub(crate) fn keep_account(&self, account: &Arc<Account>, changes: i64) {
        self.keep(changes, |tables| {
            tables.accounts.insert(account.user.name.to_lowercase(), Arc::clone(account));
        });
    }

    /// Whether any of these tokens or logins was revoked.
    pub(crate) fn revoked(&self, ids: &[&str], changes: i64) -> Option<bool> {
        self.read(changes, |tables| {
            ids.iter().try_fold(false, |any, id| tables.revoked.get(*id).map(|revoked| any || *revoked))
        })
    }

    pub(crate) fn keep_revoked(&self, ids: &[&str], revoked: &[bool], changes: i64) {
        self.keep(changes, |tables| {
            tables.revoked.extend(ids.iter().map(|id| (*id).to_owned()).zip(revoked.iter().copied()));
        });
    }
}
