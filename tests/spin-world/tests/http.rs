//! The API's component before the line: what a browser or a device sees.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::App;
use wheeltapper_spin_world::Loaded;
use wheeltapper_worlds::plant::{PLANT, events, is_told};

fn ask(app: &App, http: &Loaded, request: http::request::Builder, body: &[u8]) -> (u16, String) {
    let answer = app.world.http(http, request.body(body.to_vec()).unwrap()).unwrap();
    (answer.status().as_u16(), String::from_utf8(answer.into_body()).unwrap())
}

#[test]
fn readings_go_in_and_can_be_asked_for() {
    let app = App::new(&[("plant", PLANT)]);
    let http = app.load("http", &[]);
    let post = || http::Request::post("http://localhost/api/v1/ingest").header("content-type", "application/x-ndjson");
    for event in events(30, 99) {
        let (status, body) = ask(&app, &http, post(), &event);
        assert_eq!(status, 202, "{body}");
        assert!(body.contains("\"accepted\":4"), "{body}");
    }
    let (status, body) = ask(&app, &http, post(), b"nonsense");
    assert_eq!(status, 422, "{body}");
    is_told(|path| ask(&app, &http, http::Request::get(format!("http://localhost{path}")), b""));
}
