//! Cache of users, API keys and revoked tokens, so that most requests need no database access. Any change by this or
//! another process empties it; see [`crate::database::Database::change_count`].

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{account::Account, stored_key::StoredKey};

/// Maximum entries of each table; if one is full, the cache is emptied. Only keys and users that exist are cached. The
/// ids of tokens that are not revoked are cached too, but only after their signature was verified.
const MAX_ENTRIES: usize = 16_384;

#[derive(Debug, Default)]
struct CacheTables {
    /// The change count that the entries belong to.
    changes: i64,
    api_keys: HashMap<String, Arc<StoredKey>>,
    accounts: HashMap<String, Arc<Account>>,
    revoked: HashMap<String, bool>,
}

/// A cache that is valid for one value of the change count.
#[derive(Debug, Default)]
pub(crate) struct Cache(RwLock<CacheTables>);

impl Cache {
    fn read<T>(&self, changes: i64, lookup: impl FnOnce(&CacheTables) -> Option<T>) -> Option<T> {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (tables.changes == changes).then(|| lookup(&tables)).flatten()
    }

    /// Inserts data that was read after the change count was `changes`.
    fn insert_with(&self, changes: i64, insert: impl FnOnce(&mut CacheTables)) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if tables.changes > changes {
            return;
        }
        let full = |length: usize| length >= MAX_ENTRIES;
        if tables.changes < changes
            || full(tables.api_keys.len())
            || full(tables.accounts.len())
            || full(tables.revoked.len())
        {
            *tables = CacheTables { changes, ..CacheTables::default() };
        }
        insert(&mut tables);
    }

    pub(crate) fn api_key(&self, id: &str, changes: i64) -> Option<Arc<StoredKey>> {
        self.read(changes, |tables| tables.api_keys.get(id).map(Arc::clone))
    }

    pub(crate) fn insert_api_key(&self, key: &Arc<StoredKey>, changes: i64) {
        self.insert_with(changes, |tables| {
            tables.api_keys.insert(key.key.id.clone(), Arc::clone(key));
        });
    }

    pub(crate) fn account(&self, name: &str, changes: i64) -> Option<Arc<Account>> {
        self.read(changes, |tables| tables.accounts.get(&name.to_lowercase()).map(Arc::clone))
    }

    pub(crate) fn insert_account(&self, account: &Arc<Account>, changes: i64) {
        self.insert_with(changes, |tables| {
            tables.accounts.insert(account.user.name.to_lowercase(), Arc::clone(account));
        });
    }

    /// Whether any of these tokens or logins was revoked; `None` when one of them is not cached.
    pub(crate) fn is_any_revoked(&self, ids: &[&str], changes: i64) -> Option<bool> {
        self.read(changes, |tables| {
            ids.iter().try_fold(false, |any, id| tables.revoked.get(*id).map(|revoked| any || *revoked))
        })
    }

    pub(crate) fn insert_revoked(&self, ids: &[&str], revoked: &[bool], changes: i64) {
        self.insert_with(changes, |tables| {
            tables.revoked.extend(ids.iter().map(|id| (*id).to_owned()).zip(revoked.iter().copied()));
        });
    }
}
