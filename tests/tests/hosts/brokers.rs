//! Tests with real peers: nats-server, mosquitto and independent MQTT clients.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost, free_port, wait_until};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A peer's process; dropping it kills the process.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_peer(program: &str, arguments: &[&str], port: u16) -> Peer {
    // Debian installs servers in sbin, which may be missing from PATH.
    let program = if Path::new("/usr/sbin").join(program).is_file() {
        format!("/usr/sbin/{program}")
    } else {
        program.to_owned()
    };
    let child = Command::new(&program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.map_err(|error| format!("{program}: {error}; `cargo xtask test` installs it")).unwrap();
    let peer = Peer(child);
    wait_until(&program, TIMEOUT, || Ok(TcpStream::connect(("127.0.0.1", port)).is_ok())).unwrap();
    peer
}

fn reading(sensor: &str, second: i64) -> String {
    format!(r#"{{"sensor_id":"{sensor}","timestamp":{},"values":{second}}}"#, T0 + second * SECOND)
}

fn wait_for_count(test_host: &TestHost, name: &str, expected: u64) {
    wait_until(&format!("{name} = {expected}"), TIMEOUT, || Ok(test_host.counts()?[name] == expected)).unwrap();
}

/// Waits until `/ready` answers 200 and lists `count` external servers that cannot be reached, named `name`.
fn wait_for_disconnected(host: &RunningHost, count: usize, name: &str) {
    wait_until(&format!("{count} disconnected {name}"), TIMEOUT, || {
        let (status, text) = host.get("/ready")?;
        let body: serde_json::Value = serde_json::from_str(&text)?;
        let listed = body["disconnected"].as_array().map_or(&[][..], Vec::as_slice);
        let named = listed.iter().all(|down| down["connection"].as_str().is_some_and(|known| known.starts_with(name)));
        let up = host.metric(&format!("wheeltapper_connection_up{{connection=\"{name} "))?;
        Ok(status == 200 && named && listed.len() == count && up == if count == 0 { 1.0 } else { 0.0 })
    })
    .unwrap();
}

const FAST_CONFIG: &str = "[line]\ncheckpoint = \"200ms\"\n";

#[test]
fn nats_jetstream_delivers_through_restarts_of_host_and_server() {
    let test_host = TestHost::new("").unwrap();
    let port = free_port().unwrap();
    let (number, storage) = (port.to_string(), test_host.path().join("nats"));
    let arguments = ["-a", "127.0.0.1", "-p", &number, "-js", "-sd", storage.to_str().unwrap()];
    let server = start_peer("nats-server", &arguments, port);
    test_host
        .configure(&format!("{FAST_CONFIG}[[nats]]\nurl = \"nats://127.0.0.1:{port}\"\nstream = \"readings\"\n"))
        .unwrap();
    let host = test_host.start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let publish = |from: i64, to: i64| {
        runtime.block_on(async {
            let client = async_nats::connect(format!("127.0.0.1:{port}")).await.unwrap();
            let stream = async_nats::jetstream::new(client);
            for second in from..to {
                // The host creates the stream; before that, nothing acknowledges the message.
                loop {
                    let sent = stream.publish("raw-sensor-data.a", reading("nats/m/s", second).into()).await.unwrap();
                    match sent.await {
                        Ok(_) => break,
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            }
        });
    };
    publish(0, 50);
    wait_for_count(&test_host, "readings", 50);
    // The server keeps messages that are published while the host is down.
    host.kill().unwrap();
    publish(50, 100);
    let host = test_host.start().unwrap();
    wait_for_count(&test_host, "readings", 100);
    // The metric counts messages, not fetched batches.
    assert!(host.metric("wheeltapper_events_total{trigger=\"nats\"}").unwrap() >= 50.0);
    // The server restarts. Meanwhile `/ready` names it, and the host serves everybody else.
    wait_for_disconnected(&host, 0, "nats-0");
    drop(server);
    wait_for_disconnected(&host, 1, "nats-0");
    let _server = start_peer("nats-server", &arguments, port);
    publish(100, 150);
    wait_for_count(&test_host, "readings", 150);
    wait_for_disconnected(&host, 0, "nats-0");
    // An unreadable message is acknowledged and becomes a dead letter.
    runtime.block_on(async {
        let client = async_nats::connect(format!("127.0.0.1:{port}")).await.unwrap();
        async_nats::jetstream::new(client)
            .publish("raw-sensor-data.a", "nonsense".into())
            .await
            .unwrap()
            .await
            .unwrap();
    });
    wait_for_count(&test_host, "dead_letters", 1);
    host.stop().unwrap();
    assert_eq!(test_host.query(&["readings", "--sensor", "nats/m/s"]).unwrap().len(), 150);
}

#[test]
fn mosquitto_client_receives_messages_after_a_kill() {
    for version in [4, 5] {
        let test_host = TestHost::new("").unwrap();
        let port = free_port().unwrap();
        let settings = test_host.path().join("mosquitto.conf");
        std::fs::write(&settings, format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"))
            .unwrap();
        let broker = start_peer("mosquitto", &["-c", settings.to_str().unwrap()], port);
        test_host
            .configure(&format!(
                "{FAST_CONFIG}[[mqtt.client]]\nurl = \"mqtt://127.0.0.1:{port}\"\nversion = {version}\n\
                    topics = [\"plant/#\"]\n\
                 [[mqtt.topic]]\nfilter = \"plant/+/+\"\nsensor = \"{{1}}/{{2}}\"\n"
            ))
            .unwrap();
        let host = test_host.start().unwrap();
        let publish = |payload: &str| {
            let number = port.to_string();
            let status = Command::new("mosquitto_pub")
                .args(["-p", &number, "-q", "1", "-t", "plant/pump/temperature", "-m", payload])
                .status();
            assert!(status.unwrap().success());
        };
        // A retained message, because the subscription may start later.
        let number = port.to_string();
        Command::new("mosquitto_pub")
            .args(["-p", &number, "-q", "1", "-r", "-t", "plant/pump/temperature", "-m", "1.5"])
            .status()
            .unwrap();
        wait_for_count(&test_host, "readings", 1);
        host.kill().unwrap();
        publish(&format!(r#"{{"timestamp":{},"values":2.5}}"#, T0 / SECOND + 100));
        let host = test_host.start().unwrap();
        wait_for_disconnected(&host, 0, "mqtt-client-0");
        wait_until("the message published while the host was down", TIMEOUT, || {
            let rows = test_host.query(&["readings", "--sensor", "pump/temperature"])?;
            Ok(rows.iter().any(|row| row["value"] == 2.5) || test_host.counts()?["dead_letters"].as_u64() > Some(0))
        })
        .unwrap();
        drop(broker);
        wait_for_disconnected(&host, 1, "mqtt-client-0");
        host.stop().unwrap();
    }
}

#[test]
fn embedded_broker_serves_mosquitto_clients() {
    let test_host = TestHost::new(FAST_CONFIG).unwrap();
    let host = test_host.start().unwrap();
    let (_, port) = host.mqtt.rsplit_once(':').unwrap();
    for (qos, protocol, second) in [
        ("0", "mqttv311", 0),
        ("1", "mqttv311", 1),
        ("2", "mqttv311", 2),
        ("0", "mqttv5", 3),
        ("1", "mqttv5", 4),
        ("2", "mqttv5", 5),
    ] {
        let status = Command::new("mosquitto_pub")
            .args(["-p", port, "-V", protocol, "-q", qos, "-t", "any/topic", "-m", &reading("mosquitto/m/s", second)])
            .status()
            .unwrap();
        assert!(status.success());
        // Wait, because the next reading must not arrive first.
        wait_for_count(&test_host, "readings", u64::try_from(second).unwrap() + 1);
    }
    // The broker forwards messages between clients.
    let mut listener = Command::new("mosquitto_sub")
        .args(["-p", port, "-t", "talk/+", "-C", "1", "-W", "20"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Published repeatedly until the listener has subscribed.
    wait_until("the listener receives a message", TIMEOUT, || {
        let message = reading("mosquitto/m/t", 1);
        Command::new("mosquitto_pub").args(["-p", port, "-q", "1", "-t", "talk/x", "-m", &message]).status()?;
        Ok(listener.try_wait()?.is_some())
    })
    .unwrap();
    let output = listener.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("mosquitto/m/t"));
    host.stop().unwrap();
}

#[test]
fn broker_with_users_rejects_unknown_clients() {
    let test_host = TestHost::new("").unwrap();
    let secret = test_host.path().join("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    test_host
        .configure(&format!("{FAST_CONFIG}[[mqtt.broker.user]]\nname = \"plc\"\npassword_file = {secret:?}\n"))
        .unwrap();
    let host = test_host.start().unwrap();
    let (_, port) = host.mqtt.rsplit_once(':').unwrap();
    let publish = |login: &[&str]| {
        let output = Command::new("mosquitto_pub")
            .args(["-p", port, "-q", "1", "-t", "t", "-m", &reading("a/b", 1)])
            .args(login)
            .output();
        output.unwrap().status.success()
    };
    assert!(!publish(&[]));
    assert!(!publish(&["-u", "plc", "-P", "wrong"]));
    assert!(publish(&["-u", "plc", "-P", "s3cret"]));
    wait_for_count(&test_host, "readings", 1);
    host.stop().unwrap();
}
