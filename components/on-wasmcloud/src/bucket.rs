//! The stages' state in wasmCloud's key-value store.

use wheeltapper_line::{LineError, PortError};

use crate::bindings::{
    wasmcloud::keyvalue::{
        cas::{CasOptions, CasResult, current, swap},
        store::open,
        types::{Bucket, Error, SetOptions},
    },
    wasmcloud::messaging0_3_0::consumer::request,
    wit_stream,
};

/// The timeout for JetStream to create a bucket, in milliseconds.
const CREATE_TIMEOUT_MS: u32 = 5_000;

/// A bucket of the key-value store.
#[derive(Debug)]
pub(crate) struct StateBucket(Bucket);

impl StateBucket {
    /// Opens the bucket. On NATS the bucket has to exist; it is created if the broker of the messages also has the
    /// store.
    pub(crate) async fn open(name: &str) -> Result<Self, LineError> {
        let mut opened = open(name.to_owned()).await;
        if matches!(opened, Err(Error::NoSuchStore)) {
            create_bucket(name).await?;
            opened = open(name.to_owned()).await;
        }
        opened.map(Self).map_err(|error| {
            LineError::Unavailable(format!("the bucket {name} of the key-value store cannot be opened: {error:?}"))
        })
    }

    pub(crate) async fn load(&self, key: &str) -> Result<Option<(Vec<u8>, String)>, PortError> {
        match current(&self.0, key.to_owned()).await {
            Ok(entry) => Ok(entry.map(|entry| (entry.value, entry.version))),
            Err(error) => Err(PortError(format!("cannot read {key} from the key-value store: {error:?}"))),
        }
    }

    /// Writes the value if it still has the version that was loaded. `None`: only if there is no value.
    pub(crate) async fn swap(&self, key: &str, version: Option<String>, body: Vec<u8>) -> Result<bool, PortError> {
        let to_error = |error| PortError(format!("cannot write {key} to the key-value store: {error:?}"));
        let Some(version) = version else {
            let options = SetOptions { ttl_ms: None, if_not_exists: true };
            return match self.0.set(key.to_owned(), body, Some(options)).await {
                Ok(()) => Ok(true),
                Err(Error::PreconditionFailed) => Ok(false),
                Err(error) => Err(to_error(error)),
            };
        };
        let options = CasOptions { require_version: Some(version), require_value: None };
        match swap(&self.0, key.to_owned(), body, options).await {
            Ok(CasResult::Swapped) => Ok(true),
            Ok(CasResult::Stale(_)) => Ok(false),
            Err(error) => Err(to_error(error)),
        }
    }
}

/// Asks JetStream for a key-value bucket, which is a stream with certain settings. An existing bucket is no error.
async fn create_bucket(name: &str) -> Result<(), LineError> {
    let unavailable = |reason: String| {
        LineError::Unavailable(format!(
            "the bucket {name} is missing, and JetStream did not create it: {reason}; create it with `nats kv add {name}`"
        ))
    };
    let stream = format!(
        r#"{{"name":"KV_{name}","subjects":["$KV.{name}.>"],"max_msgs_per_subject":1,"max_msgs":-1,"max_bytes":-1,
            "max_age":0,"max_msg_size":-1,"storage":"file","retention":"limits","discard":"new","num_replicas":1,
            "allow_rollup_hdrs":true,"deny_delete":true,"allow_direct":true}}"#
    );
    let (mut writer, body) = wit_stream::new();
    wit_bindgen::spawn_local(async move {
        writer.write_all(stream.into_bytes()).await;
    });
    let response = request(format!("$JS.API.STREAM.CREATE.KV_{name}"), body, Some(CREATE_TIMEOUT_MS))
        .await
        .map_err(|error| unavailable(format!("{error:?}")))?;
    let body = response.body.collect().await;
    let text = String::from_utf8_lossy(&body);
    // 10058: a stream of that name exists.
    if text.contains("\"error\"") && !text.contains("10058") {
        return Err(unavailable(text.into_owned()));
    }
    Ok(())
}
