//! The components on a real wasmCloud, if `wash` is installed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{composed, tick};
use wheeltapper_test_hosts::plant::{PLANT, plant_events};
use wheeltapper_wasmcloud_test_host::wash::{Layout, WashProcess};

const SECONDS: i64 = 280;
const FAULT_START: i64 = 210;

fn start_wash(layout: Layout) -> Option<WashProcess> {
    let Some(wash) = WashProcess::find() else {
        eprintln!("wash is neither on the path nor in WHEELTAPPER_WASH, so the tests on a real wasmCloud are skipped");
        return None;
    };
    let http = composed("http");
    Some(WashProcess::start(&wash, http.parent().unwrap(), PLANT, layout).unwrap())
}

fn assert_readings_become_work_orders(wash: &WashProcess) {
    let events = plant_events(SECONDS, FAULT_START);
    // Like a device: the next reading is sent long after the one before it was accepted.
    for event in &events {
        wash.publish("readings.plant", [event.as_slice()]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    wash.wait_for_number("SELECT coalesce(sum(count), 0)::bigint FROM readings", 4 * SECONDS).unwrap();
    wash.publish("tick", [tick(340).as_bytes()]).unwrap();
    wash.wait_for_number("SELECT count(*) FROM alerts WHERE asset = 'north/pump-1'", 1).unwrap();
    wash.wait_for_number("SELECT count(*) FROM work_orders WHERE asset = 'north/pump-1' AND technician = 'ada'", 1)
        .unwrap();
    wash.wait_for_number("SELECT count(*) FROM dead_letters", 0).unwrap();
    let windows: i64 = wash.rows("SELECT count(*) FROM windows").unwrap()[0].get(0);
    assert!(windows >= 4 * 40, "{windows}");
}

#[test]
fn one_component_processes_messages() {
    let Some(wash) = start_wash(Layout::SingleComponent) else { return };
    assert_readings_become_work_orders(&wash);
    // The API returns the results, and a reading that it accepts reaches the store too.
    let mut response = ureq::get(format!("{}/api/v1/work-orders", wash.url())).call().unwrap();
    assert!(response.body_mut().read_to_string().unwrap().contains("north/pump-1"));
    let reading = r#"{"sensor_id": "west/mixer-1/current", "timestamp": 1767571200, "value": 7.5}"#;
    let response = ureq::post(format!("{}/api/v1/ingest", wash.url())).content_type("application/json").send(reading);
    assert_eq!(response.unwrap().status().as_u16(), 202);
    wash.wait_for_number("SELECT count(*) FROM readings WHERE sensor = 'west/mixer-1/current'", 1).unwrap();
}

#[test]
fn one_component_per_stage_processes_messages() {
    let Some(wash) = start_wash(Layout::ComponentPerStage) else { return };
    assert_readings_become_work_orders(&wash);
}
