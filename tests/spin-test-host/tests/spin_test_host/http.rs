//! The API composed with the line, as a browser or a device uses it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::App;
use wheeltapper_spin_test_host::LoadedComponent;
use wheeltapper_test_hosts::plant::{PLANT, assert_api_reports, plant_events};

fn request(app: &App, http: &LoadedComponent, builder: http::request::Builder, body: &[u8]) -> (u16, String) {
    let response = app.host.http(http, builder.body(body.to_vec()).unwrap()).unwrap();
    (response.status().as_u16(), String::from_utf8(response.into_body()).unwrap())
}

#[test]
fn readings_are_accepted_and_can_be_queried() {
    let app = App::new(&[("plant", PLANT)]);
    let http = app.load("http", &[]);
    let post = || http::Request::post("http://localhost/api/v1/ingest").header("content-type", "application/x-ndjson");
    for event in plant_events(30, 99) {
        let (status, body) = request(&app, &http, post(), &event);
        assert_eq!(status, 202, "{body}");
        assert!(body.contains("\"accepted\":4"), "{body}");
    }
    let (status, body) = request(&app, &http, post(), b"nonsense");
    assert_eq!(status, 422, "{body}");
    assert_api_reports(|path| request(&app, &http, http::Request::get(format!("http://localhost{path}")), b""));
}
