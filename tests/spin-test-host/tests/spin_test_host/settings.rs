//! The settings that an operator makes by variables: the API's tokens and the plant.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common::{App, composed};
use wheeltapper_spin_test_host::{LoadedComponent, Settings, SpinTestHost, TriggerEvent};
use wheeltapper_test_hosts::plant::{PLANT, plant_events};

fn request(
    app: &App,
    http: &LoadedComponent,
    method: &str,
    path: &str,
    token: Option<&str>,
    origin: &str,
) -> (u16, http::HeaderMap) {
    let mut request =
        http::Request::builder().method(method).uri(format!("http://localhost{path}")).header("origin", origin);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = app.host.http(http, request.body(Vec::new()).unwrap()).unwrap();
    (response.status().as_u16(), response.headers().clone())
}

#[test]
fn the_apis_tokens_are_variables() {
    let app = App::new(&[("plant", PLANT)]);
    let foreign = "http://elsewhere";
    let open = app.load("http", &[("api_token", ""), ("tick_token", "")]);
    assert_eq!(request(&app, &open, "GET", "/api/v1/alerts", None, foreign).0, 200);
    assert_eq!(
        request(&app, &open, "POST", "/api/v1/tick", Some(""), foreign).0,
        404,
        "without a tick token the route does not exist"
    );

    let closed = [("api_token", "wheel"), ("tick_token", "tock"), ("cors_origins", "https://plant.example")];
    let closed = app.load("http", &closed);
    for (token, expected) in [(None, 401), (Some("tock"), 401), (Some("wheel"), 200)] {
        assert_eq!(request(&app, &closed, "GET", "/api/v1/alerts", token, foreign).0, expected, "{token:?}");
    }
    for (token, expected) in [(None, 401), (Some("wheel"), 401)] {
        assert_eq!(request(&app, &closed, "POST", "/api/v1/tick", token, foreign).0, expected, "{token:?}");
    }
    let (ticked, _) = request(&app, &closed, "POST", "/api/v1/tick", Some("tock"), foreign);
    assert!((200..300).contains(&ticked), "{ticked}");
    let origin = "https://plant.example";
    let (_, headers) = request(&app, &closed, "GET", "/api/v1/alerts", Some("wheel"), origin);
    assert_eq!(headers.get("access-control-allow-origin").unwrap(), origin);
}

/// Opens an application with a mounted folder that contains the plant.
fn app_with_mounted_plant(plant: &str) -> (tempfile::TempDir, SpinTestHost, LoadedComponent) {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("plant.json"), plant).unwrap();
    let settings = Settings {
        variables: [("plant", "@/plant.json"), ("role", "readings")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        mounted_folder: Some(files),
        ..Settings::default()
    };
    let host = SpinTestHost::open(folder.path(), settings).unwrap();
    let component = host.load(&composed("redis")).unwrap();
    (folder, host, component)
}

#[test]
fn the_plant_may_be_a_file() {
    let plant = r#"{"assets": {"north/pump-1/temperature": "the old pump"}}"#;
    let (_folder, host, component) = app_with_mounted_plant(plant);
    host.event(&component, &TriggerEvent::Redis(plant_events(1, 9).remove(0)), None).unwrap();
    let connection = rusqlite::Connection::open(host.database()).unwrap();
    let asset =
        connection.query_row("SELECT asset FROM sensors WHERE name = 'north/pump-1/temperature'", [], |row| row.get(0));
    assert_eq!(asset, Ok("the old pump".to_owned()));
}

#[test]
fn an_invalid_plant_is_an_error() {
    for plant in ["{", r#"{"asets": {}}"#] {
        let (_folder, host, component) = app_with_mounted_plant(plant);
        host.event(&component, &TriggerEvent::Redis(plant_events(1, 9).remove(0)), None).unwrap_err();
    }
    let app = App::new(&[("plant", "@/nowhere.json"), ("role", "readings")]);
    let component = app.load("redis", &[]);
    app.host.event(&component, &TriggerEvent::Redis(plant_events(1, 9).remove(0)), None).unwrap_err();
}
