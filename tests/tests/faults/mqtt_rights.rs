//! MQTT clients have the same rights as over HTTP.

use std::time::{Duration, Instant};

use serde_json::json;
use wheeltapper_access::{Role, Scope};
use wheeltapper_tests::{
    RunningHost, SECOND, T0, TestHost,
    client::{ACCESS_ON, PASSWORD, add_user, login, now, open_access, send_as, token},
    wait_until,
};

use super::mqtt_client::{Client, Connect};

const FAST_CONFIG: &str = "[line]\ncheckpoint = \"200ms\"\n[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n";
const TIMEOUT: Duration = Duration::from_secs(60);

fn connect(host: &RunningHost, v5: bool, id: &str, login: Option<(&str, &str)>) -> (Client, u8) {
    Client::connect(&host.mqtt, &Connect { v5, id, clean: true, login }).unwrap()
}

fn reading(sensor: &str) -> String {
    format!("{{\"sensor_id\":\"{sensor}\",\"timestamp\":{T0},\"values\":1.5}}")
}

#[test]
fn an_api_key_sends_and_reads_only_at_its_sites() {
    let test_host = TestHost::new(&format!("{ACCESS_ON}{FAST_CONFIG}")).unwrap();
    let host = test_host.start().unwrap();
    let access = open_access(&test_host);
    let (key, text) =
        access.add_api_key("gateway", &[Scope::Ingest, Scope::Read], Some(vec!["north".into()]), None, now()).unwrap();
    // Local clients must authenticate too.
    for v5 in [false, true] {
        assert_eq!(connect(&host, v5, "anybody", None).1, if v5 { 0x87 } else { 5 });
        assert_eq!(connect(&host, v5, "anybody", Some(("admin", "x"))).1, if v5 { 0x86 } else { 4 });
    }
    let (mut gateway, code) = connect(&host, true, "gateway", Some(("any name", &text)));
    assert_eq!(code, 0);
    for (topic, payload, reason) in [
        ("north/m/t", reading("north/m/t"), 0),
        ("south/m/t", reading("south/m/t"), 0x87),
        // The topic belongs to its site, the sensor does not: decoded, rejected and kept as a dead letter.
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

    // Both sites have findings; the gateway receives only those of its site.
    add_user(&test_host, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    for site in ["south", "north"] {
        let value = |second: i64| {
            let noise = (second * 7919 % 101) as f64 / 101.0;
            if second > 900 { 60.0 + noise } else { 10.0 + noise }
        };
        let readings: Vec<_> = (0..1_200_i64)
            .map(|second| {
                let time = T0 + second * SECOND;
                json!({"sensor_id": format!("{site}/m/s"), "timestamp": time, "values": value(second)})
            })
            .collect();
        assert_eq!(send_as(&host, &ada, "POST", "/api/v1/ingest", Some(&json!(readings))).status, 202);
        wait_until(site, TIMEOUT, || {
            let found = send_as(&host, &ada, "GET", "/api/v1/anomalies?limit=1000", None).body;
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

    // Removing the key closes its connection.
    access.remove_api_key(&key.id).unwrap();
    let began = Instant::now();
    let reason = loop {
        match gateway.read().unwrap() {
            (0xE0, body) => break body[0],
            (_, body) => assert!(!String::from_utf8_lossy(&body).contains("south")),
        }
    };
    assert_eq!(reason, 0x87);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(connect(&host, true, "gateway", Some(("any name", &text))).1, 0x86);
    host.stop().unwrap();
    assert_eq!(test_host.query(&["readings", "--sensor", "north/m/t"]).unwrap().len(), 1);
    let sensors = test_host.query(&["sensors"]).unwrap();
    assert!(sensors.iter().all(|sensor| sensor["id"] != "south/m/t"), "{sensors:?}");
}

#[test]
fn broker_users_are_limited_to_their_scopes_and_sites() {
    let users =
        "[[mqtt.broker.user]]\nname = \"plc\"\npassword_file = \"plc\"\nsites = [\"north\"]\nscopes = [\"ingest\"]\n";
    let test_host = TestHost::new(&format!("{FAST_CONFIG}{users}")).unwrap();
    std::fs::write(test_host.path().join("plc"), "secret\n").unwrap();
    let host = test_host.start().unwrap();
    let (mut plc, code) = connect(&host, true, "plc", Some(("plc", "secret")));
    assert_eq!(code, 0);
    plc.publish(2, "north/m/t", 1, reading("north/m/t").as_bytes()).unwrap();
    assert_eq!(plc.answer().unwrap(), (0x40, 1, 0));
    plc.publish(2, "south/m/t", 2, reading("south/m/t").as_bytes()).unwrap();
    assert_eq!(plc.answer().unwrap(), (0x40, 2, 0x87));
    assert_eq!(plc.subscribe("north/#").unwrap(), 0x87);
    assert_eq!(connect(&host, true, "nobody", None).1, 0x87, "anonymous clients are rejected if users are configured");
    host.stop().unwrap();
}

#[test]
fn failed_logins_of_others_lock_nobody_out_and_a_reset_unlocks() {
    let test_host = TestHost::new(&format!("{ACCESS_ON}{FAST_CONFIG}")).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    for _ in 0..5 {
        assert_eq!(login(&host, "ada", "a wrong password").status, 401);
    }
    assert_eq!(login(&host, "ada", PASSWORD).status, 429, "this address is locked out");
    // A signed-in user can continue and change the password.
    assert_eq!(send_as(&host, &ada, "GET", "/api/v1/auth/me", None).status, 200);
    let new = json!({"old_password": PASSWORD, "new_password": "another good password"});
    let changed = send_as(&host, &ada, "POST", "/api/v1/auth/password", Some(&new));
    assert_eq!(changed.status, 200, "{}", changed.body);
    for _ in 0..5 {
        login(&host, "ada", "a wrong password");
    }
    assert_eq!(login(&host, "ada", "another good password").status, 429);
    let output = test_host.output(&["user", "reset", "ada"]).unwrap();
    let password = output.trim().rsplit(' ').next().unwrap();
    assert_eq!(login(&host, "ada", password).status, 200, "{output}");
    host.stop().unwrap();
}
