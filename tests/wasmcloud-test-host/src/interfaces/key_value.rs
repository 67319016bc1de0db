//! `wasmcloud:keyvalue` in memory. Versions increase and are not reused.

use wasmtime::component::{Accessor, Resource};

use super::{
    HostStateView,
    bindings::wasmcloud::keyvalue::{
        atomics,
        cas::{self, CasOptions, CasResult, Entry},
        store,
        types::{self, Error, KeyResponse, SetOptions},
    },
};
use crate::host_state::HostState;

/// An open bucket, by its name.
#[derive(Debug)]
pub struct Bucket(String);

type Reply<T> = wasmtime::Result<Result<T, Error>>;

impl HostState {
    /// Returns the key of an entry in the store: the bucket's name and the key.
    fn entry_key(&mut self, bucket: &Resource<Bucket>, key: String) -> wasmtime::Result<(String, String)> {
        self.instance.count_call()?;
        Ok((self.instance.table.get(bucket)?.0.clone(), key))
    }
}

impl types::Host for &mut HostState {}

impl types::HostBucket for &mut HostState {
    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.instance.table.delete(bucket)?;
        Ok(())
    }
}

impl<T: 'static + Send> types::HostBucketWithStore<T> for HostStateView {
    async fn get(accessor: &Accessor<T, Self>, bucket: Resource<Bucket>, key: String) -> Reply<Option<Vec<u8>>> {
        accessor.with(|mut access| {
            let entry_key = access.get().entry_key(&bucket, key)?;
            Ok(Ok(access.get().shared.state().get(&entry_key).map(|(value, _)| value.clone())))
        })
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
        options: Option<SetOptions>,
    ) -> Reply<()> {
        accessor.with(|mut access| {
            let entry_key = access.get().entry_key(&bucket, key)?;
            let mut state = access.get().shared.state();
            if options.is_some_and(|options| options.if_not_exists) && state.contains_key(&entry_key) {
                return Ok(Err(Error::PreconditionFailed));
            }
            let version = state.get(&entry_key).map_or(1, |(_, version)| version + 1);
            state.insert(entry_key, (value, version));
            Ok(Ok(()))
        })
    }

    async fn delete(accessor: &Accessor<T, Self>, bucket: Resource<Bucket>, key: String) -> Reply<()> {
        accessor.with(|mut access| {
            let entry_key = access.get().entry_key(&bucket, key)?;
            access.get().shared.state().remove(&entry_key);
            Ok(Ok(()))
        })
    }

    async fn exists(accessor: &Accessor<T, Self>, bucket: Resource<Bucket>, key: String) -> Reply<bool> {
        accessor.with(|mut access| {
            let entry_key = access.get().entry_key(&bucket, key)?;
            Ok(Ok(access.get().shared.state().contains_key(&entry_key)))
        })
    }

    async fn list_keys(
        _: &Accessor<T, Self>,
        _: Resource<Bucket>,
        _: Option<String>,
        _: Option<String>,
    ) -> Reply<KeyResponse> {
        Ok(Err(Error::Other("this host does not support list-keys".to_owned())))
    }
}

impl store::Host for &mut HostState {}

impl<T: 'static + Send> store::HostWithStore<T> for HostStateView {
    async fn open(accessor: &Accessor<T, Self>, identifier: String) -> Reply<Resource<Bucket>> {
        accessor.with(|mut access| {
            access.get().instance.count_call()?;
            Ok(Ok(access.get().instance.table.push(Bucket(identifier))?))
        })
    }
}

impl atomics::Host for &mut HostState {}

impl<T: 'static + Send> atomics::HostWithStore<T> for HostStateView {
    async fn increment(_: &Accessor<T, Self>, _: Resource<Bucket>, _: String, _: i64) -> Reply<i64> {
        Ok(Err(Error::Other("this host does not support increment".to_owned())))
    }
}

impl cas::Host for &mut HostState {}

impl<T: 'static + Send> cas::HostWithStore<T> for HostStateView {
    async fn current(accessor: &Accessor<T, Self>, bucket: Resource<Bucket>, key: String) -> Reply<Option<Entry>> {
        accessor.with(|mut access| {
            let entry_key = access.get().entry_key(&bucket, key)?;
            Ok(Ok(access.get().shared.state().get(&entry_key).map(entry)))
        })
    }

    async fn swap(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
        options: CasOptions,
    ) -> Reply<CasResult> {
        if options.require_version.is_none() && options.require_value.is_none() {
            return Ok(Err(Error::InvalidArgument));
        }
        accessor.with(|mut access| {
            let entry_key = access.get().entry_key(&bucket, key)?;
            let mut state = access.get().shared.state();
            // A condition on a missing key is false.
            let Some(current) = state.get(&entry_key) else { return Ok(Ok(CasResult::Stale(None))) };
            let is_stale = options.require_version.is_some_and(|version| version != current.1.to_string());
            if is_stale || options.require_value.is_some_and(|value| value != current.0) {
                return Ok(Ok(CasResult::Stale(Some(entry(current)))));
            }
            let version = current.1 + 1;
            state.insert(entry_key, (value, version));
            Ok(Ok(CasResult::Swapped))
        })
    }
}

fn entry((value, version): &(Vec<u8>, u64)) -> Entry {
    Entry { value: value.clone(), version: version.to_string() }
}
