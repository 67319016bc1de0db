//! `wheeltapper dead-letters`.

use std::{collections::BTreeMap, num::NonZeroUsize, thread, time::Duration};

use anyhow::{Context as _, bail, ensure};
use clap::{Subcommand, builder::PossibleValuesParser};
use serde_json::Value;
use wheeltapper_config::Config;
use wheeltapper_line_api::RejectionReason;
use wheeltapper_store::{Store, StoreError};

use super::{GlobalArgs, format_time};
use crate::clock;

/// Dead letters per page, without their payloads.
const PAGE_SIZE: usize = 500;
/// Attempts per dead letter while the host is busy.
const MAX_ATTEMPTS: u32 = 20;
/// Maximum wait between two attempts.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(30);

/// Dead letters: events and readings that were rejected, unchanged and with the reason.
#[derive(Debug, clap::Args)]
pub(super) struct DeadLettersCommand {
    #[command(subcommand)]
    action: DeadLettersAction,
}

#[derive(Debug, Subcommand)]
enum DeadLettersAction {
    /// Show dead letters, newest first
    List {
        /// Only those rejected for this reason
        #[arg(long, value_parser = reason_parser())]
        reason: Option<String>,
        /// Maximum number
        #[arg(long, default_value = "50")]
        limit: NonZeroUsize,
        /// Include the payload, as text
        #[arg(long)]
        payload: bool,
    },
    /// Have the running host process them again, oldest first
    ///
    /// A dead letter of which anything is accepted is deleted; the parts that are rejected again become a new one. If
    /// nothing is accepted, it stays unchanged with its reason.
    #[command(
        after_help = "Exit codes: 0 something was accepted, or there was nothing to replay; 1 nothing was accepted, or failed, see standard error; 2 wrong arguments or configuration"
    )]
    Replay {
        /// Only those rejected for this reason
        #[arg(long, value_parser = reason_parser())]
        reason: Option<String>,
        /// The running host; this must be its data folder [default: the address of `[http] listen`]
        #[arg(long, value_name = "URL")]
        to: Option<String>,
        /// An API key with the scope write, if the host requires one; create one with `wheeltapper key add`
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

impl DeadLettersCommand {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        match self.action {
            DeadLettersAction::List { reason, limit, payload } => {
                list(&global.open_store()?, reason.as_deref(), limit.get(), payload)
            }
            DeadLettersAction::Replay { reason, to, key } => {
                let to = to.map_or_else(|| global.load_config().map(|config| host_url(&config)), Ok)?;
                replay(&global.open_store()?, reason.as_deref(), &to, key.as_deref())
            }
            DeadLettersAction::Purge { older_than } => {
                let before = clock::now().saturating_sub(i64::try_from(older_than.as_nanos()).unwrap_or(i64::MAX));
                let deleted = Store::open(&global.store_path()?)?.purge_dead_letters(before)?;
                println!("{deleted} dead letters deleted");
                Ok(())
            }
        }
    }
}

/// Returns the URL at which the host with this configuration answers on this machine.
fn host_url(config: &Config) -> String {
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    let listen = &config.http.listen;
    // An address for all interfaces is no destination on every system.
    let reachable = match listen.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.clone(),
    };
    format!("{scheme}://{reachable}")
}

fn list(store: &Store, reason: Option<&str>, limit: usize, payload: bool) -> anyhow::Result<()> {
    let mut is_empty = true;
    for dead_letter in DeadLetterPages::new(store, reason, SortOrder::NewestFirst).take(limit) {
        let DeadLetterSummary { id, time, source, reason, message, .. } = dead_letter?;
        is_empty = false;
        println!("{}  {reason:<15} {source}  {message}", format_time(time));
        // One payload at a time: each can be a megabyte.
        if payload && let Some(whole) = store.dead_letter(&id)? {
            println!("    {}", String::from_utf8_lossy(&whole.payload).trim_end());
        }
    }
    if is_empty {
        println!("no dead letters");
    }
    Ok(())
}

fn replay(store: &Store, reason: Option<&str>, to: &str, key: Option<&str>) -> anyhow::Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let host = HostClient { agent, url: to.trim_end_matches('/').to_owned(), key };
    let mut totals = ReplayTotals::default();
    let sent = replay_all(store, reason, &host, &mut totals);
    // Print the totals also after a failure.
    totals.print()?;
    sent?;
    let ReplayTotals { accepted, partly_accepted, rejected, not_found, .. } = totals;
    ensure!(
        accepted + partly_accepted > 0 || not_found == 0,
        "the host at {to} knows none of these dead letters; name the host that runs on this data folder with --to, or the folder with --data"
    );
    ensure!(
        accepted + partly_accepted > 0 || rejected == 0,
        "nothing was accepted; the dead letters are kept: fix the causes that their messages name first"
    );
    Ok(())
}

fn replay_all(
    store: &Store,
    reason: Option<&str>,
    host: &HostClient<'_>,
    totals: &mut ReplayTotals,
) -> anyhow::Result<()> {
    // Parts that are rejected again become new dead letters, which must not be replayed in this run.
    let newest = DeadLetterPages::new(store, None, SortOrder::NewestFirst).next().transpose()?;
    let Some(newest) = newest else { return Ok(()) };
    // Sparkplug births come before the data that needs them.
    for dead_letter in DeadLetterPages::new(store, reason, SortOrder::OldestFirst) {
        let dead_letter = dead_letter?;
        if dead_letter.row > newest.row {
            break;
        }
        match host.replay_dead_letter(&dead_letter.id)? {
            ReplayOutcome::Accepted => totals.accepted += 1,
            ReplayOutcome::PartlyAccepted => totals.partly_accepted += 1,
            ReplayOutcome::Rejected(why) => {
                totals.rejected += 1;
                totals.first_rejection.get_or_insert(why);
            }
            ReplayOutcome::NotReplayable(why) => *totals.not_replayable.entry(why).or_default() += 1,
            ReplayOutcome::NotFound => totals.not_found += 1,
        }
    }
    Ok(())
}

/// Totals of a replay.
#[derive(Debug, Default)]
struct ReplayTotals {
    accepted: u64,
    partly_accepted: u64,
    rejected: u64,
    first_rejection: Option<String>,
    /// Dead letters that cannot be replayed, by reason.
    not_replayable: BTreeMap<String, u64>,
    not_found: u64,
}

impl ReplayTotals {
    fn print(&self) -> anyhow::Result<()> {
        println!("{} accepted, {} rejected again", self.accepted + self.partly_accepted, self.rejected);
        if self.partly_accepted > 0 {
            println!("{} of them accepted in part: the rejected parts are new dead letters", self.partly_accepted);
        }
        if let Some(why) = &self.first_rejection {
            println!("{} unchanged; the first was rejected again: {why}", self.rejected);
        }
        for (why, count) in &self.not_replayable {
            println!("{count} kept: {why}");
        }
        if self.not_found > 0 {
            println!("{} not known to the host", self.not_found);
        }
        Ok(())
    }
}

/// The host's result for one dead letter.
#[derive(Debug, PartialEq, Eq)]
enum ReplayOutcome {
    Accepted,
    /// The rejected parts are a new dead letter.
    PartlyAccepted,
    /// It is kept unchanged; the host's reason.
    Rejected(String),
    /// It cannot be replayed; the reason.
    NotReplayable(String),
    NotFound,
}

/// Client of the running host. The host uses its own copy of the dead letter, with topic, format and sensor.
struct HostClient<'a> {
    agent: ureq::Agent,
    url: String,
    key: Option<&'a str>,
}

impl HostClient<'_> {
    /// Replays one dead letter; waits while the host is busy.
    fn replay_dead_letter(&self, id: &str) -> anyhow::Result<ReplayOutcome> {
        let url = format!("{}/api/v1/dead-letters/{id}/replay", self.url);
        for _ in 0..MAX_ATTEMPTS {
            let mut request = self.agent.post(&url);
            if let Some(key) = self.key {
                request = request.header("X-API-Key", key);
            }
            let mut answer = request.send_empty().with_context(|| format!("sending to {url}; is the host running?"))?;
            let status = answer.status().as_u16();
            let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let body = answer.body_mut().read_to_string().unwrap_or_default();
            if matches!(status, 429 | 503) {
                thread::sleep(Duration::from_secs(after.unwrap_or(1).max(1)).min(MAX_RETRY_WAIT));
                continue;
            }
            return parse_outcome(status, &body, &url);
        }
        bail!("{url} is busy for too long; try again later: dead letters that were not accepted are kept")
    }
}

fn parse_outcome(status: u16, body: &str, url: &str) -> anyhow::Result<ReplayOutcome> {
    let answer_body: Value = serde_json::from_str(body).unwrap_or_default();
    let detail = || answer_body["detail"].as_str().unwrap_or(body).to_owned();
    Ok(match status {
        202 if answer_body["rejected"] == 0 => ReplayOutcome::Accepted,
        202 => ReplayOutcome::PartlyAccepted,
        404 => ReplayOutcome::NotFound,
        // The detail starts with a prefix common to all of them.
        409 => ReplayOutcome::NotReplayable(detail().split_once(": ").map_or_else(detail, |(_, why)| why.to_owned())),
        422 => ReplayOutcome::Rejected(detail()),
        401 | 403 => bail!(
            "{url} answered {status}: {}; give an API key with the scope write with --key, `wheeltapper key add NAME --scope write` makes one",
            detail()
        ),
        _ => bail!("{url} answered {status}: {}", detail()),
    })
}

/// Sort order of the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SortOrder {
    OldestFirst,
    NewestFirst,
}

/// A dead letter without its payload.
#[derive(Debug)]
struct DeadLetterSummary {
    /// Row numbers increase in the order of storage; times are those of the rejected data.
    row: i64,
    id: String,
    time: i64,
    source: String,
    reason: String,
    message: String,
}

/// Iterates over the dead letters of a store, page by page.
struct DeadLetterPages<'a> {
    store: &'a Store,
    reason: Option<String>,
    order: SortOrder,
    /// Row of the last dead letter of the previous page.
    after: Option<i64>,
    page: std::vec::IntoIter<DeadLetterSummary>,
    ended: bool,
}

impl<'a> DeadLetterPages<'a> {
    fn new(store: &'a Store, reason: Option<&str>, order: SortOrder) -> Self {
        let page = Vec::new().into_iter();
        Self { store, reason: reason.map(str::to_owned), order, after: None, page, ended: false }
    }

    fn next_page(&self) -> Result<Vec<DeadLetterSummary>, StoreError> {
        let (direction, beyond) = match self.order {
            SortOrder::OldestFirst => ("ASC", ">"),
            SortOrder::NewestFirst => ("DESC", "<"),
        };
        let mut conditions = Vec::new();
        if let Some(row) = self.after {
            conditions.push(format!("rowid {beyond} {row}"));
        }
        if let Some(reason) = &self.reason {
            conditions.push(format!("reason = {}", quote_sql(reason)));
        }
        let clause = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        let (_, rows) = self.store.query_sql(&format!(
            "SELECT rowid, id, time, source, reason, message FROM dead_letters {clause} \
             ORDER BY rowid {direction} LIMIT {PAGE_SIZE}"
        ))?;
        Ok(rows.into_iter().filter_map(parse_summary).collect())
    }
}

impl Iterator for DeadLetterPages<'_> {
    type Item = Result<DeadLetterSummary, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.ended {
            match self.next_page() {
                Ok(page) => {
                    self.ended = page.len() < PAGE_SIZE;
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

fn parse_summary(row: Vec<Value>) -> Option<DeadLetterSummary> {
    let [row, id, time, source, reason, message] = <[Value; 6]>::try_from(row).ok()?;
    let text = |value: Value| value.as_str().map(str::to_owned);
    Some(DeadLetterSummary {
        row: row.as_i64()?,
        id: text(id)?,
        time: time.as_i64()?,
        source: text(source)?,
        reason: text(reason)?,
        message: text(message)?,
    })
}

/// Quotes a text for SQL.
fn quote_sql(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Parser for the name of a reason.
fn reason_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(RejectionReason::ALL.map(RejectionReason::name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use wheeltapper_store::{Commit, DeadLetter};

    use super::*;

    fn store(count: usize) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s.db")).unwrap();
        let dead_letters: Vec<DeadLetter> = (0..count)
            .map(|number| DeadLetter {
                id: format!("{number:06}'"),
                // Times are in the opposite order, and several are equal.
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
        store.commit(&Commit { partition: 1, dead_letters: &dead_letters, ..Commit::default() }).unwrap();
        (folder, store)
    }

    #[test]
    fn all_dead_letters_are_read_once_and_in_order() {
        let (_folder, store) = store(2 * PAGE_SIZE + 3);
        let ids = |reason, order| -> Vec<String> {
            DeadLetterPages::new(&store, reason, order).map(|dead_letter| dead_letter.unwrap().id).collect()
        };
        let all: Vec<String> = (0..2 * PAGE_SIZE + 3).map(|number| format!("{number:06}'")).collect();
        assert_eq!(ids(None, SortOrder::OldestFirst), all);
        assert_eq!(ids(None, SortOrder::NewestFirst), all.iter().rev().cloned().collect::<Vec<_>>());
        let odd: Vec<String> = all.into_iter().skip(1).step_by(2).collect();
        assert_eq!(ids(Some("in-future"), SortOrder::OldestFirst), odd);
        assert!(ids(Some("it's none"), SortOrder::OldestFirst).is_empty());
    }

    #[test]
    fn the_url_of_the_host_comes_from_the_configuration() {
        let url = |listen: &str| {
            let mut config = Config::default();
            config.http.listen = listen.into();
            host_url(&config)
        };
        assert_eq!(url("127.0.0.1:9000"), "http://127.0.0.1:9000");
        assert_eq!(url("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80"), "http://[::1]:80");
    }

    #[test]
    fn replies_of_the_host_are_parsed_by_status() {
        let outcome = |status, body: &str| parse_outcome(status, body, "http://h");
        assert_eq!(outcome(202, r#"{"accepted":1,"rejected":0}"#).unwrap(), ReplayOutcome::Accepted);
        assert_eq!(outcome(202, r#"{"accepted":1,"rejected":2}"#).unwrap(), ReplayOutcome::PartlyAccepted);
        assert_eq!(
            outcome(422, r#"{"detail":"nothing was taken: x"}"#).unwrap(),
            ReplayOutcome::Rejected("nothing was taken: x".into())
        );
        assert_eq!(
            outcome(409, r#"{"detail":"it cannot: too large"}"#).unwrap(),
            ReplayOutcome::NotReplayable("too large".into())
        );
        assert_eq!(outcome(404, "").unwrap(), ReplayOutcome::NotFound);
        assert!(outcome(401, "").unwrap_err().to_string().contains("--scope write"));
        // Not an answer of the host, but for example of a proxy.
        assert!(outcome(502, "<html>").is_err());
    }
}
