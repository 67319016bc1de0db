//! Errors of channels, of routes to them, and of silences are reported with their position.

use crate::{assert_single_errors, errors_of};

fn channel(rest: &str) -> String {
    format!("[[alerts.channel]]\nname = \"c\"\n{rest}")
}

fn email(rest: &str) -> String {
    channel(&format!(
        "[alerts.channel.email]\nserver = \"mail\"\nfrom = \"a@b.example\"\nto = [\"c@b.example\"]\n{rest}"
    ))
}

#[test]
fn the_channels_of_the_example_are_valid() {
    let example = wheeltapper_config::EXAMPLE;
    let kinds = ["email", "slack", "teams", "pagerduty", "telegram", "ntfy", "sms", "webhook", "syslog", "mqtt"];
    for kind in kinds {
        // The table of the kind, without the comments.
        let (_, rest) = example.split_once(&format!("# [alerts.channel.{kind}]")).unwrap();
        let lines = rest.lines().skip(1).take_while(|line| line.starts_with("# ") && !line.starts_with("# ["));
        let lines: Vec<&str> = lines.filter(|line| line.contains(" = ")).map(|line| &line[2..]).collect();
        assert!(!lines.is_empty(), "{kind}");
        let text = channel(&format!("[alerts.channel.{kind}]\n{}\n", lines.join("\n")));
        assert_eq!(errors_of(&text), "nothing", "{text}");
    }
    let (_, rest) = example.split_once("# [[alerts.silence]]\n").unwrap();
    let lines: Vec<&str> = rest.lines().take_while(|line| line.starts_with("# ")).map(|line| &line[2..]).collect();
    assert_eq!(errors_of(&format!("[[alerts.silence]]\n{}\n", lines.join("\n"))), "nothing");
}

#[test]
fn errors_of_channels_are_reported() {
    let secret = "token_env = \"T\"\n";
    assert_single_errors(&[
        (&channel(""), "2:8", "has no kind"),
        (&email("[alerts.channel.ntfy]\ntopic = \"t\"\n"), "7:1", "two kinds: email and ntfy"),
        (&format!("{}{}", email(""), email("")), "8:8", "occurs twice"),
        ("[[alerts.channel]]\nname = \"a/b\"\n[alerts.channel.ntfy]\ntopic = \"t\"\n", "2:8", "cannot be the name"),
        (&channel("max_per_minute = 0\n[alerts.channel.ntfy]\ntopic = \"t\"\n"), "3:18", "from 1 to 600"),
        (&channel("group_wait = \"1 h\"\n[alerts.channel.ntfy]\ntopic = \"t\"\n"), "3:14", "up to 10 min"),
        (&channel("timeout = \"0s\"\n[alerts.channel.ntfy]\ntopic = \"t\"\n"), "3:11", "from 100ms"),
        (&channel("fallback = \"x\"\n[alerts.channel.ntfy]\ntopic = \"t\"\n"), "3:12", "does not exist"),
        (&channel("fallback = \"c\"\n[alerts.channel.ntfy]\ntopic = \"t\"\n"), "3:12", "lead back"),
        (&email("port = 0\n"), "7:8", "from 1 to 65535"),
        (&email("user = \"u\"\n"), "7:8", "no password"),
        (&email("password_env = \"P\"\n"), "7:16", "without a user"),
        (&email("security = \"none\"\nuser = \"u\"\npassword_env = \"P\"\n"), "7:12", "without encryption"),
        (&email("security = \"ssl\"\n"), "7:12", "known values"),
        (&email("password = \"hunter2\"\n"), "7:1", "password_env"),
        (&email("hello = \"a b\"\n"), "7:9", "not a name"),
        (&email("").replace("a@b.example", "alerts"), "5:8", "not an e-mail address"),
        (&email("").replace("\"c@b.example\"", "\"c@b.example\", \"c@b.example\""), "6:22", "occurs twice"),
        (&email("").replace("\"c@b.example\"", "\"x\\nBcc: c@b.example\""), "6:7", "not a recipient"),
        (&email("").replace("\"mail\"", "\"smtp://mail\""), "4:10", "just its name"),
        (&channel("[alerts.channel.slack]\n"), "3:1", "url_env"),
        (&channel("[alerts.channel.pagerduty]\nrouting_key_env = \"K\"\nurl = \"events\"\n"), "5:7", "https://"),
        (&channel(&format!("[alerts.channel.telegram]\n{secret}chats = []\n")), "5:9", "1 to 100 recipients"),
        (&channel(&format!("[alerts.channel.telegram]\n{secret}chats = [\"plant\"]\n")), "5:10", "not a recipient"),
        (&channel("[alerts.channel.ntfy]\ntopic = \"a/b\"\n"), "4:9", "letters"),
        (
            &channel(&format!(
                "[alerts.channel.sms]\naccount = \"AC1\"\n{secret}from = \"+31201234567\"\nto = [\"0612345678\"]\n"
            )),
            "7:7",
            "+316",
        ),
        (
            &channel(&format!(
                "[alerts.channel.voice]\naccount = \"AC1\"\n{secret}from = \"MG1\"\nto = [\"+31612345678\"]\n"
            )),
            "6:8",
            "phone number",
        ),
        (&channel("[alerts.channel.webhook]\n"), "3:1", "no URL"),
        (&channel("[alerts.channel.webhook]\nurl = \"https://h/\"\nurl_env = \"U\"\n"), "5:11", "twice"),
        (&channel("[alerts.channel.syslog]\nurl = \"siem:514\"\n"), "4:7", "udp://host:514"),
        (&channel("[alerts.channel.mqtt]\nurl = \"mqtt://b\"\ntopic = \"a/#\"\n"), "5:9", "without + and #"),
        (&channel("[alerts.channel.mqtt]\nurl = \"mqtt://b\"\ntopic = \"a/{machine}\"\n"), "5:9", "{asset}"),
    ]);
}

#[test]
fn errors_of_routes_to_channels_are_reported() {
    let ntfy = "[[alerts.channel]]\nname = \"phones\"\n[alerts.channel.ntfy]\ntopic = \"t\"\n";
    let route = |rest: &str| format!("[[alerts.route]]\nname = \"r\"\n{rest}{ntfy}");
    assert_eq!(errors_of(&route("channels = [\"phones\"]\n")), "nothing");
    assert_single_errors(&[
        (&route("channels = [\"phone\"]\n"), "3:13", "did you mean \"phones\"?"),
        (&route("channels = [\"phones\"]\nwebhook_env = \"HOOK\"\n"), "3:12", "both channels and a webhook"),
        (&route("channels = []\n"), "2:8", "or channels"),
        ("[[alerts.route]]\nname = \"r\"\nchannels = [\"mail\"]\n", "3:13", "add a [[alerts.channel]]"),
    ]);
}

#[test]
fn errors_of_times_and_hosts_are_reported() {
    let quiet = |rest: &str| {
        channel(&format!("[[alerts.channel.quiet_hours]]\n{rest}\n[alerts.channel.ntfy]\ntopic = \"t\"\n"))
    };
    assert_eq!(errors_of(&quiet("from = \"22:00\"\nto = \"24:00\"\nzone = \"America/New_York\"\n")), "nothing");
    let silence = |from: &str, to: &str| {
        format!(
            "[[alerts.silence]]\nsites = [\"a\"]\nreason = \"r\"\nauthor = \"b\"\nfrom = \"{from}\"\nto = \"{to}\"\n"
        )
    };
    let hosts = |host: &str, url: &str| {
        format!(
            "[alerts]\nallowed_hosts = [\"{host}\"]\n{}",
            channel(&format!("[alerts.channel.webhook]\nurl = \"{url}\"\n"))
        )
    };
    assert_eq!(errors_of(&hosts("*.plant.example", "https://hook.plant.example:8443/x")), "nothing");
    assert_single_errors(&[
        (&quiet("from = \"22:00\"\nto = \"24:01\""), "5:6", "the last one is \"24:00\""),
        (&quiet("from = \"24:00\"\nto = \"06:00\""), "4:8", "write \"00:00\""),
        (&quiet("from = \"22:00\"\nto = \"06:00\"\ndays = [\"Mon\"]"), "6:9", "did you mean \"mon\"?"),
        (&quiet("from = \"22:00\"\nto = \"06:00\"\nzone = \"Europe/Amsterdm\""), "6:8", "Europe/Berlin"),
        (&quiet("from = \"22:00\"\nto = \"06:00\"\nexcept = \"urgent\""), "6:10", "unknown"),
        ("[alerts]\nzone = \"CEST\"\n", "2:8", "IANA"),
        ("[alerts]\nurl = \"plant.example\"\n", "2:7", "https://"),
        (&silence("2026-12-01T22:00", "2026-12-02T06:00:00Z"), "5:8", "no time zone"),
        (&silence("2026-12-02T06:00:00Z", "2026-12-02T06:00:00Z"), "6:6", "ends before it begins"),
        (&silence("2026-12-01T22:00:00Z", "2026-12-02T06:00:00Z").replace("sites = [\"a\"]\n", ""), "1:1", "neither"),
        (&silence("2026-12-01T22:00:00Z", "2026-12-02T06:00:00Z").replace("\"r\"", "\"\""), "1:1", "no reason"),
        (&hosts("hook.plant.example", "https://evil.example/x"), "6:7", "not in allowed_hosts"),
        (
            &hosts("https://x/", "https://x/").replace("url = \"https://x/\"", "url_env = \"U\""),
            "2:18",
            "not the name of a host",
        ),
    ]);
}

/// Every path of a channel is relative to the configuration file, and checked on this machine.
#[test]
fn paths_of_channels_are_resolved_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let tables = [
        "email]\nserver = \"m\"\nfrom = \"a@b.example\"\nto = [\"a@b.example\"]\nuser = \"u\"\npassword_file = \"secret\"",
        "slack]\nurl_file = \"secret\"",
        "teams]\nurl_file = \"secret\"",
        "pagerduty]\nrouting_key_file = \"secret\"",
        "telegram]\ntoken_file = \"secret\"\nchats = [\"1\"]",
        "ntfy]\ntopic = \"t\"\ntoken_file = \"secret\"",
        "sms]\naccount = \"AC1\"\ntoken_file = \"secret\"\nfrom = \"+31201234567\"\nto = [\"+31612345678\"]",
        "voice]\naccount = \"AC1\"\ntoken_file = \"secret\"\nfrom = \"+31201234567\"\nto = [\"+31612345678\"]",
        "webhook]\nurl_file = \"secret\"\nsecret_file = \"secret\"\ntemplate_file = \"secret\"",
        "mqtt]\nurl = \"mqtt://b\"\ntopic = \"t\"\npassword_file = \"secret\"",
    ];
    let text: String = (0..)
        .zip(tables)
        .map(|(number, table)| {
            format!("[[alerts.channel]]\nname = \"{number}\"\nca_file = \"ca\"\n[alerts.channel.{table}\n")
        })
        .collect();
    let path = folder.path().join("wheeltapper.toml");
    std::fs::write(&path, text).unwrap();
    let config = wheeltapper_config::load(&path, &wheeltapper_config::ListenOverride::default()).unwrap();
    let count = format!("{:?}", config.alerts).matches(folder.path().to_str().unwrap()).count();
    assert_eq!(count, tables.len() + 12);
    assert_eq!(wheeltapper_config::check_environment(&config).len(), count, "none of the files exists");
    for (name, text) in [("secret", "hunter2"), ("ca", "-----BEGIN CERTIFICATE-----")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    assert_eq!(wheeltapper_config::check_environment(&config), []);
}
