//! Several states at once.

use rusqlite::params;

use crate::{Store, StoreError};

impl Store {
    /// Returns the states whose keys start with `prefix`: the rest of each key, and the value, in the order of the keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT substr(key, length(?1) + 1), value FROM state WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key",
            )?;
            let rows = statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Stores or deletes (`None`) states in one transaction. They are durable on return.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is changed.
    pub fn write_states(&self, states: &[(String, Option<Vec<u8>>)]) -> Result<(), StoreError> {
        self.write(|to| {
            for (key, value) in states {
                match value {
                    Some(value) => to
                        .prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2)")?
                        .execute(params![key, value])?,
                    None => to.prepare_cached("DELETE FROM state WHERE key = ?1")?.execute([key])?,
                };
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_together_and_listed_by_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let write = |key: &str, value: Option<&str>| (key.to_owned(), value.map(|text| text.as_bytes().to_vec()));
        store
            .write_states(&[write("a/2", Some("two")), write("a/1", Some("one")), write("b/1", Some("other"))])
            .unwrap();
        store.write_states(&[write("a/2", None), write("a/3", Some("three"))]).unwrap();
        assert_eq!(
            store.states("a/").unwrap(),
            [("1".to_owned(), b"one".to_vec()), ("3".to_owned(), b"three".to_vec())]
        );
        assert_eq!(store.states("c/").unwrap(), []);
    }
}
