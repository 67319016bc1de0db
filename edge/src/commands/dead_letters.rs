//! `wheeltapper dlq`.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Subcommand, builder::PossibleValuesParser};
use wheeltapper_front::Reason;
use wheeltapper_store::{DeadLetter, Filter, Store};

use super::{Global, readable};
use crate::{clock, line::Kept};

/// Dead letters: events and readings that were refused, with the reason and as they came.
#[derive(Debug, clap::Args)]
pub(super) struct Dlq {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show them, newest first
    List {
        /// Only those refused for this reason
        #[arg(long, value_parser = reasons())]
        reason: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// With the payload, as text
        #[arg(long)]
        payload: bool,
    },
    /// Send them to a running host again; what it refuses again lies there as a new one
    Replay {
        /// Only those refused for this reason
        #[arg(long, value_parser = reasons())]
        reason: Option<String>,
        /// The running host
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        to: String,
        /// An API key with the scope ingest, where the host wants one; `wheeltapper key add` makes one
        #[arg(long, env = "WHEELTAPPER_API_KEY", hide_env_values = true)]
        key: Option<String>,
    },
    /// Delete those older than this
    Purge {
        /// Age, such as 30d
        #[arg(long, value_parser = humantime::parse_duration)]
        older_than: Duration,
    },
}

impl Dlq {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        match self.what {
            What::List { reason, limit, payload } => list(&global.store()?, reason, limit, payload),
            What::Replay { reason, to, key } => {
                replay(&Store::open(&global.store_path()?)?, reason, &to, key.as_deref())
            }
            What::Purge { older_than } => {
                let before = clock::now().saturating_sub(i64::try_from(older_than.as_nanos()).unwrap_or(i64::MAX));
                let gone = Store::open(&global.store_path()?)?.purge_dead_letters(before)?;
                println!("{gone} dead letters deleted");
                Ok(())
            }
        }
    }
}

fn list(store: &Store, reason: Option<String>, limit: usize, payload: bool) -> anyhow::Result<()> {
    let letters = store.dead_letters(&Filter { reason, limit: Some(limit), ..Filter::default() })?;
    if letters.is_empty() {
        println!("no dead letters");
    }
    for letter in letters {
        println!("{}  {:<15} {}  {}", readable(letter.time), letter.reason, letter.source, letter.message);
        if payload {
            println!("    {}", String::from_utf8_lossy(&letter.payload).trim_end());
        }
    }
    Ok(())
}

fn replay(store: &Store, reason: Option<String>, to: &str, key: Option<&str>) -> anyhow::Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let host = Receiver { agent, url: format!("{}/api/v1/ingest", to.trim_end_matches('/')), key };
    let (mut taken, mut refused, mut cut, mut others) = (0, 0, 0, 0);
    for letter in store.dead_letters(&Filter { reason, ..Filter::default() })? {
        match Kept::of(&letter) {
            Kept::Part => cut += 1,
            Kept::Other => others += 1,
            Kept::Whole => {
                if host.takes(&letter)? {
                    taken += 1;
                } else {
                    refused += 1;
                }
                // What was refused again lies among the dead letters anew.
                store.delete_dead_letter(&letter.id)?;
            }
        }
    }
    println!("{taken} taken, {refused} refused again");
    if cut > 0 {
        println!(
            "{cut} kept: too large to have been kept whole, or not to be unpacked; have them sent by their source"
        );
    }
    if others > 0 {
        println!("{others} kept: no readings, but alerts that could not be planned for");
    }
    ensure!(taken > 0 || refused == 0, "nothing was taken; `wheeltapper dlq list` tells why");
    Ok(())
}

/// The host that they are sent to.
struct Receiver<'a> {
    agent: ureq::Agent,
    url: String,
    key: Option<&'a str>,
}

impl Receiver<'_> {
    /// Sends one; false when any of it is refused again.
    fn takes(&self, letter: &DeadLetter) -> anyhow::Result<bool> {
        let url = &self.url;
        let mut request = self.agent.post(url);
        if let Some(format) = &letter.format {
            request = request.header("Content-Type", format);
        }
        if let Some(key) = self.key {
            request = request.header("X-API-Key", key);
        }
        if let Some(sensor) = &letter.sensor {
            request = request.query("sensor", sensor);
        }
        let mut answer =
            request.send(&letter.payload[..]).with_context(|| format!("sending to {url}; is the host running?"))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_string().unwrap_or_default();
        match status {
            202 => {
                let receipt: serde_json::Value = serde_json::from_str(&body)?;
                Ok(receipt["rejected"] == 0)
            }
            422 => Ok(false),
            _ => bail!("{url} answered {status}: {body}"),
        }
    }
}

/// A reason, by its name.
fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(Reason::ALL.map(Reason::name))
}
