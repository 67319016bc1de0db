//! `wheeltapper alert`.

use std::collections::BTreeSet;

use clap::Subcommand;
use wheeltapper_channels::{Attempt, Notification, Outcome};

use super::GlobalArgs;
use crate::{clock, notifier};

/// Channels of alerts: send a test message.
#[derive(Debug, clap::Args)]
pub(super) struct AlertCommand {
    #[command(subcommand)]
    action: AlertAction,
}

#[derive(Debug, Subcommand)]
enum AlertAction {
    /// Send a test message on a channel of the configuration, at once and once, and explain what is wrong if it fails
    Test {
        /// Name of the channel
        channel: String,
    },
}

impl AlertCommand {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        let AlertAction::Test { channel: name } = self.action;
        let alerts = global.load_config()?.alerts;
        let Some(settings) = alerts.channels.iter().find(|channel| channel.name == name) else {
            let names: Vec<&str> = alerts.channels.iter().map(|channel| channel.name.as_str()).collect();
            anyhow::ensure!(
                !names.is_empty(),
                "the configuration has no channels; add a [[alerts.channel]], as in `wheeltapper config example`"
            );
            anyhow::bail!("there is no channel {name:?}; the channels are {}", names.join(", "));
        };
        let (channel, wording) = notifier::open_channel(&alerts, settings)?;
        let now = clock::now();
        let attempt = channel.send(&Notification::test(&wording, &name, now), &BTreeSet::new(), now);
        report(&name, channel.kind_name(), &attempt)
    }
}

fn report(name: &str, kind: &str, attempt: &Attempt) -> anyhow::Result<()> {
    let sent = match &attempt.outcome {
        Outcome::Delivered => format!("{name} ({kind}): the test message is delivered"),
        Outcome::Accepted { note } => format!("{name} ({kind}): the test message is accepted; {note}"),
        Outcome::Failed { why, .. } | Outcome::Rejected { why } => anyhow::bail!("{name} ({kind}): {why}"),
    };
    if attempt.refused.is_empty() {
        println!("{sent}");
        return Ok(());
    }
    let refused: Vec<String> = attempt.refused.iter().map(|(recipient, why)| format!("{recipient}: {why}")).collect();
    anyhow::bail!("{sent}, but not by all recipients: {}", refused.join("; "))
}
