//! `wasmcloud:keyvalue`, in memory: versions rise and are not used again.

use wasmtime::component::{Accessor, Resource};

use super::{
    View,
    bindings::wasmcloud::keyvalue::{
        atomics,
        cas::{self, CasOptions, CasResult, Entry},
        store,
        types::{self, Error, KeyResponse, SetOptions},
    },
};
use crate::guest::Guest;

/// An open bucket: its name.
#[derive(Debug)]
pub struct Bucket(String);

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl Guest {
    /// The name under which the store has a bucket's key.
    fn place(&mut self, bucket: &Resource<Bucket>, key: String) -> wasmtime::Result<(String, String)> {
        self.instance.live()?;
        Ok((self.instance.table.get(bucket)?.0.clone(), key))
    }
}

impl types::Host for &mut Guest {}

impl types::HostBucket for &mut Guest {
    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.instance.table.delete(bucket)?;
        Ok(())
    }
}

impl<T: 'static + Send> types::HostBucketWithStore<T> for View {
    async fn get(accessor: &Accessor<T, Self>, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        accessor.with(|mut access| {
            let place = access.get().place(&bucket, key)?;
            Ok(Ok(access.get().shared.state().get(&place).map(|(value, _)| value.clone())))
        })
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
        options: Option<SetOptions>,
    ) -> Answer<()> {
        accessor.with(|mut access| {
            let place = access.get().place(&bucket, key)?;
            let mut state = access.get().shared.state();
            if options.is_some_and(|options| options.if_not_exists) && state.contains_key(&place) {
                return Ok(Err(Error::PreconditionFailed));
            }
            let version = state.get(&place).map_or(1, |(_, version)| version + 1);
            state.insert(place, (value, version));
            Ok(Ok(()))
        })
    }

    async fn delete(accessor: &Accessor<T, Self>, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        accessor.with(|mut access| {
            let place = access.get().place(&bucket, key)?;
            access.get().shared.state().remove(&place);
            Ok(Ok(()))
        })
    }

    async fn exists(accessor: &Accessor<T, Self>, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        accessor.with(|mut access| {
            let place = access.get().place(&bucket, key)?;
            Ok(Ok(access.get().shared.state().contains_key(&place)))
        })
    }

    async fn list_keys(
        _: &Accessor<T, Self>,
        _: Resource<Bucket>,
        _: Option<String>,
        _: Option<String>,
    ) -> Answer<KeyResponse> {
        Ok(Err(Error::Other("this host lists no keys".to_owned())))
    }
}

impl store::Host for &mut Guest {}

impl<T: 'static + Send> store::HostWithStore<T> for View {
    async fn open(accessor: &Accessor<T, Self>, identifier: String) -> Answer<Resource<Bucket>> {
        accessor.with(|mut access| {
            access.get().instance.live()?;
            Ok(Ok(access.get().instance.table.push(Bucket(identifier))?))
        })
    }
}

impl atomics::Host for &mut Guest {}

impl<T: 'static + Send> atomics::HostWithStore<T> for View {
    async fn increment(_: &Accessor<T, Self>, _: Resource<Bucket>, _: String, _: i64) -> Answer<i64> {
        Ok(Err(Error::Other("this host counts nothing".to_owned())))
    }
}

impl cas::Host for &mut Guest {}

impl<T: 'static + Send> cas::HostWithStore<T> for View {
    async fn current(accessor: &Accessor<T, Self>, bucket: Resource<Bucket>, key: String) -> Answer<Option<Entry>> {
        accessor.with(|mut access| {
            let place = access.get().place(&bucket, key)?;
            Ok(Ok(access.get().shared.state().get(&place).map(entry)))
        })
    }

    async fn swap(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
        options: CasOptions,
    ) -> Answer<CasResult> {
        if options.require_version.is_none() && options.require_value.is_none() {
            return Ok(Err(Error::InvalidArgument));
        }
        accessor.with(|mut access| {
            let place = access.get().place(&bucket, key)?;
            let mut state = access.get().shared.state();
            // What is asked of a key that is not there does not hold.
            let Some(found) = state.get(&place) else { return Ok(Ok(CasResult::Stale(None))) };
            let moved = options.require_version.is_some_and(|version| version != found.1.to_string());
            if moved || options.require_value.is_some_and(|value| value != found.0) {
                return Ok(Ok(CasResult::Stale(Some(entry(found)))));
            }
            let version = found.1 + 1;
            state.insert(place, (value, version));
            Ok(Ok(CasResult::Swapped))
        })
    }
}

fn entry((value, version): &(Vec<u8>, u64)) -> Entry {
    Entry { value: value.clone(), version: version.to_string() }
}
