//! Ingestion of readings.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use wheeltapper_api::{LineApiError, MAX_BODY_BYTES, Receipt, Rejection, RejectionReason, Submission};

use crate::memory::{Memory, body, get, post, problem, text};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn rejection(readings: u32) -> Rejection {
    Rejection {
        position: 2,
        reason: RejectionReason::NonFinite,
        message: "value is NaN; send a number".to_owned(),
        readings,
    }
}

#[test]
fn accepted_and_rejected_readings_are_reported() {
    let line = Memory { receipt: Receipt { accepted: 3, rejections: vec![rejection(2)] }, ..Memory::default() };
    let response = post(&line, "/api/v1/ingest?sensor=a%2Fb&topic=plant/x", &[("content-type", "text/csv")], b"1,2");
    assert_eq!(response.status(), 202);
    assert_eq!(
        body(&response),
        json!({ "accepted": 3, "rejected": 2, "errors": [
            { "position": 2, "reason": "non-finite", "message": "value is NaN; send a number" }] })
    );
    assert_eq!(
        line.submitted.take(),
        [Submission {
            source: "plant/x".to_owned(),
            format: Some("text/csv".to_owned()),
            sensor: Some("a/b".to_owned()),
            payload: b"1,2".to_vec(),
        }]
    );
}

#[test]
fn without_a_topic_the_path_is_the_source() {
    let line = Memory { receipt: Receipt { accepted: 1, rejections: vec![] }, ..Memory::default() };
    assert_eq!(post(&line, "/api/v1/ingest?webhook=7", &[], b"{}").status(), 202);
    let submission = line.submitted.take().remove(0);
    assert_eq!((submission.source.as_str(), submission.format, submission.sensor), ("/api/v1/ingest", None, None));
}

#[test]
fn the_precision_is_added_to_the_format() {
    let line = Memory { receipt: Receipt { accepted: 1, rejections: vec![] }, ..Memory::default() };
    for (query, kind, format) in [
        ("precision=ms", Some("text/plain; charset=utf-8"), Some("text/plain; charset=utf-8; precision=ms")),
        ("precision=u", None, Some("*/*; precision=u")),
        ("precision=", Some("text/csv"), Some("text/csv")),
    ] {
        let headers: Vec<_> = kind.iter().map(|kind| ("content-type", *kind)).collect();
        assert_eq!(post(&line, &format!("/api/v1/ingest?{query}"), &headers, b"a value=1").status(), 202);
        assert_eq!(line.submitted.take()[0].format.as_deref(), format);
    }
    let unknown_unit = post(&line, "/api/v1/ingest?precision=minutes", &[], b"a value=1");
    assert_eq!(problem(&unknown_unit, 400), "precision=\"minutes\" is not one of ns, us, ms, s, n, u, m, h");
    assert!(line.submitted.take().is_empty());
}

#[test]
fn nothing_accepted_is_a_problem() {
    let line = Memory { receipt: Receipt { accepted: 0, rejections: vec![rejection(1); 150] }, ..Memory::default() };
    let response = post(&line, "/api/v1/ingest", &[], b"x");
    assert_eq!(problem(&response, 422), "nothing was accepted: value is NaN; send a number");
    assert_eq!(body(&response)["accepted"], 0);
    assert_eq!(body(&response)["rejected"], 150);
    assert_eq!(body(&response)["errors"].as_array().unwrap().len(), 100);
    // An event without readings is neither accepted nor rejected.
    assert_eq!(post(&Memory::default(), "/api/v1/ingest", &[], b"[]").status(), 202);
}

#[test]
fn gzip_is_decompressed() {
    let line = Memory { receipt: Receipt { accepted: 1, rejections: vec![] }, ..Memory::default() };
    for encoding in ["gzip", "X-GZip"] {
        let response = post(&line, "/api/v1/ingest", &[("content-encoding", encoding)], &gzip(b"hello"));
        assert_eq!(response.status(), 202);
        assert_eq!(line.submitted.take()[0].payload, b"hello");
    }
    let broken = post(&line, "/api/v1/ingest", &[("content-encoding", "gzip")], b"hello");
    assert!(problem(&broken, 400).contains("Content-Encoding"));
    let cut = &gzip(b"hello, hello, hello")[..20];
    assert!(problem(&post(&line, "/api/v1/ingest", &[("content-encoding", "gzip")], cut), 400).contains("gzip"));
    let unknown = post(&line, "/api/v1/ingest", &[("content-encoding", "zstd")], b"hello");
    assert!(problem(&unknown, 415).contains("\"zstd\" is not supported; send gzip"));
    assert_eq!(text(&unknown, "accept-encoding"), Some("gzip, identity"));
    assert!(line.submitted.take().is_empty());
}

#[test]
fn oversized_bodies_are_rejected() {
    let line = Memory::default();
    let large = vec![b' '; MAX_BODY_BYTES + 1];
    assert!(problem(&post(&line, "/api/v1/ingest", &[], &large), 413).contains("16777216 bytes"));
    let compressed = post(&line, "/api/v1/ingest", &[("content-encoding", "gzip")], &gzip(&large));
    assert!(problem(&compressed, 413).contains("decompressed"));
    let announced = post(&line, "/api/v1/ingest", &[("content-length", "99999999")], b"");
    assert!(problem(&announced, 413).contains("send less"));
    assert!(line.submitted.take().is_empty());
    assert!(
        problem(
            &post(
                &Memory { failure: Some(LineApiError::Internal("b".into())), ..line },
                "/api/v1/ingest",
                &[],
                &large[1..]
            ),
            500
        ) == "b"
    );
}

#[test]
fn transient_line_errors_set_retry_after() {
    let failing = |failure| Memory { failure: Some(failure), ..Memory::default() };
    let unavailable = failing(LineApiError::Unavailable("the store is locked".to_owned()));
    let response = post(&unavailable, "/api/v1/ingest", &[], b"{}");
    assert_eq!(problem(&response, 503), "the store is locked; send the same request again");
    assert_eq!(text(&response, "retry-after"), Some("1"));
    let response = post(
        &failing(LineApiError::Internal("the plant file is not valid JSON".to_owned())),
        "/api/v1/ingest",
        &[],
        b"{}",
    );
    assert_eq!(problem(&response, 500), "the plant file is not valid JSON");
    assert_eq!(text(&response, "retry-after"), None);
}

#[test]
fn ingest_allows_only_post() {
    let response = get(&Memory::default(), "/api/v1/ingest");
    assert_eq!(problem(&response, 405), "/api/v1/ingest does not allow GET; it allows POST, OPTIONS");
    assert_eq!(text(&response, "allow"), Some("POST, OPTIONS"));
}
