//! Questions that are small and cost much.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use wheeltapper_tests::{Plant, door::send};

use crate::http::{STANDSTILL, p99_beside};

/// 1 KB of GraphQL once took 38 s of a core, and four at once kept everybody waiting for 15 s.
#[test]
fn a_document_that_doubles_with_each_fragment_costs_nothing() {
    let plant = Plant::new("").unwrap();
    let host = plant.start().unwrap();
    let last = "fragment f27 on Query { machines { nodes { asset } } }";
    let bomb = (0..27).fold(format!("{{ ...f0 }} {last}"), |text, at| {
        format!("{text} fragment f{at} on Query {{ ...f{0} ...f{0} }}", at + 1)
    });
    let nested = format!("{{ machines(first: {}) {{ nodes {{ asset }} }} }}", "[".repeat(1_000));
    let p99 = p99_beside(&host, || {
        thread::scope(|scope| {
            for number in 0..4 {
                let query = if number == 3 { &nested } else { &bomb };
                let host = &host;
                scope.spawn(move || {
                    for _ in 0..10 {
                        let began = Instant::now();
                        let answer = send(host, "POST", "/graphql", &[], Some(&json!({ "query": query })));
                        assert_eq!(answer.status, 200);
                        let told = answer.body["errors"][0]["message"].as_str().unwrap();
                        assert!(told.contains("expands to") || told.contains("brackets"), "{told}");
                        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
                    }
                });
            }
        });
    });
    assert!(p99 < STANDSTILL, "{p99:?}");
}

/// What may be asked and costs much is computed a slice at a time, so that short questions are answered in between.
#[test]
fn long_answers_do_not_hold_up_short_ones() {
    let plant = Plant::new("[line]\ncheckpoint = \"200ms\"\n").unwrap();
    let host = plant.start().unwrap();
    let readings: Vec<_> = (0..1_000)
        .map(|number| json!({"sensor_id": format!("north/m{number}/s"), "timestamp": 1_767_225_600, "values": 1}))
        .collect();
    assert_eq!(host.post("application/json", json!(readings).to_string().as_bytes()).unwrap().status, 202);
    let fields: String = (0..9).map(|at| format!("a{at}: sensors(first: 1000) {{ nodes {{ name }} }} ")).collect();
    let query = format!("{{ {fields} }}");
    let p99 = p99_beside(&host, || {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let began = Instant::now();
                    while began.elapsed() < Duration::from_secs(3) {
                        let answer = send(&host, "POST", "/graphql", &[], Some(&json!({ "query": query })));
                        assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
                    }
                });
            }
        });
    });
    assert!(p99 < STANDSTILL, "{p99:?}");
}

/// JSON within JSON, long lists, and times without end.
#[test]
fn other_questions_that_could_cost_much_are_refused() {
    let plant = Plant::new("").unwrap();
    let host = plant.start().unwrap();
    let nested = "[".repeat(100_000);
    for path in ["/graphql", "/api/v1/detect", "/api/v1/maintenance/schedule"] {
        let mut answers = Vec::new();
        for body in [
            nested.clone(),
            format!("{{\"query\":{nested}"),
            format!("{{\"sensor_ids\":[{}\"a\"]}}", "\"a\",".repeat(100_000)),
        ] {
            let began = Instant::now();
            let answer = ureq_post(&host.http, path, &body);
            // An object without a document is answered by GraphQL itself: 200, and an error in it.
            let is_object = path == "/graphql" && body.starts_with("{\"sensor_ids\"");
            assert!(matches!(answer, 400 | 422) || is_object && answer == 200, "{path} {answer}");
            assert!(began.elapsed() < Duration::from_secs(5), "{path} {:?}", began.elapsed());
            answers.push(answer);
        }
    }
    let large = format!("{{\"query\":\"{}\"}}", " ".repeat(2 << 20));
    assert_eq!(ureq_post(&host.http, "/graphql", &large), 413);
}

fn ureq_post(host: &str, path: &str, body: &str) -> u16 {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let sent = agent.post(format!("http://{host}{path}")).header("Content-Type", "application/json").send(body);
    sent.unwrap().status().as_u16()
}
