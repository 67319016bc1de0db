//! Validation of `[[alerts.channel]]`, of routes to channels, and of `[[alerts.silence]]`.

use std::collections::BTreeSet;

use super::{Checker, address, channel_kinds, network, stages::SEVERITIES};
use crate::{
    AlertChannel, AlertRoute, AlertSettings, QuietHours, Silence, parse_instant, parse_time_of_day, parse_weekday,
};

const KINDS: [&str; 11] =
    ["email", "slack", "teams", "pagerduty", "telegram", "ntfy", "sms", "voice", "webhook", "syslog", "mqtt"];
const TIME_HELP: &str = "write it as \"2026-12-01T22:00:00+01:00\" or \"2026-12-01T22:00[Europe/Berlin]\"";
const ZONE_HELP: &str = "write an IANA name such as \"Europe/Berlin\"";

pub(super) fn check(checker: &mut Checker<'_>, alerts: &AlertSettings) {
    if let Some(url) = &alerts.url
        && let Err(why) = address::check_url(url, &["http", "https"])
    {
        let help = "write the address of the dashboard, such as \"https://wheeltapper.plant.example\"";
        checker.report("alerts.url", format!("{url:?} {why}"), help);
    }
    check_zone(checker, "alerts.zone", alerts.zone.as_deref());
    for (number, host) in alerts.allowed_hosts.iter().flatten().enumerate() {
        check_allowed_host(checker, &format!("alerts.allowed_hosts.{number}"), host);
    }
    let mut names = BTreeSet::new();
    for (number, channel) in alerts.channels.iter().enumerate() {
        let at = format!("alerts.channel.{number}");
        check_name(checker, &at, &channel.name, &mut names);
        check_channel(checker, &at, channel);
        check_hosts(checker, &at, channel, alerts.allowed_hosts.as_deref());
    }
    check_fallbacks(checker, &alerts.channels);
    for (number, route) in alerts.routes.iter().enumerate() {
        check_route(checker, &format!("alerts.route.{number}"), route, &alerts.channels);
    }
    for (number, silence) in alerts.silences.iter().enumerate() {
        check_silence(checker, &format!("alerts.silence.{number}"), silence);
    }
}

fn check_zone(checker: &mut Checker<'_>, at: &str, zone: Option<&str>) {
    if let Some(zone) = zone.filter(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
        checker.report(at, format!("the time zone {zone:?} is unknown"), ZONE_HELP);
    }
}

fn check_allowed_host(checker: &mut Checker<'_>, at: &str, host: &str) {
    let bare = host.strip_prefix("*.").unwrap_or(host);
    if bare.is_empty() || bare.contains(['/', '*', ' ', '@']) {
        let help = "write a name such as \"hooks.slack.com\", or \"*.example.com\" for all hosts of a domain";
        checker.report(at, format!("{host:?} is not the name of a host"), help);
    }
}

fn check_name<'a>(checker: &mut Checker<'_>, at: &str, name: &'a str, names: &mut BTreeSet<&'a str>) {
    let at = format!("{at}.name");
    if name.trim().is_empty() || name.contains('/') || name.chars().any(char::is_control) || name.len() > 100 {
        let help = "write up to 100 characters without a slash, such as \"maintenance-mail\"";
        checker.report(&at, format!("{name:?} cannot be the name of a channel"), help);
    } else if !names.insert(name) {
        checker.report(&at, format!("the channel {name} occurs twice"), "give each its own name");
    }
}

fn check_channel(checker: &mut Checker<'_>, at: &str, channel: &AlertChannel) {
    let kinds = kinds(channel);
    match kinds.as_slice() {
        [] => {
            let help = format!("add one of the tables [alerts.channel.KIND]; the kinds are {}", KINDS.join(", "));
            checker.report(&format!("{at}.name"), format!("the channel {} has no kind", channel.name), &help);
        }
        [_] => {}
        [_, second, ..] => {
            let message = format!("the channel {} has two kinds: {}", channel.name, kinds.join(" and "));
            checker.report(&format!("{at}.{second}"), message, "write a channel for each");
        }
    }
    if !(1..=600).contains(&channel.max_per_minute) {
        let message = format!("`max_per_minute` must be from 1 to 600, but is {}", channel.max_per_minute);
        checker.report(&format!("{at}.max_per_minute"), message, "leave it out for 10");
    }
    let wait = format!("{at}.group_wait");
    checker.check_duration(&wait, channel.group_wait, (0.0, 600.0), "up to 10 min", "leave it out for 5s");
    let timeout = format!("{at}.timeout");
    checker.check_duration(&timeout, channel.timeout, (0.1, 60.0), "from 100ms to 60s", "leave it out for 10s");
    for (number, quiet) in channel.quiet_hours.iter().enumerate() {
        check_quiet_hours(checker, &format!("{at}.quiet_hours.{number}"), quiet);
    }
    channel_kinds::check_kind(checker, at, channel);
}

/// The kinds whose tables are present.
fn kinds(channel: &AlertChannel) -> Vec<&'static str> {
    let present = [
        channel.email.is_some(),
        channel.slack.is_some(),
        channel.teams.is_some(),
        channel.pagerduty.is_some(),
        channel.telegram.is_some(),
        channel.ntfy.is_some(),
        channel.sms.is_some(),
        channel.voice.is_some(),
        channel.webhook.is_some(),
        channel.syslog.is_some(),
        channel.mqtt.is_some(),
    ];
    KINDS.into_iter().zip(present).filter_map(|(kind, is_present)| is_present.then_some(kind)).collect()
}

/// Checks that the hosts that the file names are allowed. Those of secret URLs are checked when the host starts.
fn check_hosts(checker: &mut Checker<'_>, at: &str, channel: &AlertChannel, allowed: Option<&[String]>) {
    let Some(allowed) = allowed else { return };
    let urls = [
        ("pagerduty.url", channel.pagerduty.as_ref().map(|settings| settings.url.as_str())),
        ("telegram.url", channel.telegram.as_ref().map(|settings| settings.url.as_str())),
        ("ntfy.url", channel.ntfy.as_ref().map(|settings| settings.url.as_str())),
        ("sms.url", channel.sms.as_ref().map(|settings| settings.url.as_str())),
        ("voice.url", channel.voice.as_ref().map(|settings| settings.url.as_str())),
        ("webhook.url", channel.webhook.as_ref().and_then(|settings| settings.url.as_deref())),
        ("syslog.url", channel.syslog.as_ref().map(|settings| settings.url.as_str())),
        ("mqtt.url", channel.mqtt.as_ref().map(|settings| settings.url.as_str())),
        ("email.server", channel.email.as_ref().map(|settings| settings.server.as_str())),
    ];
    for (key, url) in urls {
        let Some(host) = url.and_then(address::host_of) else { continue };
        if !is_allowed(host, allowed) {
            let help = format!("add {host:?} to allowed_hosts if alerts may be sent there");
            checker.report(&format!("{at}.{key}"), format!("{host} is not in allowed_hosts of [alerts]"), &help);
        }
    }
}

fn is_allowed(host: &str, allowed: &[String]) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    allowed.iter().map(|allowed| allowed.trim_end_matches('.').to_ascii_lowercase()).any(|allowed| {
        match allowed.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
            None => allowed == host,
        }
    })
}

/// Checks that each fallback exists and that they form no circle.
fn check_fallbacks(checker: &mut Checker<'_>, channels: &[AlertChannel]) {
    let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    for (number, channel) in channels.iter().enumerate() {
        let Some(fallback) = &channel.fallback else { continue };
        let at = format!("alerts.channel.{number}.fallback");
        if !check_known(checker, &at, fallback, &names, &format!("the channel {fallback} does not exist")) {
            continue;
        }
        let (mut next, mut steps) = (Some(fallback.as_str()), 0);
        while let Some(name) = next.filter(|name| *name != channel.name && steps <= channels.len()) {
            next = channels.iter().find(|other| other.name == name).and_then(|other| other.fallback.as_deref());
            steps += 1;
        }
        if next == Some(channel.name.as_str()) {
            let message = format!("the fallbacks of {} lead back to it", channel.name);
            checker.report(&at, message, "name a channel that does not fall back to this one");
        }
    }
}

fn check_known(checker: &mut Checker<'_>, at: &str, name: &str, known: &[&str], message: &str) -> bool {
    if known.is_empty() {
        checker.report(at, message, "add a [[alerts.channel]] with this name");
        return false;
    }
    checker.check_one_of(at, name, known, message)
}

fn check_route(checker: &mut Checker<'_>, at: &str, route: &AlertRoute, channels: &[AlertChannel]) {
    let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    for (number, channel) in route.channels.iter().enumerate() {
        let message = format!("route {}: the channel {channel} does not exist", route.name);
        check_known(checker, &format!("{at}.channels.{number}"), channel, &names, &message);
    }
}

fn check_quiet_hours(checker: &mut Checker<'_>, at: &str, quiet: &QuietHours) {
    for (key, time) in [("from", &quiet.from), ("to", &quiet.to)] {
        if parse_time_of_day(time).is_none() {
            let message = format!("{time:?} is not a time of the day");
            checker.report(&format!("{at}.{key}"), message, "write it as \"22:00\"; the last one is \"24:00\"");
        }
    }
    if parse_time_of_day(&quiet.from) == Some(crate::DAY_MINUTES) {
        checker.report(&format!("{at}.from"), "quiet hours cannot begin at 24:00", "write \"00:00\"");
    }
    for (number, day) in quiet.days.iter().enumerate() {
        if parse_weekday(day).is_none() {
            let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            checker.check_one_of(&format!("{at}.days.{number}"), day, &days, &format!("the day {day:?} is unknown"));
        }
    }
    check_zone(checker, &format!("{at}.zone"), quiet.zone.as_deref());
    let message = format!("the severity `{}` is unknown", quiet.except);
    checker.check_one_of(&format!("{at}.except"), &quiet.except, &SEVERITIES, &message);
}

fn check_silence(checker: &mut Checker<'_>, at: &str, silence: &Silence) {
    for (key, text) in [("author", &silence.author), ("reason", &silence.reason)] {
        if text.trim().is_empty() {
            let message = format!("the silence has no {key}");
            checker.report(at, message, &format!("add {key} = \"...\", so that others understand it"));
        }
    }
    if silence.sites.is_empty() && silence.machines.is_empty() {
        checker.report(
            at,
            "the silence names neither sites nor machines",
            "add sites = [\"plant\"] or machines = [\"plant/hall-1/pump-7\"]",
        );
    }
    for (number, site) in silence.sites.iter().enumerate() {
        network::check_site(checker, &format!("{at}.sites.{number}"), site);
    }
    let mut times = Vec::new();
    for (key, text) in [("from", &silence.from), ("to", &silence.to)] {
        match parse_instant(text) {
            Ok(time) => times.push(time),
            Err(_) if text.is_empty() => checker.report(at, format!("the silence has no `{key}`"), TIME_HELP),
            Err(why) => checker.report(&format!("{at}.{key}"), why, TIME_HELP),
        }
    }
    if let [from, to] = times.as_slice()
        && to <= from
    {
        checker.report(&format!("{at}.to"), "the silence ends before it begins", "write an end after `from`");
    }
}
