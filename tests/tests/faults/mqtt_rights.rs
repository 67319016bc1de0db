//! MQTT's clients have the rights that HTTP gives them, and nobody else's.

use std::time::{Duration, Instant};

use serde_json::json;
use wheeltapper_access::{Role, Scope};
use wheeltapper_tests::{
    Plant, Running, SECOND, T0,
    door::{ON, PASSWORD, add, door, login, now, token, with},
    wait_until,
};

use super::mqtt_client::{Client, Connect};

const FAST: &str = "[line]\ncheckpoint = \"200ms\"\n[detect]\nwarmup_windows = 10\n";
const SOON: Duration = Duration::from_secs(60);

fn join(host: &Running, v5: bool, id: &str, login: Option<(&str, &str)>) -> (Client, u8) {
    Client::connect(&host.mqtt, &Connect { v5, id, clean: true, login }).unwrap()
}

fn reading(sensor: &str) -> String {
    format!("{{\"sensor_id\":\"{sensor}\",\"timestamp\":{T0},\"values\":1.5}}")
}

#[test]
fn a_key_sends_and_reads_at_its_sites_alone() {
    let plant = Plant::new(&format!("{ON}{FAST}")).unwrap();
    let host = plant.start().unwrap();
    let door = door(&plant);
    let (key, text) =
        door.add_api_key("gateway", &[Scope::Ingest, Scope::Read], Some(vec!["north".into()]), None, now()).unwrap();
    // Also on this machine itself, nobody comes in without showing who they are.
    for v5 in [false, true] {
        assert_eq!(join(&host, v5, "anybody", None).1, if v5 { 0x87 } else { 5 });
        assert_eq!(join(&host, v5, "anybody", Some(("admin", "x"))).1, if v5 { 0x86 } else { 4 });
    }
    let (mut gateway, code) = join(&host, true, "gateway", Some(("any name", &text)));
    assert_eq!(code, 0);
    for (topic, payload, reason) in [
        ("north/m/t", reading("north/m/t"), 0),
        ("south/m/t", reading("south/m/t"), 0x87),
        // The topic is its own, the sensor is not: decoded, refused, and kept as a dead letter.
        ("north/m/t", reading("south/m/t"), 0x99),
        ("wheeltapper/events/alert/north/m", "{}".into(), 0x87),
        ("spBv1.0/south/NDEATH/node", String::new(), 0x87),
        ("spBv1.0/south/NBIRTH/node", String::new(), 0x87),
        ("spBv1.0/north/NDEATH/node", String::new(), 0),
    ] {
        gateway.publish(2, topic, 7, payload.as_bytes()).unwrap();
        assert_eq!(gateway.answer().unwrap(), (0x40, 7, reason), "{topic}");
    }
    for filter in ["south/#", "wheeltapper/events/alert/south/#", "spBv1.0/south/#"] {
        assert_eq!(gateway.subscribe(filter).unwrap(), 0x87, "{filter}");
    }
    assert_eq!(gateway.subscribe("wheeltapper/events/#").unwrap(), 1);

    // Findings of both sites; only its own arrive.
    add(&plant, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    for site in ["south", "north"] {
        let value = |second: i64| {
            let noise = (second * 7919 % 101) as f64 / 101.0;
            if second > 900 { 60.0 + noise } else { 10.0 + noise }
        };
        let readings: Vec<_> = (0..1_200_i64)
            .map(|second| json!({"sensor_id": format!("{site}/m/s"), "timestamp": T0 + second * SECOND, "values": value(second)}))
            .collect();
        assert_eq!(with(&host, &ada, "POST", "/api/v1/ingest", Some(&json!(readings))).status, 202);
        wait_until(site, SOON, || {
            let found = with(&host, &ada, "GET", "/api/v1/anomalies?limit=1000", None).body;
            Ok(found["items"]
                .as_array()
                .is_some_and(|items| items.iter().any(|item| item["asset"] == format!("{site}/m"))))
        })
        .unwrap();
    }
    let (first, event) = gateway.read().unwrap();
    let event = String::from_utf8_lossy(&event).into_owned();
    assert_eq!(first & 0xF0, 0x30);
    assert!(event.contains("/north/m") && !event.contains("south"), "{event}");

    // Removing the key ends its connection.
    door.remove_api_key(&key.id).unwrap();
    let began = Instant::now();
    let reason = loop {
        match gateway.read().unwrap() {
            (0xE0, body) => break body[0],
            (_, body) => assert!(!String::from_utf8_lossy(&body).contains("south")),
        }
    };
    assert_eq!(reason, 0x87);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(join(&host, true, "gateway", Some(("any name", &text))).1, 0x86);
    host.stop().unwrap();
    assert_eq!(plant.query(&["readings", "--sensor", "north/m/t"]).unwrap().len(), 1);
    let sensors = plant.query(&["sensors"]).unwrap();
    assert!(sensors.iter().all(|sensor| sensor["id"] != "south/m/t"), "{sensors:?}");
}

#[test]
fn users_of_the_broker_are_kept_to_their_scopes_and_sites() {
    let users =
        "[[mqtt.broker.user]]\nname = \"plc\"\npassword_file = \"plc\"\nsites = [\"north\"]\nscopes = [\"ingest\"]\n";
    let plant = Plant::new(&format!("{FAST}{users}")).unwrap();
    std::fs::write(plant.path().join("plc"), "secret\n").unwrap();
    let host = plant.start().unwrap();
    let (mut plc, code) = join(&host, true, "plc", Some(("plc", "secret")));
    assert_eq!(code, 0);
    plc.publish(2, "north/m/t", 1, reading("north/m/t").as_bytes()).unwrap();
    assert_eq!(plc.answer().unwrap(), (0x40, 1, 0));
    plc.publish(2, "south/m/t", 2, reading("south/m/t").as_bytes()).unwrap();
    assert_eq!(plc.answer().unwrap(), (0x40, 2, 0x87));
    assert_eq!(plc.subscribe("north/#").unwrap(), 0x87);
    assert_eq!(join(&host, true, "nobody", None).1, 0x87, "there are users now");
    host.stop().unwrap();
}

#[test]
fn strangers_lock_nobody_out_and_a_reset_lets_one_in() {
    let plant = Plant::new(&format!("{ON}{FAST}")).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    for _ in 0..5 {
        assert_eq!(login(&host, "ada", "a wrong password").status, 401);
    }
    assert_eq!(login(&host, "ada", PASSWORD).status, 429, "this address has to wait");
    // Who is signed in goes on, and may change the password too.
    assert_eq!(with(&host, &ada, "GET", "/api/v1/auth/me", None).status, 200);
    let new = json!({"old_password": PASSWORD, "new_password": "another good password"});
    let changed = with(&host, &ada, "POST", "/api/v1/auth/password", Some(&new));
    assert_eq!(changed.status, 200, "{}", changed.body);
    for _ in 0..5 {
        login(&host, "ada", "a wrong password");
    }
    assert_eq!(login(&host, "ada", "another good password").status, 429);
    let told = plant.output(&["user", "reset", "ada"]).unwrap();
    let password = told.trim().rsplit(' ').next().unwrap();
    assert_eq!(login(&host, "ada", password).status, 200, "{told}");
    host.stop().unwrap();
}
