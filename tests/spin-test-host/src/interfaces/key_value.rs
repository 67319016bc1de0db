//! `wasi:keyvalue@0.2.0-draft2` and `fermyon:spin/key-value`, over SQLite like Spin's default store.

use rusqlite::{Connection, OptionalExtension as _, params};
use wasmtime::component::Resource;

use super::bindings::{
    fermyon::spin::key_value,
    wasi::keyvalue::{
        atomics::{self, CasError},
        store::{self, Error, KeyResponse},
    },
};
use crate::host_state::HostState;

/// An open store, by its name.
#[derive(Clone, Debug)]
pub struct Bucket(String);

/// A compare-and-swap in progress.
#[derive(Debug)]
pub struct CompareAndSwap {
    bucket: Bucket,
    key: String,
    /// The value that [`atomics::HostCas::current`] read.
    expected: Option<Vec<u8>>,
}

impl Bucket {
    fn get(&self, connection: &Connection, key: &str) -> Result<Option<Vec<u8>>, String> {
        connection
            .prepare_cached("SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2")
            .and_then(|mut statement| statement.query_row(params![self.0, key], |row| row.get(0)).optional())
            .map_err(|error| error.to_string())
    }

    fn set(&self, connection: &Connection, key: &str, value: &[u8]) -> Result<(), String> {
        let statement = "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
            ON CONFLICT (store, key) DO UPDATE SET value = excluded.value";
        connection.execute(statement, params![self.0, key, value]).map(drop).map_err(|error| error.to_string())
    }

    fn delete(&self, connection: &Connection, key: &str) -> Result<(), String> {
        let statement = "DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2";
        connection.execute(statement, params![self.0, key]).map(drop).map_err(|error| error.to_string())
    }

    fn keys(&self, connection: &Connection) -> Result<Vec<String>, String> {
        connection
            .prepare_cached("SELECT key FROM spin_key_value WHERE store = ?1")
            .and_then(|mut statement| statement.query_map([&self.0], |row| row.get(0))?.collect())
            .map_err(|error| error.to_string())
    }
}

impl HostState {
    fn bucket(&mut self, bucket: &Resource<Bucket>) -> wasmtime::Result<Bucket> {
        self.instance.count_call()?;
        Ok(self.instance.table.get(bucket)?.clone())
    }

    fn open_bucket(&mut self, name: String) -> wasmtime::Result<Option<Resource<Bucket>>> {
        self.instance.count_call()?;
        if name == "default" { Ok(Some(self.instance.table.push(Bucket(name))?)) } else { Ok(None) }
    }
}

impl store::Host for HostState {
    fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        Ok(self.open_bucket(name)?.ok_or(Error::AccessDenied))
    }
}

impl store::HostBucket for HostState {
    fn get(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(bucket.get(&self.files.key_value(), &key).map_err(Error::Other))
    }

    fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(bucket.set(&self.files.key_value(), &key, &value).map_err(Error::Other))
    }

    fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(bucket.delete(&self.files.key_value(), &key).map_err(Error::Other))
    }

    fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<bool, Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(bucket.get(&self.files.key_value(), &key).map(|value| value.is_some()).map_err(Error::Other))
    }

    fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        _cursor: Option<String>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let bucket = self.bucket(&bucket)?;
        let keys = bucket.keys(&self.files.key_value());
        Ok(keys.map(|keys| KeyResponse { keys, cursor: None }).map_err(Error::Other))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.instance.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for HostState {
    fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: i64) -> wasmtime::Result<Result<i64, Error>> {
        let bucket = self.bucket(&bucket)?;
        let connection = self.files.key_value();
        let sum = bucket.get(&connection, &key).and_then(|value| {
            let bytes = value.unwrap_or_else(|| vec![0; 8]);
            let old = bytes.try_into().map(i64::from_le_bytes).map_err(|_| "the value is not an integer".to_owned())?;
            let sum = old.wrapping_add(delta);
            bucket.set(&connection, &key, &sum.to_le_bytes()).map(|()| sum)
        });
        Ok(sum.map_err(Error::Other))
    }

    /// Like Spin's: replaces a value that was read only if it is unchanged; if no value was read, writes in any case.
    fn swap(&mut self, swap: Resource<CompareAndSwap>, value: Vec<u8>) -> wasmtime::Result<Result<(), CasError>> {
        self.instance.count_call()?;
        let CompareAndSwap { bucket, key, expected } = self.instance.table.delete(swap)?;
        let swapped = {
            let connection = self.files.key_value();
            match &expected {
                Some(expected) => connection
                    .execute(
                        "UPDATE spin_key_value SET value = ?4 WHERE store = ?1 AND key = ?2 AND value = ?3",
                        params![bucket.0, key, expected, value],
                    )
                    .map(|rows| rows == 1)
                    .map_err(|error| error.to_string()),
                None => bucket.set(&connection, &key, &value).map(|()| true),
            }
        };
        match swapped {
            Ok(true) => Ok(Ok(())),
            Ok(false) => {
                let expected = bucket.get(&self.files.key_value(), &key).map_err(wasmtime::Error::msg)?;
                Ok(Err(CasError::CasFailed(self.instance.table.push(CompareAndSwap { bucket, key, expected })?)))
            }
            Err(error) => Ok(Err(CasError::StoreError(Error::Other(error)))),
        }
    }
}

impl atomics::HostCas for HostState {
    fn new(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Resource<CompareAndSwap>, Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(Ok(self.instance.table.push(CompareAndSwap { bucket, key, expected: None })?))
    }

    fn current(&mut self, swap: Resource<CompareAndSwap>) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        self.instance.count_call()?;
        let CompareAndSwap { bucket, key, .. } = self.instance.table.get(&swap)?;
        let value = bucket.get(&self.files.key_value(), key);
        if let Ok(value) = &value {
            self.instance.table.get_mut(&swap)?.expected.clone_from(value);
        }
        Ok(value.map_err(Error::Other))
    }

    fn drop(&mut self, swap: Resource<CompareAndSwap>) -> wasmtime::Result<()> {
        self.instance.table.delete(swap)?;
        Ok(())
    }
}

impl key_value::Host for HostState {}

impl key_value::HostStore for HostState {
    fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Bucket>, key_value::Error>> {
        Ok(self.open_bucket(name)?.ok_or(key_value::Error::AccessDenied))
    }

    fn get(
        &mut self,
        store: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, key_value::Error>> {
        let bucket = self.bucket(&store)?;
        Ok(bucket.get(&self.files.key_value(), &key).map_err(key_value::Error::Other))
    }

    fn set(
        &mut self,
        store: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), key_value::Error>> {
        let bucket = self.bucket(&store)?;
        Ok(bucket.set(&self.files.key_value(), &key, &value).map_err(key_value::Error::Other))
    }

    fn delete(&mut self, store: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), key_value::Error>> {
        let bucket = self.bucket(&store)?;
        Ok(bucket.delete(&self.files.key_value(), &key).map_err(key_value::Error::Other))
    }

    fn exists(&mut self, store: Resource<Bucket>, key: String) -> wasmtime::Result<Result<bool, key_value::Error>> {
        let bucket = self.bucket(&store)?;
        let value = bucket.get(&self.files.key_value(), &key);
        Ok(value.map(|value| value.is_some()).map_err(key_value::Error::Other))
    }

    fn get_keys(&mut self, store: Resource<Bucket>) -> wasmtime::Result<Result<Vec<String>, key_value::Error>> {
        let bucket = self.bucket(&store)?;
        Ok(bucket.keys(&self.files.key_value()).map_err(key_value::Error::Other))
    }

    fn drop(&mut self, store: Resource<Bucket>) -> wasmtime::Result<()> {
        self.instance.table.delete(store)?;
        Ok(())
    }
}
