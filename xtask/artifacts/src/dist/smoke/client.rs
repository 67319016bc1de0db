//! A client of a host's API, which may be in another network namespace.

use std::{
    process::{Child, Command},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{as_root, wait_for};
use crate::package::output;

/// The sensor of the tests.
const SENSOR: &str = "smoke/hall/pump/temperature";

/// A client of one host.
pub(super) struct Client {
    /// Address and port.
    address: String,
    /// The process in whose network the host listens; `None`: this machine's network.
    network: Option<u32>,
    key: Option<String>,
}

/// A reading that a host has accepted.
#[derive(Debug)]
pub(super) struct Sent {
    value: f64,
}

impl Client {
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), network: None, key: None }
    }

    /// Sends requests in the network of a process.
    pub(super) fn in_network_of(self, process: u32) -> Self {
        Self { network: Some(process), ..self }
    }

    /// Sends an API key.
    pub(super) fn with_key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// Waits until `/ready` answers 200.
    pub(super) fn wait_until_ready(&self, host: &mut Child) -> anyhow::Result<()> {
        wait_for("/ready", host, || self.request("/ready", &[]).ok()).map(|_| ())
    }

    /// Sends a reading of this moment. Its value differs from that of each other second of the hour.
    pub(super) fn send_reading(&self) -> anyhow::Result<Sent> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let value = f64::from(u32::try_from(now % 3600)?) / 64.0;
        let body = json!({ "sensor_id": SENSOR, "timestamp": now, "values": value }).to_string();
        let answer = self.request("/api/v1/ingest", &["-H", "Content-Type: application/json", "--data", &body])?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| format!("the answer {answer:?}"))?;
        ensure!(answer["accepted"] == 1, "the reading was not accepted: {answer}");
        Ok(Sent { value })
    }

    /// Checks that the host answers with the reading.
    pub(super) fn expect_reading(&self, sent: &Sent) -> anyhow::Result<()> {
        let answer = self.request(&format!("/api/v1/sensors/{SENSOR}/readings"), &[])?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| format!("the answer {answer:?}"))?;
        let items = answer["items"].as_array().context("the answer has no `items`")?;
        let found = items.iter().any(|item| item["value"].as_f64() == Some(sent.value));
        ensure!(found, "expected the value {} among the readings, got {answer}", sent.value);
        Ok(())
    }

    /// Returns the body of the answer; fails if it is not a success.
    pub(super) fn request(&self, path: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = match self.network {
            None => Command::new("curl"),
            Some(process) => {
                let mut nsenter = as_root("nsenter");
                nsenter.args(["--net", "--target", &process.to_string(), "--", "curl"]);
                nsenter
            }
        };
        command.args(["--silent", "--show-error", "--fail", "--max-time", "30", "--noproxy", "*"]);
        if let Some(key) = &self.key {
            command.args(["-H", &format!("X-API-Key: {key}")]);
        }
        output(command.args(arguments).arg(format!("http://{}{path}", self.address)))
    }
}
