//! `wheeltapper dlq`.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Context as _, bail, ensure};
use clap::{Subcommand, builder::PossibleValuesParser};
use serde_json::Value;
use wheeltapper_front::Reason;
use wheeltapper_store::{Store, StoreError};

use super::{Global, readable};
use crate::clock;

/// Letters that are listed at once, without their payloads.
const PAGE: usize = 500;
/// How often a host that is busy is asked again about one letter.
const TRIES: u32 = 20;
/// A busy host is waited for at most this long at a time.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Dead letters: events and readings that were rejected, with the reason and as they came.
#[derive(Debug, clap::Args)]
pub(super) struct Dlq {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show them, newest first
    List {
        /// Only those rejected for this reason
        #[arg(long, value_parser = reasons())]
        reason: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// With the payload, as text
        #[arg(long)]
        payload: bool,
    },
    /// Have the running host take them in again, oldest first
    ///
    /// A letter of which anything is taken is deleted; what of it is rejected again is a new letter. One of which nothing
    /// is taken stays as it was, with its reason.
    #[command(
        after_help = "Exit codes: 0 something was taken, or there was nothing to take; 1 nothing was taken, or failed, standard error says why; 2 wrong arguments or configuration"
    )]
    Replay {
        /// Only those rejected for this reason
        #[arg(long, value_parser = reasons())]
        reason: Option<String>,
        /// The running host; it must be the one whose data folder this is
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        to: String,
        /// An API key with the scope write, where the host wants one; `wheeltapper key add` makes one
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
            What::List { reason, limit, payload } => list(&global.store()?, reason.as_deref(), limit, payload),
            What::Replay { reason, to, key } => replay(&global.store()?, reason.as_deref(), &to, key.as_deref()),
            What::Purge { older_than } => {
                let before = clock::now().saturating_sub(i64::try_from(older_than.as_nanos()).unwrap_or(i64::MAX));
                let gone = Store::open(&global.store_path()?)?.purge_dead_letters(before)?;
                println!("{gone} dead letters deleted");
                Ok(())
            }
        }
    }
}

fn list(store: &Store, reason: Option<&str>, limit: usize, payload: bool) -> anyhow::Result<()> {
    let mut none = true;
    for letter in Letters::new(store, reason, Order::NewestFirst).take(limit) {
        let letter = letter?;
        none = false;
        println!("{}  {:<15} {}  {}", readable(letter.time), letter.reason, letter.source, letter.message);
        // One payload at a time: each may have a megabyte.
        if payload && let Some(whole) = store.dead_letter(&letter.id)? {
            println!("    {}", String::from_utf8_lossy(&whole.payload).trim_end());
        }
    }
    if none {
        println!("no dead letters");
    }
    Ok(())
}

fn replay(store: &Store, reason: Option<&str>, to: &str, key: Option<&str>) -> anyhow::Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let host = Host { agent, url: to.trim_end_matches('/').to_owned(), key };
    let mut sums = Sums::default();
    let sent = replay_all(store, reason, &host, &mut sums);
    // What was done before a failure is done.
    sums.print()?;
    sent?;
    let Sums { taken, partly, refused, absent, .. } = sums;
    ensure!(
        taken + partly > 0 || absent == 0,
        "the host at {to} knows none of these letters; name the host that runs on this data folder with --to, or the folder with --data"
    );
    ensure!(taken + partly > 0 || refused == 0, "nothing was taken; the letters are kept, mend what they say first");
    Ok(())
}

fn replay_all(store: &Store, reason: Option<&str>, host: &Host<'_>, sums: &mut Sums) -> anyhow::Result<()> {
    // What of a letter is rejected again is a new one, and must not be met again.
    let newest = Letters::new(store, None, Order::NewestFirst).next().transpose()?;
    let Some(newest) = newest else { return Ok(()) };
    // Births come before the data that needs them.
    for letter in Letters::new(store, reason, Order::OldestFirst) {
        let letter = letter?;
        if letter.row > newest.row {
            break;
        }
        match host.replays(&letter.id)? {
            Outcome::Taken => sums.taken += 1,
            Outcome::Partly => sums.partly += 1,
            Outcome::Refused(why) => {
                sums.refused += 1;
                sums.first_refusal.get_or_insert(why);
            }
            Outcome::Unsuited(why) => *sums.unsuited.entry(why).or_default() += 1,
            Outcome::Absent => sums.absent += 1,
        }
    }
    Ok(())
}

/// What became of the letters.
#[derive(Debug, Default)]
struct Sums {
    taken: u64,
    partly: u64,
    refused: u64,
    first_refusal: Option<String>,
    /// Those that cannot be taken in at all, by why.
    unsuited: BTreeMap<String, u64>,
    absent: u64,
}

impl Sums {
    fn print(&self) -> anyhow::Result<()> {
        println!("{} taken, {} refused again", self.taken + self.partly, self.refused);
        if self.partly > 0 {
            println!("{} of them taken in part: what was refused of them lies there anew", self.partly);
        }
        if let Some(why) = &self.first_refusal {
            println!("{} kept as they were; the first was refused again: {why}", self.refused);
        }
        for (why, count) in &self.unsuited {
            println!("{count} kept: {why}");
        }
        if self.absent > 0 {
            println!("{} not known to the host", self.absent);
        }
        Ok(())
    }
}

/// What the host did with one letter.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Taken,
    /// What was refused of it is a new letter.
    Partly,
    /// It is kept as it was; in the host's words why.
    Refused(String),
    /// It cannot be taken in again; why.
    Unsuited(String),
    Absent,
}

/// The running host, which has the letters. It keeps all that makes one whole: topic, format and sensor.
struct Host<'a> {
    agent: ureq::Agent,
    url: String,
    key: Option<&'a str>,
}

impl Host<'_> {
    /// Has one letter taken in; waits while the host is busy.
    fn replays(&self, id: &str) -> anyhow::Result<Outcome> {
        let url = format!("{}/api/v1/dead-letters/{id}/replay", self.url);
        for _ in 0..TRIES {
            let mut request = self.agent.post(&url);
            if let Some(key) = self.key {
                request = request.header("X-API-Key", key);
            }
            let mut answer = request.send_empty().with_context(|| format!("sending to {url}; is the host running?"))?;
            let status = answer.status().as_u16();
            let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let body = answer.body_mut().read_to_string().unwrap_or_default();
            if matches!(status, 429 | 503) {
                thread::sleep(Duration::from_secs(after.unwrap_or(1).max(1)).min(LONGEST_WAIT));
                continue;
            }
            return outcome(status, &body, &url);
        }
        bail!("{url} is busy for too long; try again later: letters that were not taken are kept")
    }
}

fn outcome(status: u16, body: &str, url: &str) -> anyhow::Result<Outcome> {
    let told: Value = serde_json::from_str(body).unwrap_or_default();
    let detail = || told["detail"].as_str().unwrap_or(body).to_owned();
    Ok(match status {
        202 if told["rejected"] == 0 => Outcome::Taken,
        202 => Outcome::Partly,
        404 => Outcome::Absent,
        // The detail begins with what is true of all of them.
        409 => Outcome::Unsuited(detail().split_once(": ").map_or_else(detail, |(_, why)| why.to_owned())),
        422 => Outcome::Refused(detail()),
        401 | 403 => bail!(
            "{url} answered {status}: {}; give an API key with the scope write with --key, `wheeltapper key add NAME --scope write` makes one",
            detail()
        ),
        _ => bail!("{url} answered {status}: {}", detail()),
    })
}

/// Which letters come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

/// What a letter says of itself, without its payload.
#[derive(Debug)]
struct Head {
    /// Numbers grow in the order in which letters were stored; their times are those of what was rejected.
    row: i64,
    id: String,
    time: i64,
    source: String,
    reason: String,
    message: String,
}

/// The letters of a store, page by page.
struct Letters<'a> {
    store: &'a Store,
    reason: Option<String>,
    order: Order,
    /// Row of the last one of the page before.
    after: Option<i64>,
    page: std::vec::IntoIter<Head>,
    ended: bool,
}

impl<'a> Letters<'a> {
    fn new(store: &'a Store, reason: Option<&str>, order: Order) -> Self {
        let page = Vec::new().into_iter();
        Self { store, reason: reason.map(str::to_owned), order, after: None, page, ended: false }
    }

    fn next_page(&self) -> Result<Vec<Head>, StoreError> {
        let (direction, beyond) = match self.order {
            Order::OldestFirst => ("ASC", ">"),
            Order::NewestFirst => ("DESC", "<"),
        };
        let mut conditions = Vec::new();
        if let Some(row) = self.after {
            conditions.push(format!("rowid {beyond} {row}"));
        }
        if let Some(reason) = &self.reason {
            conditions.push(format!("reason = {}", quoted(reason)));
        }
        let clause = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        let (_, rows) = self.store.query_sql(&format!(
            "SELECT rowid, id, time, source, reason, message FROM dead_letters {clause} \
             ORDER BY rowid {direction} LIMIT {PAGE}"
        ))?;
        Ok(rows.into_iter().filter_map(head).collect())
    }
}

impl Iterator for Letters<'_> {
    type Item = Result<Head, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.ended {
            match self.next_page() {
                Ok(page) => {
                    self.ended = page.len() < PAGE;
                    self.after = page.last().map(|last| last.row);
                    self.page = page.into_iter();
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.next().map(Ok)
    }
}

fn head(row: Vec<Value>) -> Option<Head> {
    let [row, id, time, source, reason, message] = <[Value; 6]>::try_from(row).ok()?;
    let text = |value: Value| value.as_str().map(str::to_owned);
    Some(Head {
        row: row.as_i64()?,
        id: text(id)?,
        time: time.as_i64()?,
        source: text(source)?,
        reason: text(reason)?,
        message: text(message)?,
    })
}

/// A text in SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A reason, by its name.
fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(Reason::ALL.map(Reason::name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use wheeltapper_store::{Commit, DeadLetter};

    use super::*;

    fn store(letters: usize) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s.db")).unwrap();
        let letters: Vec<DeadLetter> = (0..letters)
            .map(|number| DeadLetter {
                id: format!("{number:06}'"),
                // Times go the other way, and several are the same.
                time: -i64::try_from(number / 7).unwrap(),
                source: "spBv1.0/g/NDATA/n".into(),
                reason: if number % 2 == 0 { "malformed" } else { "in-future" }.into(),
                message: "m".into(),
                payload: vec![0; 10],
                readings: 1,
                sensor: None,
                format: None,
            })
            .collect();
        store.commit(&Commit { partition: 1, dead_letters: &letters, ..Commit::default() }).unwrap();
        (folder, store)
    }

    #[test]
    fn all_letters_are_met_once_and_in_order() {
        let (_folder, store) = store(2 * PAGE + 3);
        let ids = |reason, order| -> Vec<String> {
            Letters::new(&store, reason, order).map(|letter| letter.unwrap().id).collect()
        };
        let all: Vec<String> = (0..2 * PAGE + 3).map(|number| format!("{number:06}'")).collect();
        assert_eq!(ids(None, Order::OldestFirst), all);
        assert_eq!(ids(None, Order::NewestFirst), all.iter().rev().cloned().collect::<Vec<_>>());
        let odd: Vec<String> = all.into_iter().skip(1).step_by(2).collect();
        assert_eq!(ids(Some("in-future"), Order::OldestFirst), odd);
        assert!(ids(Some("it's none"), Order::OldestFirst).is_empty());
    }

    #[test]
    fn what_the_host_answers_is_what_is_counted() {
        let of = |status, body: &str| outcome(status, body, "http://h");
        assert_eq!(of(202, r#"{"accepted":1,"rejected":0}"#).unwrap(), Outcome::Taken);
        assert_eq!(of(202, r#"{"accepted":1,"rejected":2}"#).unwrap(), Outcome::Partly);
        assert_eq!(
            of(422, r#"{"detail":"nothing was taken: x"}"#).unwrap(),
            Outcome::Refused("nothing was taken: x".into())
        );
        assert_eq!(of(409, r#"{"detail":"it cannot: too large"}"#).unwrap(), Outcome::Unsuited("too large".into()));
        assert_eq!(of(404, "").unwrap(), Outcome::Absent);
        assert!(of(401, "").unwrap_err().to_string().contains("--scope write"));
        // No answer of ours: a proxy's, say.
        assert!(of(502, "<html>").is_err());
    }
}
