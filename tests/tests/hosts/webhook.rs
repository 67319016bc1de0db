//! Signed webhooks, health, metrics and the dashboard page.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::TcpStream, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wheeltapper_tests::{TestHost, wait_until};

const BODY: &[u8] = br#"{"sensor_id":"a/b","timestamp":1767225600,"values":1}"#;

fn signature(secret: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[test]
fn signed_webhooks_are_verified() {
    let test_host = TestHost::new("").unwrap();
    let path = test_host.path().join("secret");
    std::fs::write(&path, "hunter2\n").unwrap();
    test_host
        .configure(&format!(
            "[[http.source]]\nname = \"erp\"\nsecret_file = {path:?}\nrequired = true\nsignature = \"body\"\n"
        ))
        .unwrap();
    let host = test_host.start().unwrap();
    let post = |source: &str, signature: &str, body: &[u8]| {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Wheeltapper-Source", source),
            ("X-Wheeltapper-Signature", signature),
        ];
        host.post_with(&headers, body).unwrap().status
    };
    assert_eq!(post("erp", &signature(b"hunter2", BODY), BODY), 202);
    assert_eq!(post("erp", &signature(b"hunter3", BODY), BODY), 401);
    assert_eq!(post("erp", "sha256=zz", BODY), 401);
    assert_eq!(post("other", &signature(b"hunter2", BODY), BODY), 401);
    assert_eq!(host.post("application/json", BODY).unwrap().status, 401);
}

#[test]
fn health_metrics_and_page_are_served() {
    let test_host = TestHost::new("").unwrap();
    let host = test_host.start().unwrap();
    assert_eq!(host.post("application/json", BODY).unwrap().status, 202);
    assert_eq!((host.get("/health").unwrap().0, host.get("/ready").unwrap().0), (200, 200));
    assert!(host.metric("wheeltapper_readings_total").unwrap() >= 1.0);
    let _caller = TcpStream::connect(&host.mqtt).unwrap();
    wait_until("the connection is counted", Duration::from_secs(20), || {
        Ok(host.metric("wheeltapper_mqtt_connections")? == 1.0)
    })
    .unwrap();
    let (_, metrics) = host.get("/metrics").unwrap();
    for name in ["stage_call_seconds_bucket", "log_commit_seconds_bucket", "ingest_queue_bytes", "line_lag_bytes"] {
        assert!(metrics.contains(&format!("wheeltapper_{name}")), "{name} is not in\n{metrics}");
    }
    let (status, page) = host.get("/").unwrap();
    assert!(status == 200 && page.contains("<html") && page.contains("Wheeltapper"), "{page}");
    let (status, overview) = host.get("/api/v1/overview").unwrap();
    assert!(status == 200 && overview.contains("readings_per_second"), "{overview}");
    assert_eq!(host.get("/nowhere").unwrap().0, 404);
    host.stop().unwrap();
}

#[test]
fn a_second_host_on_the_same_data_is_rejected() {
    let test_host = TestHost::new("").unwrap();
    let _host = test_host.start().unwrap();
    let error = test_host.start().unwrap_err().to_string();
    assert!(error.contains("in use") || error.contains("another"), "{error}");
}
