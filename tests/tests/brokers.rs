//! Real peers: nats-server, mosquitto, and independent MQTT clients.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use wheeltapper_tests::{Plant, SECOND, T0, free_port, wait_until};

const SOON: Duration = Duration::from_secs(30);

/// A peer's process, ended with the test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn peer(program: &str, arguments: &[&str], port: u16) -> Peer {
    // Debian keeps servers in sbin, which is not on everyone's path.
    let program = if Path::new("/usr/sbin").join(program).is_file() {
        format!("/usr/sbin/{program}")
    } else {
        program.to_owned()
    };
    let child = Command::new(&program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.map_err(|error| format!("{program}: {error}; `cargo xtask test` installs it")).unwrap();
    let peer = Peer(child);
    wait_until(&program, SOON, || Ok(TcpStream::connect(("127.0.0.1", port)).is_ok())).unwrap();
    peer
}

fn reading(sensor: &str, second: i64) -> String {
    format!(r#"{{"sensor_id":"{sensor}","timestamp":{},"values":{second}}}"#, T0 + second * SECOND)
}

fn reaches(plant: &Plant, name: &str, wanted: u64) {
    wait_until(&format!("{name} = {wanted}"), SOON, || Ok(plant.counts()?[name] == wanted)).unwrap();
}

const FAST: &str = "[line]\ncheckpoint = \"200ms\"\n";

#[test]
fn nats_jetstream_through_kills_of_both() {
    let plant = Plant::new("").unwrap();
    let port = free_port().unwrap();
    let (number, storage) = (port.to_string(), plant.path().join("nats"));
    let arguments = ["-a", "127.0.0.1", "-p", &number, "-js", "-sd", storage.to_str().unwrap()];
    let server = peer("nats-server", &arguments, port);
    plant.configure(&format!("{FAST}[[nats]]\nurl = \"nats://127.0.0.1:{port}\"\nstream = \"readings\"\n")).unwrap();
    let host = plant.start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let publish = |from: i64, to: i64| {
        runtime.block_on(async {
            let client = async_nats::connect(format!("127.0.0.1:{port}")).await.unwrap();
            let stream = async_nats::jetstream::new(client);
            for second in from..to {
                // The host makes the stream; until it has, there is nobody to acknowledge.
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
    reaches(&plant, "readings", 50);
    // Published while the host is away, and kept by the server.
    host.kill().unwrap();
    publish(50, 100);
    let host = plant.start().unwrap();
    reaches(&plant, "readings", 100);
    // Messages are counted, not the batches in which they are fetched.
    assert!(host.metric("wheeltapper_events_total{trigger=\"nats\"}").unwrap() >= 50.0);
    // The server goes away and comes back.
    drop(server);
    let _server = peer("nats-server", &arguments, port);
    publish(100, 150);
    reaches(&plant, "readings", 150);
    // What cannot be read is acknowledged and kept as a dead letter.
    runtime.block_on(async {
        let client = async_nats::connect(format!("127.0.0.1:{port}")).await.unwrap();
        async_nats::jetstream::new(client)
            .publish("raw-sensor-data.a", "nonsense".into())
            .await
            .unwrap()
            .await
            .unwrap();
    });
    reaches(&plant, "dead_letters", 1);
    host.stop().unwrap();
    assert_eq!(plant.query(&["readings", "--sensor", "nats/m/s"]).unwrap().len(), 150);
}

#[test]
fn client_of_mosquitto_through_a_kill() {
    for version in [4, 5] {
        let plant = Plant::new("").unwrap();
        let port = free_port().unwrap();
        let settings = plant.path().join("mosquitto.conf");
        std::fs::write(&settings, format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"))
            .unwrap();
        let _broker = peer("mosquitto", &["-c", settings.to_str().unwrap()], port);
        plant
            .configure(&format!(
                "{FAST}[[mqtt.client]]\nurl = \"mqtt://127.0.0.1:{port}\"\nversion = {version}\ntopics = [\"plant/#\"]\n\
                 [[mqtt.topic]]\nfilter = \"plant/+/+\"\nsensor = \"{{1}}/{{2}}\"\n"
            ))
            .unwrap();
        let host = plant.start().unwrap();
        let publish = |payload: &str| {
            let number = port.to_string();
            let status = Command::new("mosquitto_pub")
                .args(["-p", &number, "-q", "1", "-t", "plant/pump/temperature", "-m", payload])
                .status();
            assert!(status.unwrap().success());
        };
        // Its subscription may take a moment; a retained message waits for it.
        let number = port.to_string();
        Command::new("mosquitto_pub")
            .args(["-p", &number, "-q", "1", "-r", "-t", "plant/pump/temperature", "-m", "1.5"])
            .status()
            .unwrap();
        reaches(&plant, "readings", 1);
        host.kill().unwrap();
        publish(&format!(r#"{{"timestamp":{},"values":2.5}}"#, T0 / SECOND + 100));
        let host = plant.start().unwrap();
        wait_until("the message that came meanwhile", SOON, || {
            let rows = plant.query(&["readings", "--sensor", "pump/temperature"])?;
            Ok(rows.iter().any(|row| row["value"] == 2.5) || plant.counts()?["dead_letters"].as_u64() > Some(0))
        })
        .unwrap();
        host.stop().unwrap();
    }
}

#[test]
fn embedded_broker_with_mosquitto_clients() {
    let plant = Plant::new(FAST).unwrap();
    let host = plant.start().unwrap();
    let (_, port) = host.mqtt.rsplit_once(':').unwrap();
    for (quality, protocol, second) in [
        ("0", "mqttv311", 0),
        ("1", "mqttv311", 1),
        ("2", "mqttv311", 2),
        ("0", "mqttv5", 3),
        ("1", "mqttv5", 4),
        ("2", "mqttv5", 5),
    ] {
        let status = Command::new("mosquitto_pub")
            .args([
                "-p",
                port,
                "-V",
                protocol,
                "-q",
                quality,
                "-t",
                "any/topic",
                "-m",
                &reading("mosquitto/m/s", second),
            ])
            .status()
            .unwrap();
        assert!(status.success());
        // In order, or the next would be late.
        reaches(&plant, "readings", u64::try_from(second).unwrap() + 1);
    }
    // Findings go out to subscribers, and messages to each other's.
    let mut listener = Command::new("mosquitto_sub")
        .args(["-p", port, "-t", "talk/+", "-C", "1", "-W", "20"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Said again until it listens.
    wait_until("the listener hears", SOON, || {
        let message = reading("mosquitto/m/t", 1);
        Command::new("mosquitto_pub").args(["-p", port, "-q", "1", "-t", "talk/x", "-m", &message]).status()?;
        Ok(listener.try_wait()?.is_some())
    })
    .unwrap();
    let heard = listener.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&heard.stdout).contains("mosquitto/m/t"));
    host.stop().unwrap();
}

#[test]
fn broker_with_users_turns_strangers_away() {
    let plant = Plant::new("").unwrap();
    let secret = plant.path().join("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    plant.configure(&format!("{FAST}[[mqtt.broker.user]]\nname = \"plc\"\npassword_file = {secret:?}\n")).unwrap();
    let host = plant.start().unwrap();
    let (_, port) = host.mqtt.rsplit_once(':').unwrap();
    let publish = |login: &[&str]| {
        let told = Command::new("mosquitto_pub")
            .args(["-p", port, "-q", "1", "-t", "t", "-m", &reading("a/b", 1)])
            .args(login)
            .output();
        told.unwrap().status.success()
    };
    assert!(!publish(&[]));
    assert!(!publish(&["-u", "plc", "-P", "wrong"]));
    assert!(publish(&["-u", "plc", "-P", "s3cret"]));
    reaches(&plant, "readings", 1);
    host.stop().unwrap();
}
