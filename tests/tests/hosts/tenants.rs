//! Users with access to some sites get no data of other sites. Also tests access control with clients that disconnect,
//! compressed requests and requests from foreign origins.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use wheeltapper_access::Role;
use wheeltapper_api::{Permission, ROUTES};
use wheeltapper_tests::{
    RunningHost, SECOND, T0, TestHost,
    client::{ACCESS_ON, add_user, send, send_as, token},
    wait_until,
};

const LINE_CONFIG: &str = "[line]\ncheckpoint = \"200ms\"\n[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n\
    [[technician]]\nname = \"Ada\"\nskills = [\"mechanic\", \"vibration-analyst\", \"instrumentation\"]\n";

/// A sensor that users of other sites must not discover.
const NORTH_SENSOR_CONFIG: &str = "[[site]]\nname = \"north\"\n[[site.area]]\nname = \"hall\"\n[[site.area.machine]]\n\
    name = \"pump\"\n\
    [[site.area.machine.sensor]]\nname = \"hot\"\nunit = \"degC\"\nsampling_hz = 0.000001\n\
    limits = { min = 0.0, max = 200.0 }\n";

/// Posts readings of two machines, one per site, of which the one in the south develops a fault. Returns an anomaly.
fn feed(host: &RunningHost, ada: &str) -> Value {
    for site in ["north", "south"] {
        let readings: Vec<Value> = (0..1_200)
            .map(|second| {
                let noise = f64::from((second * 7919) % 101) / 101.0;
                let broken = if site == "south" && second > 900 { 50.0 } else { 0.0 };
                let time = T0 + i64::from(second) * SECOND;
                json!({"sensor_id": format!("{site}/m/s"), "timestamp": time, "values": 10.0 + noise + broken})
            })
            .collect();
        assert_eq!(send_as(host, ada, "POST", "/api/v1/ingest", Some(&json!(readings))).status, 202);
    }
    let newest_anomaly = || send_as(host, ada, "GET", "/api/v1/anomalies?limit=1", None).body["items"][0].clone();
    wait_until("an anomaly and its work order", Duration::from_secs(60), || {
        let orders =
            send_as(host, ada, "GET", "/api/v1/work-orders", None).body["items"].as_array().map_or(0, Vec::len);
        Ok(orders > 0 && newest_anomaly()["id"].is_string())
    })
    .unwrap();
    newest_anomaly()
}

#[test]
fn no_route_reveals_data_of_another_site() {
    let test_host = TestHost::new(&format!("{ACCESS_ON}{LINE_CONFIG}")).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Admin, None);
    add_user(&test_host, "bob", Role::Admin, Some(vec!["north".into()]));
    let (ada, bob) = (token(&host, "ada"), token(&host, "bob"));
    let anomaly = feed(&host, &ada);
    let id = anomaly["id"].as_str().unwrap();
    let order = send_as(&host, &ada, "GET", "/api/v1/work-orders", None).body["items"][0]["id"].clone();
    let order = order.as_str().unwrap();

    for route in ROUTES.iter().filter(|route| route.method == "GET" && route.permission != Permission::None) {
        if route.path.ends_with("/stream") || route.path.starts_with("/ws/") {
            continue;
        }
        for parameter in [id, order, "south%2Fm%2Fs", "south"] {
            let path = match (route.path.find('{'), route.path.find('}')) {
                (Some(start), Some(end)) => {
                    format!("{}{parameter}{}", &route.path[..start], &route.path[end + 1..])
                }
                _ => route.path.to_owned(),
            };
            let answer = send_as(&host, &bob, "GET", &path, None);
            let body = answer.body.to_string();
            // An error answer may repeat the requested path.
            assert!(answer.status >= 400 || !body.contains("south"), "{path}: {body}");
        }
    }
    let query = json!({"query": "{ sensors(first: 9) { nodes { name asset } } anomalies(first: 9) { nodes { id asset \
        } } alerts(first: 9) { nodes { id asset } } workOrders(first: 9) { nodes { id asset } } assets { path } }"});
    let (own_data, all_data) = (
        send_as(&host, &bob, "POST", "/graphql", Some(&query)),
        send_as(&host, &ada, "POST", "/graphql", Some(&query)),
    );
    assert!(!own_data.body.to_string().contains("south"), "{}", own_data.body);
    assert!(all_data.body.to_string().contains("south"), "{}", all_data.body);
    let overview = send_as(&host, &bob, "GET", "/api/v1/overview", None);
    assert_eq!(
        (overview.status, overview.body["anomalies"].as_array().map(Vec::len)),
        (200, Some(0)),
        "{}",
        overview.body
    );
    assert!(send_as(&host, &ada, "GET", "/api/v1/overview", None).body.to_string().contains("south"));

    // An administrator of one site cannot get access to all sites.
    let body = json!({"sites": null});
    assert_eq!(send_as(&host, &bob, "PATCH", "/api/v1/users/bob", Some(&body)).status, 403);
    let key = json!({"name": "x", "scopes": ["read"]});
    assert_eq!(send_as(&host, &bob, "POST", "/api/v1/keys", Some(&key)).status, 403);
    let act = format!("/api/v1/anomalies/{id}/acknowledge");
    assert_eq!(send_as(&host, &bob, "POST", &act, Some(&json!({}))).status, 404);
    let reset = |token: &str| {
        let body = json!({"reason": "repaired"});
        send_as(&host, token, "POST", "/api/v1/machines/south/m/reset-baseline", Some(&body)).status
    };
    assert_eq!((reset(&bob), reset(&ada)), (404, 200));
}

#[test]
fn a_tenant_cannot_query_data_of_other_sites() {
    let test_host = TestHost::new(&format!("{ACCESS_ON}{NORTH_SENSOR_CONFIG}")).unwrap();
    let host = test_host.start().unwrap();
    let south = || Some(vec!["south".to_owned()]);
    add_user(&test_host, "ada", Role::Operator, None);
    add_user(&test_host, "sam", Role::Operator, south());
    add_user(&test_host, "sue", Role::Viewer, south());
    let [ada, sam, sue] = ["ada", "sam", "sue"].map(|user| token(&host, user));
    let reading =
        |sensor: &str, value: f64| json!({"sensor_id": sensor, "timestamp": T0 / 1_000_000_000, "values": value});
    let both = json!([reading("north/pump/t", 1.5), reading("south/pump/t", 1.5)]);
    assert_eq!(send_as(&host, &ada, "POST", "/api/v1/ingest", Some(&both)).status, 202);

    // Plans, read by the ID that another user received.
    let request_plan = |token: &str, sensors: &[&str]| {
        let params = json!({"sensor_ids": sensors, "time_horizon_hours": 24});
        let answer = send_as(&host, token, "POST", "/api/v1/maintenance/schedule", Some(&params));
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.body["check_status_url"].as_str().unwrap().to_owned()
    };
    let read_status = |token: &str, path: &str| send_as(&host, token, "GET", path, None).status;
    let (fleet_plan, shared_plan, own_plan) = (
        request_plan(&ada, &[]),
        request_plan(&ada, &["north/pump/t", "south/pump/t"]),
        request_plan(&sam, &["south/pump/t"]),
    );
    assert_eq!([&fleet_plan, &shared_plan, &own_plan].map(|path| read_status(&ada, path)), [200; 3]);
    assert_eq!([&fleet_plan, &shared_plan, &own_plan].map(|path| read_status(&sam, path)), [404, 404, 200]);
    assert_eq!(read_status(&sue, &own_plan), 200, "the plan is for her site");

    check_same_answers(&host, &sam);

    let query = json!({"query": "mutation { acknowledgeAnomaly(id: \"ff\") { id } }"});
    let answer = send_as(&host, &sue, "POST", "/graphql", Some(&query));
    assert_eq!(answer.body["errors"][0]["extensions"]["code"], "FORBIDDEN", "{}", answer.body);

    let send_raw = |head: &str| {
        let mut stream = TcpStream::connect(&host.http).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[9..]).into_owned()
    };
    assert_eq!(send_raw(&format!("GET /api/v1/sensors HTTP/1.0\r\nAuthorization: Bearer {sam}\r\n\r\n")), "200");
    assert_eq!(send_raw(&format!("GET /api/v1/sensors HTTP/1.1\r\nAuthorization: Bearer {sam}\r\n\r\n")), "400");
}

/// Checks that invalid readings of a sensor configured at another site and of an unknown sensor get the same answers.
fn check_same_answers(host: &RunningHost, sam: &str) {
    let now = T0 / 1_000_000_000;
    let reading =
        |sensor: &str, time: i64, values: Value| json!({"sensor_id": sensor, "timestamp": time, "values": values});
    let error_of = |path: &str, sensor: &str, time: i64, values: Value| {
        let reading = reading(sensor, time, values);
        let body = if path.ends_with("detect") { json!({ "sensor_data": reading }) } else { reading };
        let answer = send_as(host, sam, "POST", path, Some(&body));
        (answer.status, answer.body.to_string().replace(sensor, "?"))
    };
    let long = json!(vec![1.0; 10_000]);
    for path in ["/api/v1/ingest", "/api/v1/detect"] {
        // Outside the limits, too old, in the future, and longer than allowed at the configured sampling rate.
        for (time, values) in [(now, json!(900.0)), (1, json!(5.0)), (9_000_000_000, json!(5.0)), (now, long.clone())] {
            let [configured, unknown] =
                ["hot", "not"].map(|name| error_of(path, &format!("north/hall/pump/{name}"), time, values.clone()));
            assert_eq!(configured, unknown, "{path} {time}");
            assert!(configured.0 >= 400, "{configured:?}");
        }
    }
}

#[test]
fn a_host_that_rejects_unknown_sensors_does_not_reveal_other_sites() {
    let test_host = TestHost::new(ACCESS_ON).unwrap();
    test_host.configure(&format!("unknown_sensors = \"reject\"\n{ACCESS_ON}{NORTH_SENSOR_CONFIG}")).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "sam", Role::Operator, Some(vec!["south".into()]));
    check_same_answers(&host, &token(&host, "sam"));
}

/// The entries of the audit, newest first.
fn audit(host: &RunningHost, ada: &str) -> Vec<Value> {
    send_as(host, ada, "GET", "/api/v1/audit?limit=1000", None).body["items"].as_array().unwrap().clone()
}

#[test]
fn actions_are_audited_after_a_disconnect_and_in_compressed_requests() {
    let test_host = TestHost::new(&format!("{ACCESS_ON}{LINE_CONFIG}")).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    for number in 0..10 {
        let body = json!({"user": format!("ghost-{number}"), "roles": ["viewer"]}).to_string();
        let head = format!(
            "POST /api/v1/users HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ada}\r\n\
                Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            host.http,
            body.len()
        );
        let mut socket = TcpStream::connect(&host.http).unwrap();
        socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(number));
    }
    let count =
        |path: &str| send_as(&host, &ada, "GET", path, None).body["items"].to_string().matches("ghost-").count();
    thread::sleep(Duration::from_secs(1));
    let created = count("/api/v1/users");
    assert!(created > 0);
    wait_until("the audit", Duration::from_secs(20), || {
        let entries = audit(&host, &ada);
        Ok(entries.iter().filter(|entry| entry["target"].as_str().is_some_and(|to| to.starts_with("ghost-"))).count()
            >= created)
    })
    .unwrap();
    let entry = audit(&host, &ada).into_iter().find(|entry| entry["action"] == "POST /api/v1/users").unwrap();
    assert!(entry["detail"].as_str().unwrap().contains("viewer"), "{entry}");

    let id = feed(&host, &ada)["id"].as_str().unwrap().to_owned();
    let mutation = json!({"query": format!("mutation {{ acknowledgeAnomaly(id: \"{id}\") {{ id }} }}")}).to_string();
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    compressed.write_all(mutation.as_bytes()).unwrap();
    let bearer = format!("Bearer {ada}");
    let headers = [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    let url = format!("http://{}/graphql", host.http);
    let mut request = ureq::post(&url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send(&compressed.finish().unwrap()[..]).unwrap().body_mut().read_to_string().unwrap();
    assert!(answer.contains(&id) && !answer.contains("errors"), "{answer}");
    let entry = audit(&host, &ada).remove(0);
    assert_eq!(
        (&entry["action"], &entry["target"], &entry["outcome"]),
        (&json!("graphql acknowledge"), &json!(id), &json!("done")),
        "{entry}"
    );
}

#[test]
fn of_concurrent_changes_to_one_version_only_one_succeeds() {
    let test_host = TestHost::new(&format!("{ACCESS_ON}{LINE_CONFIG}")).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Operator, None);
    let ada = format!("Bearer {}", token(&host, "ada"));
    feed(&host, ada.trim_start_matches("Bearer "));
    let orders = send(&host, "GET", "/api/v1/work-orders?status=planned", &[("Authorization", &ada)], None);
    let order = format!("/api/v1/work-orders/{}", orders.body["items"][0]["id"].as_str().unwrap());
    // A tick of the planner may also change the work order between the read and the changes.
    let changed = (0..5).find_map(|_| {
        let current = send(&host, "GET", &order, &[("Authorization", &ada)], None);
        let body = json!({ "pinned": current.body["pinned"] != true });
        let headers = [("Authorization", ada.as_str()), ("If-Match", current.header("etag"))];
        let statuses = thread::scope(|scope| {
            let all: Vec<_> =
                (0..6).map(|_| scope.spawn(|| send(&host, "PATCH", &order, &headers, Some(&body)).status)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let succeeded = statuses.iter().filter(|status| **status == 200).count();
        assert!(succeeded < 2 && statuses.iter().all(|status| [200, 412].contains(status)), "{statuses:?}");
        (succeeded == 1).then_some(())
    });
    assert!(changed.is_some(), "no change succeeded");
    let without_etag = [("Authorization", ada.as_str())];
    assert_eq!(send(&host, "PATCH", &order, &without_etag, Some(&json!({ "pinned": true }))).status, 200);
    host.stop().unwrap();
}

#[test]
fn a_stream_ends_when_its_token_is_revoked() {
    let test_host = TestHost::new(ACCESS_ON).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Viewer, None);
    let ada = token(&host, "ada");
    let mut socket = TcpStream::connect(&host.http).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head =
        format!("GET /api/v1/anomalies/stream HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ada}\r\n\r\n", host.http);
    socket.write_all(head.as_bytes()).unwrap();
    let mut bytes = [0; 4096];
    assert!(socket.read(&mut bytes).unwrap() > 0);
    assert_eq!(send_as(&host, &ada, "POST", "/api/v1/auth/logout", None).status, 204);
    let began = Instant::now();
    let mut received = String::new();
    // The last chunk of a chunked body.
    while !received.ends_with("0\r\n\r\n") {
        let length = socket.read(&mut bytes).unwrap();
        if length == 0 {
            break;
        }
        received.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[test]
fn an_open_host_rejects_foreign_host_names_and_origins() {
    let test_host = TestHost::new("").unwrap();
    let host = test_host.start().unwrap();
    let (_, port) = host.http.rsplit_once(':').unwrap();
    let as_host = |name: &str| send(&host, "GET", "/api/v1/users", &[("Host", name)], None).status;
    for own in [&*host.http, &format!("localhost:{port}"), &format!("LOCALHOST:{port}"), "gateway"] {
        assert_eq!(as_host(own), 200, "{own}");
    }
    for foreign in [format!("evil.example:{port}"), "evil.example".into(), "127.0.0.1.evil.example".into()] {
        assert_eq!(as_host(&foreign), 421, "{foreign}");
    }
    let socket = |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut socket = TcpStream::connect(&host.http).unwrap();
        write!(socket, "GET /ws/anomalies HTTP/1.1\r\nHost: {}\r\n{head}\r\n", host.http).unwrap();
        let mut bytes = [0; 12];
        socket.read_exact(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[9..]).into_owned()
    };
    assert_eq!(socket("https://evil.example"), "403");
    assert_eq!(socket(&format!("http://{}", host.http)), "101");
}

#[test]
fn all_answers_have_the_documented_headers() {
    let test_host = TestHost::new(&format!("{ACCESS_ON}[http]\norigins = [\"https://plant.example\"]\n")).unwrap();
    let host = test_host.start().unwrap();
    add_user(&test_host, "ada", Role::Admin, None);
    let ada = format!("Bearer {}", token(&host, "ada"));
    let page = ("Origin", "https://plant.example");
    for path in ["/api/v1/overview", "/api/v1/users", "/api/v1/sensors", "/api/v1/auth/me"] {
        for headers in [vec![page], vec![page, ("Authorization", &*ada)]] {
            let answer = send(&host, "GET", path, &headers, None);
            assert_eq!(
                answer.header("access-control-allow-origin"),
                "https://plant.example",
                "{path} {}",
                answer.status
            );
            assert!(!answer.header("x-request-id").is_empty(), "{path}");
        }
        let foreign = send(&host, "GET", path, &[("Origin", "https://evil.example"), ("Authorization", &*ada)], None);
        assert_eq!(foreign.header("access-control-allow-origin"), "", "{path}");
    }
    for path in ["/api/v1/ingest", "/api/v1/overview", "/api/v1/auth/login", "/api/v1/users", "/api/v1/anomalies"] {
        let preflight = send(&host, "OPTIONS", path, &[page, ("Access-Control-Request-Method", "POST")], None);
        assert_eq!(
            (preflight.status, preflight.header("access-control-allow-origin")),
            (204, "https://plant.example"),
            "{path}"
        );
        assert!(preflight.header("access-control-allow-headers").contains("Authorization"), "{path}");
        assert!(!preflight.header("access-control-allow-methods").is_empty(), "{path}");
    }
    for (method, path) in
        [("DELETE", "/api/v1/ingest"), ("POST", "/health"), ("POST", "/api/v1/overview"), ("DELETE", "/metrics")]
    {
        let answer = send(&host, method, path, &[("Authorization", &*ada)], None);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (405, "application/problem+json"),
            "{method} {path}"
        );
        assert!(!answer.header("allow").is_empty(), "{method} {path}");
    }
    let compressed = send(&host, "GET", "/metrics", &[("Authorization", &*ada), ("Accept-Encoding", "gzip")], None);
    assert_eq!(compressed.header("content-encoding"), "gzip");
    let echoed = send(&host, "GET", "/api/v1/auth/me", &[("Authorization", &*ada), ("X-Request-Id", "abc-1")], None);
    assert_eq!(echoed.header("x-request-id"), "abc-1");
}
