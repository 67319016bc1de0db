//! One notification that summarises many messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AlertMessage, Event, Fact, Notification, Section, Severity, Wording, clock::local_time, text::one_line};

/// Maximum number of sites that are counted by name.
const MAX_SITES: usize = 50;
/// Maximum number of alerts that are named.
const MAX_NAMED: usize = 20;
/// Sites named in the subject.
const SUBJECT_SITES: usize = 3;
/// Maximum length of a named alert, in characters.
const MAX_TITLE: usize = 160;

/// Counts of messages, and the most severe of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    /// By event.
    events: BTreeMap<Event, usize>,
    /// By severity, of those that did not resolve.
    severities: BTreeMap<Severity, usize>,
    /// By the first level of the asset; sites beyond the maximum are under an empty name.
    sites: BTreeMap<String, usize>,
    /// The time of the first and of the last change.
    times: Option<(i64, i64)>,
    /// The most severe, first the newest.
    named: Vec<Named>,
    routes: BTreeMap<String, usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Named {
    severity: Severity,
    event: Event,
    time: i64,
    text: String,
}

impl Summary {
    pub(super) fn count(&self) -> usize {
        self.events.values().sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn add(&mut self, message: &AlertMessage) {
        *self.events.entry(message.event).or_default() += 1;
        if message.event != Event::Resolved {
            *self.severities.entry(message.severity).or_default() += 1;
        }
        let site = message.asset.split('/').next().unwrap_or_default();
        add_bounded(&mut self.sites, site, 1);
        add_bounded(&mut self.routes, &message.route, 1);
        let (first, last) = self.times.unwrap_or((message.updated, message.updated));
        self.times = Some((first.min(message.updated), last.max(message.updated)));
        // Titles begin with the name of the machine, which is the last level of the asset.
        let machine = message.asset.rsplit('/').next().unwrap_or_default();
        let title = message.title.strip_prefix(machine).and_then(|rest| rest.strip_prefix(": "));
        let text = format!("{}: {}", message.asset, title.unwrap_or(&message.title));
        let text = crate::text::clamp_plain(&one_line(&text), MAX_TITLE, crate::text::Unit::Characters);
        self.named.push(Named { severity: message.severity, event: message.event, time: message.updated, text });
        self.sort_named();
    }

    fn sort_named(&mut self) {
        // Resolved alerts last; then the most severe and the newest first.
        self.named.sort_by_key(|named| {
            (named.event == Event::Resolved, std::cmp::Reverse((named.severity, named.time)), named.text.clone())
        });
        self.named.truncate(MAX_NAMED);
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (event, count) in other.events {
            *self.events.entry(event).or_default() += count;
        }
        for (severity, count) in other.severities {
            *self.severities.entry(severity).or_default() += count;
        }
        for (site, count) in other.sites {
            add_bounded(&mut self.sites, &site, count);
        }
        for (route, count) in other.routes {
            add_bounded(&mut self.routes, &route, count);
        }
        self.times = match (self.times, other.times) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (own, other) => own.or(other),
        };
        self.named.extend(other.named);
        self.sort_named();
    }

    fn event(&self, event: Event) -> usize {
        self.events.get(&event).copied().unwrap_or_default()
    }

    /// Writes the summary in words.
    pub(super) fn notification(&self, key: &str, wording: &Wording) -> Notification {
        let count = self.count();
        let severity = self.severities.keys().next_back().copied().unwrap_or(Severity::Low);
        let critical = self.severities.get(&Severity::Critical).copied().unwrap_or_default();
        let sites = self.site_names();
        let critical = if critical > 0 { format!(", {critical} critical") } else { String::new() };
        let (first, last) = self.times.unwrap_or_default();
        let mut facts = vec![
            Fact { label: "Alerts", value: self.events_text() },
            Fact { label: "Severity", value: self.severities_text() },
            Fact { label: "Sites", value: self.sites_text() },
            Fact { label: "From", value: local_time(first, &wording.zone) },
        ];
        if last != first {
            facts.push(Fact { label: "To", value: local_time(last, &wording.zone) });
        }
        facts.retain(|fact| !fact.value.is_empty());
        let mut lines: Vec<String> = self.named.iter().map(named_text).collect();
        if count > self.named.len() {
            lines.push(format!("and {} more", count - self.named.len()));
        }
        Notification {
            key: key.to_owned(),
            thread: key.to_owned(),
            route: self.routes.keys().cloned().collect::<Vec<_>>().join(", "),
            event: Event::Summary,
            severity,
            asset: sites.clone(),
            subject: one_line(&format!("{count} alerts{critical}: {sites}")),
            facts,
            sections: vec![Section { heading: "Most severe", text: lines.join("\n") }],
            link: wording.link("alerts", ""),
            time: last,
            fault_mode: None,
            alert: json!({ "count": count, "events": self.events, "severities": self.severities, "sites": self.sites }),
        }
    }

    /// The sites with the most alerts.
    fn site_names(&self) -> String {
        let mut sites: Vec<(&String, &usize)> = self.sites.iter().filter(|(site, _)| !site.is_empty()).collect();
        sites.sort_by_key(|(site, count)| (std::cmp::Reverse(**count), (*site).clone()));
        let names: Vec<&str> = sites.iter().take(SUBJECT_SITES).map(|(site, _)| site.as_str()).collect();
        match self.sites.len().saturating_sub(names.len()) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    fn events_text(&self) -> String {
        let events = [(Event::Opened, "opened"), (Event::Raised, "got worse"), (Event::Resolved, "resolved")];
        let present = events.iter().map(|(event, word)| (self.event(*event), word)).filter(|(count, _)| *count > 0);
        present.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }

    fn severities_text(&self) -> String {
        let severities = self.severities.iter().rev();
        severities.map(|(severity, count)| format!("{count} {}", severity.name())).collect::<Vec<_>>().join(", ")
    }

    fn sites_text(&self) -> String {
        let mut sites: Vec<(&String, &usize)> = self.sites.iter().collect();
        sites.sort_by_key(|(site, count)| (site.is_empty(), std::cmp::Reverse(**count), (*site).clone()));
        let named = |(site, count): (&String, &usize)| {
            let site = if site.is_empty() { "others" } else { site };
            format!("{site} {count}")
        };
        sites.into_iter().take(10).map(named).collect::<Vec<_>>().join(", ")
    }
}

fn named_text(named: &Named) -> String {
    match named.event {
        Event::Resolved => format!("{} (resolved)", named.text),
        _ => named.text.clone(),
    }
}

/// Counts under a name, or under an empty one if there are too many names.
fn add_bounded(counts: &mut BTreeMap<String, usize>, name: &str, count: usize) {
    let is_room = counts.len() < MAX_SITES || counts.contains_key(name);
    let name = if is_room { crate::text::clamp_plain(name, 100, crate::text::Unit::Characters) } else { String::new() };
    *counts.entry(name).or_default() += count;
}
