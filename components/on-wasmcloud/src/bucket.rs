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

/// How long JetStream may take to make a bucket, in milliseconds.
const PATIENCE: u32 = 5_000;

/// A bucket of the key-value store.
#[derive(Debug)]
pub(crate) struct State(Bucket);

impl State {
    /// Opens the bucket. On NATS it has to exist; where the messages' broker is the store's too, it is made.
    pub(crate) async fn open(name: &str) -> Result<Self, LineError> {
        let mut opened = open(name.to_owned()).await;
        if matches!(opened, Err(Error::NoSuchStore)) {
            make(name).await?;
            opened = open(name.to_owned()).await;
        }
        opened.map(Self).map_err(|error| {
            LineError::Unavailable(format!("the bucket {name} of the key-value store cannot be opened: {error:?}"))
        })
    }

    pub(crate) async fn load(&self, key: &str) -> Result<Option<(Vec<u8>, String)>, PortError> {
        match current(&self.0, key.to_owned()).await {
            Ok(entry) => Ok(entry.map(|entry| (entry.value, entry.version))),
            Err(error) => Err(PortError(format!("the key-value store gave {error:?} for {key}"))),
        }
    }

    /// Writes, only if the version still is the one that was loaded; none: only if nothing is there.
    pub(crate) async fn swap(&self, key: &str, held: Option<String>, body: Vec<u8>) -> Result<bool, PortError> {
        let told = |error| PortError(format!("the key-value store gave {error:?} when {key} was written"));
        let Some(version) = held else {
            let options = SetOptions { ttl_ms: None, if_not_exists: true };
            return match self.0.set(key.to_owned(), body, Some(options)).await {
                Ok(()) => Ok(true),
                Err(Error::PreconditionFailed) => Ok(false),
                Err(error) => Err(told(error)),
            };
        };
        let options = CasOptions { require_version: Some(version), require_value: None };
        match swap(&self.0, key.to_owned(), body, options).await {
            Ok(CasResult::Swapped) => Ok(true),
            Ok(CasResult::Stale(_)) => Ok(false),
            Err(error) => Err(told(error)),
        }
    }
}

/// Asks JetStream for a key-value bucket, which is a stream of a certain kind. That it is there already is no error.
async fn make(name: &str) -> Result<(), LineError> {
    let unavailable = |why: String| {
        LineError::Unavailable(format!(
            "the bucket {name} is missing, and JetStream did not make it: {why}; make it with `nats kv add {name}`"
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
    let answer = request(format!("$JS.API.STREAM.CREATE.KV_{name}"), body, Some(PATIENCE))
        .await
        .map_err(|error| unavailable(format!("{error:?}")))?;
    let answer = answer.body.collect().await;
    let text = String::from_utf8_lossy(&answer);
    // 10058: a stream of that name is there.
    if text.contains("\"error\"") && !text.contains("10058") {
        return Err(unavailable(text.into_owned()));
    }
    Ok(())
}
