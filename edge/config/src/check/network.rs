//! Validation of listen addresses and connections: `[http]`, `[mqtt.broker]`, `[[mqtt.client]]` and `[[nats]]`.

use std::{collections::BTreeSet, path::Path};

use super::{
    Checker,
    address::{self, ListenAddress},
    topics,
};
use crate::{AccessMode, BrokerSettings, Config, HttpSource, ListenOverride, MqttClient, NatsServer};

const SOURCE_SECRET_HELP: &str =
    "write secret_env = \"VARIABLE\" (an environment variable that holds it) or secret_file = \"FILE\" (a file)";
const PASSWORD_HELP: &str =
    "write password_env = \"VARIABLE\" (an environment variable that holds it) or password_file = \"FILE\" (a file)";

pub(super) fn check(checker: &mut Checker<'_>, config: &Config, listen: &ListenOverride) {
    check_listeners(checker, config, listen);
    check_sources(checker, &config.http.sources);
    check_origins(checker, &config.http.origins);
    if let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) {
        self::check_broker(checker, broker);
        check_anonymous(checker, broker, config.access.mode);
    }
    let mut sessions = BTreeSet::new();
    for (number, client) in config.mqtt.clients.iter().enumerate() {
        let at = format!("mqtt.client.{number}");
        self::check_client(checker, &at, client);
        if !sessions.insert((client.url.as_str(), client.client_id.as_str())) {
            let message = format!(
                "two clients of one broker have the client_id {:?}: each would end the connection of the other",
                client.client_id
            );
            checker.report(
                &format!("{at}.url"),
                message,
                "give each its own client_id, or move all topics to one of them",
            );
        }
    }
    for (number, nats) in config.nats.iter().enumerate() {
        self::check_nats(checker, &format!("nats.{number}"), nats);
    }
}

/// Checks that the listen addresses are valid and do not conflict. Addresses from the command line are checked when the
/// host starts.
fn check_listeners(checker: &mut Checker<'_>, config: &Config, other: &ListenOverride) {
    let mut addresses = Vec::new();
    if other.http.is_none() {
        addresses.push(("http.listen", config.http.listen.as_str(), 8080));
    }
    if let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) {
        if other.mqtt.is_none() {
            addresses.push(("mqtt.broker.listen", &broker.listen, 1883));
        }
        addresses.extend(broker.tls_listen.as_deref().map(|listen| ("mqtt.broker.tls_listen", listen, 8883)));
    }
    let mut taken: Vec<(&str, ListenAddress)> = Vec::new();
    for (path, listen, port) in addresses {
        let address = match ListenAddress::parse(listen) {
            Ok(address) => address,
            Err(why) => {
                let message = format!("cannot listen on {listen:?}: it {why}");
                checker.report(path, message, &address::suggest_address(listen, port));
                continue;
            }
        };
        if let Some((other, _)) = taken.iter().find(|(_, other)| other.conflicts_with(&address)) {
            // Report the conflict at the address that the file sets, not at a default.
            let (at, with) = if checker.is_set(path) { (path, *other) } else { (*other, path) };
            let message = format!("{} has the same port as {}", display_path(at), display_path(with));
            let help = format!(
                "give each its own port; {} usually has {port}, and port 0 takes any free port",
                display_path(path)
            );
            checker.report(at, message, &help);
        }
        taken.push((path, address));
    }
}

/// Formats the path `mqtt.broker.listen` as `[mqtt.broker] listen`.
fn display_path(path: &str) -> String {
    path.rsplit_once('.').map_or_else(|| path.to_owned(), |(table, key)| format!("[{table}] {key}"))
}

fn check_sources(checker: &mut Checker<'_>, sources: &[HttpSource]) {
    let mut seen = BTreeSet::new();
    for (number, source) in sources.iter().enumerate() {
        let at = format!("http.source.{number}");
        check_name(checker, &at, &source.name, "the source", &mut seen);
        check_required_secret(
            checker,
            &at,
            &source.name,
            ("secret", SOURCE_SECRET_HELP),
            (source.secret_env.as_deref(), source.secret_file.as_deref()),
        );
    }
}

fn check_name<'a>(checker: &mut Checker<'_>, at: &str, name: &'a str, what: &str, seen: &mut BTreeSet<&'a str>) {
    let at = format!("{at}.name");
    if name.trim().is_empty() {
        checker.report(&at, format!("{what} has an empty name"), "write the name that it sends to the host");
    } else if !seen.insert(name) {
        checker.report(&at, format!("{what} {name} occurs twice"), "give each its own name");
    }
}

/// Checks that a secret is in either an environment variable or a file.
fn check_required_secret(
    checker: &mut Checker<'_>,
    at: &str,
    whose: &str,
    (what, help): (&str, &str),
    (variable, file): (Option<&str>, Option<&Path>),
) {
    match (variable, file) {
        (None, None) => checker.report(&format!("{at}.name"), format!("{whose} has no {what}"), help),
        _ => check_secret(checker, at, what, (variable, file)),
    }
}

/// Checks the environment variable and the file of an optional secret.
pub(super) fn check_secret(
    checker: &mut Checker<'_>,
    at: &str,
    what: &str,
    (variable, file): (Option<&str>, Option<&Path>),
) {
    if variable.is_some() && file.is_some() {
        let message = format!("both {what}_env and {what}_file are set, but only one of them can be used");
        checker.report(&format!("{at}.{what}_file"), message, "remove one of them");
    }
    if variable.is_some_and(|name| name.is_empty() || name.contains(['=', '\0', ' ', '$'])) {
        let help = "write just its name, such as \"PLC_PASSWORD\"; do not put the secret in this file";
        checker.report(&format!("{at}.{what}_env"), "this is not the name of an environment variable", help);
    }
    if file.is_some_and(|file| file.as_os_str().is_empty()) {
        checker.report(&format!("{at}.{what}_file"), "the path of the file is empty", "write the path of the file");
    }
}

fn check_origins(checker: &mut Checker<'_>, origins: &[String]) {
    for (number, origin) in origins.iter().enumerate().filter(|(_, origin)| *origin != "*") {
        let bare = origin.trim_end_matches('/');
        let path = bare.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#', ',']));
        let why = match address::check_url(bare, &["http", "https"]) {
            Ok(()) if path => "has a path",
            Ok(()) => continue,
            Err(why) => why,
        };
        let help = "write scheme, host and optional port, such as \"https://plant.example\", or \"*\" for all";
        checker.report(
            &format!("http.origins.{number}"),
            format!("{origin:?} {why}, so no browser would send it"),
            help,
        );
    }
}

/// Checks that anonymous clients are not allowed while everybody has to sign in.
fn check_anonymous(checker: &mut Checker<'_>, broker: &BrokerSettings, mode: AccessMode) {
    if mode == AccessMode::On && broker.anonymous == Some(true) {
        let help =
            "remove it, and give clients a [[mqtt.broker.user]] or an API key as password (`wheeltapper key add`)";
        let message = "anonymous clients are allowed, but [access] mode = \"on\" requires everybody to sign in";
        checker.report("mqtt.broker.anonymous", message, help);
    }
}

/// Checks a site: the first levels of an asset's id.
pub(super) fn check_site(checker: &mut Checker<'_>, at: &str, site: &str) {
    let well_formed = site.chars().count() <= 256 && site.split('/').all(|level| !level.is_empty());
    let invalid =
        |character: char| character.is_whitespace() || character.is_control() || matches!(character, '+' | '#');
    if !well_formed || site.contains(invalid) {
        let help = "write the first levels of an asset's path, such as \"plant\" or \"plant/hall-1\"";
        checker.report(at, format!("{site:?} is not a valid site"), help);
    }
}

fn check_broker(checker: &mut Checker<'_>, broker: &BrokerSettings) {
    let mut seen = BTreeSet::new();
    for (number, user) in broker.users.iter().enumerate() {
        let at = format!("mqtt.broker.user.{number}");
        check_name(checker, &at, &user.name, "the user", &mut seen);
        check_required_secret(
            checker,
            &at,
            &user.name,
            ("password", PASSWORD_HELP),
            (user.password_env.as_deref(), user.password_file.as_deref()),
        );
        if user.scopes.is_empty() {
            let help = "write \"ingest\" (publish), \"read\" (subscribe) or both, or leave scopes out for both";
            checker.report(&format!("{at}.scopes"), format!("{} has no scopes and may do nothing", user.name), help);
        }
        if user.sites.as_ref().is_some_and(Vec::is_empty) {
            let help = "write sites, such as [\"plant\"], or leave them out for all";
            checker.report(
                &format!("{at}.sites"),
                format!("{} has an empty list of sites and may use no topic", user.name),
                help,
            );
        }
        for (number, site) in user.sites.iter().flatten().enumerate() {
            self::check_site(checker, &format!("{at}.sites.{number}"), site);
        }
    }
    for (key, limit) in [
        ("max_connections", broker.max_connections),
        ("max_connections_per_address", broker.max_connections_per_address),
    ] {
        if !(1..=1_000_000).contains(&limit) {
            let message = format!("`{key}` must be from 1 to 1000000, but is {limit}");
            checker.report(&format!("mqtt.broker.{key}"), message, "leave it out for 10000, and 2000 from one address");
        }
    }
    match (&broker.tls_listen, &broker.tls) {
        (Some(_), None) => {
            let help = "add tls = { cert = \"cert.pem\", key = \"key.pem\" }";
            checker.report("mqtt.broker.tls_listen", "the certificate for TLS is missing", help);
        }
        (None, Some(_)) => {
            let help = "add tls_listen = \"0.0.0.0:8883\": without it the broker does not use TLS";
            checker.report("mqtt.broker.tls", "there is a certificate, but no listen address for TLS", help);
        }
        _ => {}
    }
    for (number, filter) in broker.ingest.iter().enumerate() {
        topics::check_filter(checker, &format!("mqtt.broker.ingest.{number}"), filter);
    }
}

fn check_client(checker: &mut Checker<'_>, at: &str, client: &MqttClient) {
    if let Err(why) = address::check_url(&client.url, &["mqtt", "tcp", "mqtts", "ssl"]) {
        let help = match why {
            "has a user name in it" => "write user = \"NAME\" and password_env = \"VARIABLE\" below it instead",
            _ => "write \"mqtt://host:1883\", or \"mqtts://host:8883\" with TLS",
        };
        checker.report(&format!("{at}.url"), format!("{:?} {why}", redact_credentials(&client.url)), help);
    }
    if client.qos > 2 {
        checker.report(
            &format!("{at}.qos"),
            "qos must be 0, 1 or 2",
            "write 1: each message is acknowledged once it is stored",
        );
    }
    if !matches!(client.version, 4 | 5) {
        checker.report(&format!("{at}.version"), "version must be 4 (MQTT 3.1.1) or 5", "leave it out for 5");
    }
    if client.client_id.is_empty() {
        checker.report(
            &format!("{at}.client_id"),
            "the client_id must not be empty, because it identifies the session",
            "leave it out for \"wheeltapper\"",
        );
    }
    if client.topics.is_empty() {
        checker.report(&format!("{at}.topics"), "the list of topics is empty", "write topics, such as [\"plant/#\"]");
    }
    for (number, topic) in client.topics.iter().enumerate() {
        topics::check_subscription(checker, &format!("{at}.topics.{number}"), topic);
    }
    let secret = (client.password_env.as_deref(), client.password_file.as_deref());
    check_secret(checker, at, "password", secret);
    let key = if client.password_env.is_some() { "password_env" } else { "password_file" };
    if client.version == 4 && client.user.is_none() && secret != (None, None) {
        checker.report(&format!("{at}.{key}"), "MQTT 3.1.1 allows no password without a user", "add user = \"NAME\"");
    }
    let secure = ["mqtts://", "ssl://"].iter().any(|scheme| client.url.to_ascii_lowercase().starts_with(scheme));
    if client.ca_file.is_some() && !secure {
        let help = "write mqtts:// in the url, usually with port 8883, or remove ca_file";
        checker.report(&format!("{at}.ca_file"), "ca_file is only used with TLS", help);
    }
}

/// Removes user name and password from a URL.
pub(super) fn redact_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://...{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}

fn check_nats(checker: &mut Checker<'_>, at: &str, nats: &NatsServer) {
    if let Err(why) = address::check_url(&nats.url, &["nats", "tls", "ws", "wss"]) {
        let help = match why {
            "has a user name in it" => "write user = \"NAME\" and password_env = \"VARIABLE\" below it instead",
            _ => "write \"nats://host:4222\", or \"tls://host:4222\"",
        };
        checker.report(&format!("{at}.url"), format!("{:?} {why}", redact_credentials(&nats.url)), help);
    }
    for (key, name) in [("stream", &nats.stream), ("durable", &nats.durable)] {
        let invalid =
            |character: char| character.is_whitespace() || character.is_control() || ".*>/\\".contains(character);
        if name.is_empty() || name.contains(invalid) {
            let message = format!("{name:?} is not a valid name of a {key} in NATS");
            checker.report(
                &format!("{at}.{key}"),
                message,
                "use letters, digits and dashes: no dots, wildcards, slashes or spaces",
            );
        }
    }
    for (number, subject) in nats.subjects.iter().enumerate() {
        topics::check_subject(checker, &format!("{at}.subjects.{number}"), subject);
    }
    check_secret(checker, at, "password", (nats.password_env.as_deref(), None));
    check_secret(checker, at, "token", (nats.token_env.as_deref(), None));
    match (&nats.user, &nats.password_env) {
        (Some(_), None) => {
            let help = "write password_env = \"VARIABLE\": an environment variable that holds it";
            checker.report(&format!("{at}.user"), "a user without a password is not sent to the server", help);
        }
        (None, Some(_)) => {
            let message = "a password without a user is not sent to the server";
            checker.report(&format!("{at}.password_env"), message, "add user = \"NAME\"");
        }
        _ => {}
    }
}
