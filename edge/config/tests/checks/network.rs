//! Validation of listen addresses, connections to servers, and secrets.

use wheeltapper_config::{ListenOverride, load};

use crate::{assert_single_errors, errors_of};

#[test]
fn invalid_listen_addresses_are_reported() {
    assert_single_errors(&[
        ("[http]\nlisten = \"127.0.0.1\"\n", "2:10", "write \"127.0.0.1:8080\""),
        ("[http]\nlisten = \"localhost\"\n", "2:10", "write \"localhost:8080\""),
        ("[http]\nlisten = \":9000\"\n", "2:10", "write \"0.0.0.0:9000\""),
        ("[http]\nlisten = \"127.0.0.1:80800\"\n", "2:10", "65535"),
        ("[mqtt.broker]\nlisten = \"0.0.0.0\"\n", "2:10", "write \"0.0.0.0:1883\""),
        ("[mqtt.broker]\ntls_listen = \"[::]\"\ntls = { cert = \"c\", key = \"k\" }\n", "2:14", "write \"[::]:8883\""),
        ("[access.audit]\nsyslog = \"udp://siem plant:514\"\n", "2:10", "udp://host:514"),
        ("[access.audit]\nsyslog = \"udp://siem:0\"\n", "2:10", "udp://host:514"),
    ]);
    for good in ["localhost:8080", "0.0.0.0:80", "[::1]:0", "plant.example:443"] {
        assert_eq!(errors_of(&format!("[http]\nlisten = {good:?}\n")), "nothing");
    }
    assert_eq!(errors_of("[mqtt.broker]\nenabled = false\nlisten = \"\"\n"), "nothing");
}

#[test]
fn two_listeners_on_one_port_are_reported() {
    let tls = "tls = { cert = \"c\", key = \"k\" }";
    assert_single_errors(&[
        ("[http]\nlisten = \"0.0.0.0:1883\"\n", "2:10", "as [mqtt.broker] listen"),
        ("[mqtt.broker]\nlisten = \"127.0.0.1:8080\"\n", "2:10", "as [http] listen"),
        ("[http]\nlisten = \"localhost:90\"\n[mqtt.broker]\nlisten = \"127.0.0.1:90\"\n", "4:10", "as [http] listen"),
        (&format!("[mqtt.broker]\ntls_listen = \"0.0.0.0:1883\"\n{tls}\n"), "2:14", "as [mqtt.broker] listen"),
    ]);
    for good in [
        "[http]\nlisten = \"127.0.0.1:1883\"\n[mqtt.broker]\nenabled = false\n",
        "[http]\nlisten = \"127.0.0.1:0\"\n[mqtt.broker]\nlisten = \"127.0.0.1:0\"\n",
        "[http]\nlisten = \"127.0.0.2:1883\"\n",
    ] {
        assert_eq!(errors_of(good), "nothing", "{good}");
    }
}

#[test]
fn addresses_from_the_command_line_are_not_checked_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wheeltapper.toml");
    let listen = |http: Option<&str>, mqtt: Option<&str>| ListenOverride {
        http: http.map(str::to_owned),
        mqtt: mqtt.map(str::to_owned),
    };
    let load_errors = |text: &str, listen: &ListenOverride| {
        std::fs::write(&file, text).unwrap();
        load(&file, listen).err().map(|errors| errors.to_string()).unwrap_or_default()
    };
    let clash = "[http]\nlisten = \"127.0.0.1:1883\"\n";
    assert!(load_errors(clash, &listen(None, None)).contains("same port"));
    assert_eq!(load_errors(clash, &listen(Some("127.0.0.1:8080"), None)), "");
    assert_eq!(load_errors(clash, &listen(None, Some("127.0.0.1:1884"))), "");
    // Addresses that are not overridden are still checked.
    let tls = "tls_listen = \"127.0.0.1:1883\"\ntls = { cert = \"c\", key = \"k\" }\n";
    let both = format!("{clash}[mqtt.broker]\n{tls}");
    assert!(load_errors(&both, &listen(None, Some("127.0.0.1:1884"))).contains("same port as [http] listen"));
    assert_eq!(load_errors(&both, &listen(Some("127.0.0.1:8080"), Some("127.0.0.1:1884"))), "");
}

#[test]
fn a_secret_is_in_a_variable_or_a_file() {
    assert_single_errors(&[
        ("[[http.source]]\nname = \"gateway\"\n", "2:8", "secret_env = \"VARIABLE\""),
        ("[[http.source]]\nname = \"\"\nsecret_env = \"A\"\n", "2:8", "empty name"),
        ("[[http.source]]\nname = \"a\"\nsecret_env = \"A\"\nsecret_file = \"f\"\n", "4:15", "remove one"),
        ("[[http.source]]\nname = \"a\"\nsecret_env = \"\"\n", "3:14", "just its name"),
        ("[[http.source]]\nname = \"a\"\nsecret_env = \"$A\"\n", "3:14", "just its name"),
        ("[[http.source]]\nname = \"a\"\nsecret_file = \"\"\n", "3:15", "path of the file"),
        (&"[[http.source]]\nname = \"a\"\nsecret_env = \"A\"\n".repeat(2), "5:8", "occurs twice"),
        ("[[mqtt.broker.user]]\nname = \"plc\"\n", "2:8", "password_env = \"VARIABLE\""),
        (&"[[mqtt.broker.user]]\nname = \"a\"\npassword_env = \"A\"\n".repeat(2), "5:8", "occurs twice"),
        ("[mqtt.broker]\ntls_listen = \"0.0.0.0:8883\"\n", "2:14", "add tls"),
        ("[mqtt.broker]\ntls = { cert = \"c\", key = \"k\" }\n", "2:7", "add tls_listen"),
        ("[http]\norigins = [\"https://plant.example/app\"]\n", "2:12", "has a path"),
        ("[http]\norigins = [\"*\", \"plant.example\"]\n", "2:17", "https://plant.example"),
    ]);
    assert_eq!(errors_of("[http]\norigins = [\"*\", \"https://plant.example/\", \"http://10.0.0.1:81\"]\n"), "nothing");
}

#[test]
fn permissions_and_limits_of_the_broker_are_checked() {
    let user = |rest: &str| format!("[[mqtt.broker.user]]\nname = \"a\"\npassword_env = \"A\"\n{rest}\n");
    assert_single_errors(&[
        (&user("scopes = []"), "4:10", "or leave scopes out"),
        (&user("scopes = [\"write\"]"), "4:11", "known values: ingest, read"),
        (&user("sites = []"), "4:9", "leave them out for all"),
        (&user("sites = [\"plant\", \"/hall\"]"), "4:19", "such as \"plant\""),
        (&user("sites = [\"plant/+\"]"), "4:10", "such as \"plant\""),
        ("[mqtt.broker]\nmax_connections = 0\n", "2:19", "must be from 1 to 1000000"),
        ("[mqtt.broker]\nmax_connections_per_address = 0\n", "2:31", "must be from 1 to 1000000"),
        ("[access]\nmode = \"on\"\n[mqtt.broker]\nanonymous = true\n", "4:13", "API key"),
    ]);
    for good in [
        user("scopes = [\"read\"]\nsites = [\"plant/hall-1\"]"),
        "[access]\nmode = \"on\"\n[mqtt.broker]\nanonymous = false\n".into(),
        "[mqtt.broker]\nanonymous = true\n".into(),
    ] {
        assert_eq!(errors_of(&good), "nothing", "{good}");
    }
}

#[test]
fn invalid_connections_to_servers_are_reported() {
    let client = |url: &str, rest: &str| format!("[[mqtt.client]]\nurl = {url:?}\ntopics = [\"a\"]\n{rest}\n");
    assert_single_errors(&[
        (&client("broker:1883", ""), "2:7", "mqtt://host:1883"),
        (&client("http://broker", ""), "2:7", "unsupported scheme"),
        (&client("mqtt://broker:0", ""), "2:7", "1 to 65535"),
        (&client("mqtt://broker", "qos = 3"), "4:7", "0, 1 or 2"),
        (&client("mqtt://broker", "version = 3"), "4:11", "4 (MQTT 3.1.1)"),
        (&client("mqtt://broker", "client_id = \"\""), "4:13", "identifies the session"),
        (&client("mqtt://broker", "ca_file = \"ca.pem\""), "4:11", "mqtts://"),
        (&client("mqtt://broker", "version = 4\npassword_env = \"A\""), "5:16", "without a user"),
        (&client("mqtt://broker", "").replace("[\"a\"]", "[]"), "3:10", "list of topics is empty"),
        (&client("mqtt://broker", "").replace("[\"a\"]", "[\"$share/a\"]"), "3:11", "$share/group/filter"),
        (&client("mqtt://broker", "").replace("[\"a\"]", "[\"a\", \"$share/g/a/#/b\"]"), "3:16", "\"a/#\""),
        (&client("mqtt://broker", "").repeat(2), "6:7", "own client_id"),
        ("[[nats]]\nurl = \"mqtt://a\"\nstream = \"s\"\n", "2:7", "nats://host:4222"),
        ("[[nats]]\nurl = \"nats://a\"\nstream = \"a.b\"\n", "3:10", "no dots"),
        ("[[nats]]\nurl = \"nats://a\"\nstream = \"s\"\nsubjects = [\"a.>.b\"]\n", "4:13", "at the end"),
        ("[[nats]]\nurl = \"nats://a\"\nstream = \"s\"\nuser = \"u\"\n", "4:8", "password_env"),
        ("[[nats]]\nurl = \"nats://a\"\nstream = \"s\"\npassword_env = \"P\"\n", "4:16", "add user"),
    ]);
    let text = errors_of(&client("mqtt://u:hunter2@broker", ""));
    assert!(text.contains("error: \"mqtt://...@broker\" has a user name in it"), "{text}");
}
