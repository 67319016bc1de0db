//! What those who may see a part of the plant are told of the rest: nothing. And what the door does where somebody hangs up,
//! hides what they send, or is sent by a page of elsewhere.

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
    Plant, Running, SECOND, T0,
    door::{ON, add, send, token, with},
    wait_until,
};

const LINE: &str = "[line]\ncheckpoint = \"200ms\"\n[detect]\nwarmup_windows = 10\n\
    [[technician]]\nname = \"Ada\"\nskills = [\"mechanic\", \"vibration-analyst\", \"instrumentation\"]\n";

/// A sensor that those of another site must not learn of.
const NORTH: &str = "[[site]]\nname = \"north\"\n[[site.area]]\nname = \"hall\"\n[[site.area.machine]]\nname = \"pump\"\n\
    [[site.area.machine.sensor]]\nname = \"hot\"\nunit = \"degC\"\nsampling_hz = 0.000001\n\
    limits = { min = 0.0, max = 200.0 }\n";

/// Two machines, one at each of two sites, of which the one in the south breaks.
fn feed(host: &Running, ada: &str) -> Value {
    for site in ["north", "south"] {
        let readings: Vec<Value> = (0..1_200)
            .map(|second| {
                let noise = f64::from((second * 7919) % 101) / 101.0;
                let broken = if site == "south" && second > 900 { 50.0 } else { 0.0 };
                let time = T0 + i64::from(second) * SECOND;
                json!({"sensor_id": format!("{site}/m/s"), "timestamp": time, "values": 10.0 + noise + broken})
            })
            .collect();
        assert_eq!(with(host, ada, "POST", "/api/v1/ingest", Some(&json!(readings))).status, 202);
    }
    let first = || with(host, ada, "GET", "/api/v1/anomalies?limit=1", None).body["items"][0].clone();
    wait_until("an anomaly and its order", Duration::from_secs(60), || {
        let orders = with(host, ada, "GET", "/api/v1/work-orders", None).body["items"].as_array().map_or(0, Vec::len);
        Ok(orders > 0 && first()["id"].is_string())
    })
    .unwrap();
    first()
}

#[test]
fn nothing_of_another_site_is_told_on_any_route() {
    let plant = Plant::new(&format!("{ON}{LINE}")).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Admin, None);
    add(&plant, "bob", Role::Admin, Some(vec!["north".into()]));
    let (ada, bob) = (token(&host, "ada"), token(&host, "bob"));
    let anomaly = feed(&host, &ada);
    let id = anomaly["id"].as_str().unwrap();
    let order = with(&host, &ada, "GET", "/api/v1/work-orders", None).body["items"][0]["id"].clone();
    let order = order.as_str().unwrap();

    for route in ROUTES.iter().filter(|route| route.method == "GET" && route.permission != Permission::None) {
        if route.path.ends_with("/stream") || route.path.starts_with("/ws/") {
            continue;
        }
        for stand_in in [id, order, "south%2Fm%2Fs", "south"] {
            let path = match (route.path.find('{'), route.path.find('}')) {
                (Some(start), Some(end)) => {
                    format!("{}{stand_in}{}", &route.path[..start], &route.path[end + 1..])
                }
                _ => route.path.to_owned(),
            };
            let answer = with(&host, &bob, "GET", &path, None);
            let told = answer.body.to_string();
            // A problem may repeat what was asked for.
            assert!(answer.status >= 400 || !told.contains("south"), "{path}: {told}");
        }
    }
    let query = json!({"query": "{ sensors(first: 9) { nodes { name asset } } anomalies(first: 9) { nodes { id asset } } alerts(first: 9) { nodes { id asset } } workOrders(first: 9) { nodes { id asset } } assets { path } }"});
    let (seen, all) =
        (with(&host, &bob, "POST", "/graphql", Some(&query)), with(&host, &ada, "POST", "/graphql", Some(&query)));
    assert!(!seen.body.to_string().contains("south"), "{}", seen.body);
    assert!(all.body.to_string().contains("south"), "{}", all.body);
    let overview = with(&host, &bob, "GET", "/api/v1/overview", None);
    assert_eq!(
        (overview.status, overview.body["anomalies"].as_array().map(Vec::len)),
        (200, Some(0)),
        "{}",
        overview.body
    );
    assert!(with(&host, &ada, "GET", "/api/v1/overview", None).body.to_string().contains("south"));

    // Nor may an admin of one site make themselves one of all.
    let body = json!({"sites": null});
    assert_eq!(with(&host, &bob, "PATCH", "/api/v1/users/bob", Some(&body)).status, 403);
    let key = json!({"name": "x", "scopes": ["read"]});
    assert_eq!(with(&host, &bob, "POST", "/api/v1/keys", Some(&key)).status, 403);
    let act = format!("/api/v1/anomalies/{id}/acknowledge");
    assert_eq!(with(&host, &bob, "POST", &act, Some(&json!({}))).status, 404);
}

#[test]
fn a_tenant_cannot_ask_what_others_have() {
    let plant = Plant::new(&format!("{ON}{NORTH}")).unwrap();
    let host = plant.start().unwrap();
    let south = || Some(vec!["south".to_owned()]);
    add(&plant, "ada", Role::Operator, None);
    add(&plant, "sam", Role::Operator, south());
    add(&plant, "sue", Role::Viewer, south());
    let [ada, sam, sue] = ["ada", "sam", "sue"].map(|user| token(&host, user));
    let reading =
        |sensor: &str, value: f64| json!({"sensor_id": sensor, "timestamp": T0 / 1_000_000_000, "values": value});
    let both = json!([reading("north/pump/t", 1.5), reading("south/pump/t", 1.5)]);
    assert_eq!(with(&host, &ada, "POST", "/api/v1/ingest", Some(&both)).status, 202);

    // Plans, by the id that another was told.
    let planned = |token: &str, sensors: &[&str]| {
        let asked = json!({"sensor_ids": sensors, "time_horizon_hours": 24});
        let answer = with(&host, token, "POST", "/api/v1/maintenance/schedule", Some(&asked));
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.body["check_status_url"].as_str().unwrap().to_owned()
    };
    let seen = |token: &str, path: &str| with(&host, token, "GET", path, None).status;
    let (whole, north, own) =
        (planned(&ada, &[]), planned(&ada, &["north/pump/t", "south/pump/t"]), planned(&sam, &["south/pump/t"]));
    assert_eq!([&whole, &north, &own].map(|path| seen(&ada, path)), [200; 3]);
    assert_eq!([&whole, &north, &own].map(|path| seen(&sam, path)), [404, 404, 200]);
    assert_eq!(seen(&sue, &own), 200, "it is her site too");

    answers_alike(&host, &sam);

    let query = json!({"query": "mutation { acknowledgeAnomaly(id: \"ff\") { id } }"});
    let answer = with(&host, &sue, "POST", "/graphql", Some(&query));
    assert_eq!(answer.body["errors"][0]["extensions"]["code"], "FORBIDDEN", "{}", answer.body);

    let bare = |head: &str| {
        let mut stream = TcpStream::connect(&host.http).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[9..]).into_owned()
    };
    assert_eq!(bare(&format!("GET /api/v1/sensors HTTP/1.0\r\nAuthorization: Bearer {sam}\r\n\r\n")), "200");
    assert_eq!(bare(&format!("GET /api/v1/sensors HTTP/1.1\r\nAuthorization: Bearer {sam}\r\n\r\n")), "400");
}

/// A sensor that is configured elsewhere answers as one that is not, whatever else is wrong with what is sent.
fn answers_alike(host: &Running, sam: &str) {
    let now = T0 / 1_000_000_000;
    let sent =
        |sensor: &str, time: i64, values: Value| json!({"sensor_id": sensor, "timestamp": time, "values": values});
    let told = |path: &str, sensor: &str, time: i64, values: Value| {
        let sent = sent(sensor, time, values);
        let body = if path.ends_with("detect") { json!({ "sensor_data": sent }) } else { sent };
        let answer = with(host, sam, "POST", path, Some(&body));
        (answer.status, answer.body.to_string().replace(sensor, "?"))
    };
    let long = json!(vec![1.0; 10_000]);
    for path in ["/api/v1/ingest", "/api/v1/detect"] {
        // Beyond its limits; before the earliest time; in the future; and where a configured rate makes it last too long.
        for (time, values) in [(now, json!(900.0)), (1, json!(5.0)), (9_000_000_000, json!(5.0)), (now, long.clone())] {
            let [there, not] =
                ["hot", "not"].map(|name| told(path, &format!("north/hall/pump/{name}"), time, values.clone()));
            assert_eq!(there, not, "{path} {time}");
            assert!(there.0 >= 400, "{there:?}");
        }
    }
}

#[test]
fn a_strict_host_does_not_tell_which_sensors_others_have_either() {
    let plant = Plant::new(ON).unwrap();
    plant.configure(&format!("unknown_sensors = \"reject\"\n{ON}{NORTH}")).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "sam", Role::Operator, Some(vec!["south".into()]));
    answers_alike(&host, &token(&host, "sam"));
}

/// What the audit holds, newest first.
fn audit(host: &Running, ada: &str) -> Vec<Value> {
    with(host, ada, "GET", "/api/v1/audit?limit=1000", None).body["items"].as_array().unwrap().clone()
}

#[test]
fn what_is_done_is_written_down_whether_they_hang_up_or_hide_it() {
    let plant = Plant::new(&format!("{ON}{LINE}")).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Admin, None);
    let ada = token(&host, "ada");
    for number in 0..10 {
        let body = json!({"user": format!("ghost-{number}"), "roles": ["viewer"]}).to_string();
        let head = format!(
            "POST /api/v1/users HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ada}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            host.http,
            body.len()
        );
        let mut socket = TcpStream::connect(&host.http).unwrap();
        socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(number));
    }
    let count = |path: &str| with(&host, &ada, "GET", path, None).body["items"].to_string().matches("ghost-").count();
    thread::sleep(Duration::from_secs(1));
    let made = count("/api/v1/users");
    assert!(made > 0);
    wait_until("the audit", Duration::from_secs(20), || {
        let written = audit(&host, &ada);
        Ok(written.iter().filter(|entry| entry["target"].as_str().is_some_and(|to| to.starts_with("ghost-"))).count()
            >= made)
    })
    .unwrap();
    let entry = audit(&host, &ada).into_iter().find(|entry| entry["action"] == "POST /api/v1/users").unwrap();
    assert!(entry["detail"].as_str().unwrap().contains("viewer"), "{entry}");

    let id = feed(&host, &ada)["id"].as_str().unwrap().to_owned();
    let mutation = json!({"query": format!("mutation {{ acknowledgeAnomaly(id: \"{id}\") {{ id }} }}")}).to_string();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(mutation.as_bytes()).unwrap();
    let bearer = format!("Bearer {ada}");
    let headers = [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    let url = format!("http://{}/graphql", host.http);
    let mut request = ureq::post(&url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send(&packed.finish().unwrap()[..]).unwrap().body_mut().read_to_string().unwrap();
    assert!(answer.contains(&id) && !answer.contains("errors"), "{answer}");
    let entry = audit(&host, &ada).remove(0);
    assert_eq!(
        (&entry["action"], &entry["target"], &entry["outcome"]),
        (&json!("graphql acknowledge"), &json!(id), &json!("done")),
        "{entry}"
    );
}

#[test]
fn of_those_who_change_what_they_saw_one_does() {
    let plant = Plant::new(&format!("{ON}{LINE}")).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Operator, None);
    let ada = format!("Bearer {}", token(&host, "ada"));
    feed(&host, ada.trim_start_matches("Bearer "));
    let orders = send(&host, "GET", "/api/v1/work-orders?status=planned", &[("Authorization", &ada)], None);
    let order = format!("/api/v1/work-orders/{}", orders.body["items"][0]["id"].as_str().unwrap());
    // A tick of the planner's may change it, too, between the look and the changes.
    let changed = (0..5).find_map(|_| {
        let seen = send(&host, "GET", &order, &[("Authorization", &ada)], None);
        let body = json!({ "pinned": seen.body["pinned"] != true });
        let headers = [("Authorization", ada.as_str()), ("If-Match", seen.header("etag"))];
        let statuses = thread::scope(|scope| {
            let all: Vec<_> =
                (0..6).map(|_| scope.spawn(|| send(&host, "PATCH", &order, &headers, Some(&body)).status)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        let done = statuses.iter().filter(|status| **status == 200).count();
        assert!(done < 2 && statuses.iter().all(|status| [200, 412].contains(status)), "{statuses:?}");
        (done == 1).then_some(())
    });
    assert!(changed.is_some(), "nobody could");
    let careless = [("Authorization", ada.as_str())];
    assert_eq!(send(&host, "PATCH", &order, &careless, Some(&json!({ "pinned": true }))).status, 200);
    host.stop().unwrap();
}

#[test]
fn a_stream_ends_with_its_token() {
    let plant = Plant::new(ON).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Viewer, None);
    let ada = token(&host, "ada");
    let mut socket = TcpStream::connect(&host.http).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head =
        format!("GET /api/v1/anomalies/stream HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ada}\r\n\r\n", host.http);
    socket.write_all(head.as_bytes()).unwrap();
    let mut bytes = [0; 4096];
    assert!(socket.read(&mut bytes).unwrap() > 0);
    assert_eq!(with(&host, &ada, "POST", "/api/v1/auth/logout", None).status, 204);
    let began = Instant::now();
    let mut heard = String::new();
    // The end of a chunked body.
    while !heard.ends_with("0\r\n\r\n") {
        let length = socket.read(&mut bytes).unwrap();
        if length == 0 {
            break;
        }
        heard.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[test]
fn where_nobody_signs_in_a_page_of_elsewhere_gets_nothing() {
    let plant = Plant::new("").unwrap();
    let host = plant.start().unwrap();
    let (_, port) = host.http.rsplit_once(':').unwrap();
    let as_host = |name: &str| send(&host, "GET", "/api/v1/users", &[("Host", name)], None).status;
    for own in [&*host.http, &format!("localhost:{port}"), &format!("LOCALHOST:{port}"), "gateway"] {
        assert_eq!(as_host(own), 200, "{own}");
    }
    for trick in [format!("evil.example:{port}"), "evil.example".into(), "127.0.0.1.evil.example".into()] {
        assert_eq!(as_host(&trick), 421, "{trick}");
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
fn all_answers_bear_what_the_document_promises() {
    let plant = Plant::new(&format!("{ON}[http]\norigins = [\"https://plant.example\"]\n")).unwrap();
    let host = plant.start().unwrap();
    add(&plant, "ada", Role::Admin, None);
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
        let evil = send(&host, "GET", path, &[("Origin", "https://evil.example"), ("Authorization", &*ada)], None);
        assert_eq!(evil.header("access-control-allow-origin"), "", "{path}");
    }
    for path in ["/api/v1/ingest", "/api/v1/overview", "/api/v1/auth/login", "/api/v1/users", "/api/v1/anomalies"] {
        let asked = send(&host, "OPTIONS", path, &[page, ("Access-Control-Request-Method", "POST")], None);
        assert_eq!(
            (asked.status, asked.header("access-control-allow-origin")),
            (204, "https://plant.example"),
            "{path}"
        );
        assert!(asked.header("access-control-allow-headers").contains("Authorization"), "{path}");
        assert!(!asked.header("access-control-allow-methods").is_empty(), "{path}");
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
    let packed = send(&host, "GET", "/metrics", &[("Authorization", &*ada), ("Accept-Encoding", "gzip")], None);
    assert_eq!(packed.header("content-encoding"), "gzip");
    let echoed = send(&host, "GET", "/api/v1/auth/me", &[("Authorization", &*ada), ("X-Request-Id", "abc-1")], None);
    assert_eq!(echoed.header("x-request-id"), "abc-1");
}
