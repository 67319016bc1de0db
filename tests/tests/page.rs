//! The first page in a real browser: it shows what came in, the alert, the work order and the reason.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command, time::Duration};

use serde_json::Value;
use wheeltapper_tests::{Plant, SECOND, T0, wait_until};

#[test]
fn the_first_page_shows_readings_alert_and_order() {
    let (Some(pages), Some(_)) = (std::env::var_os("WHEELTAPPER_PAGES"), std::env::var_os("WHEELTAPPER_CHROMIUM"))
    else {
        eprintln!(
            "skipped: run it by `cargo xtask test`, which installs a browser and playwright-core (needs Node.js)"
        );
        return;
    };
    let plant = Plant::new(
        "[line]\ncheckpoint = \"200ms\"\n[detect]\nwarmup_windows = 10\n\
         [[technician]]\nname = \"Ada\"\nskills = [\"mechanic\", \"vibration-analyst\", \"instrumentation\"]\n",
    )
    .unwrap();
    let host = plant.start().unwrap();
    let mut body = String::new();
    for second in 0..500_i64 {
        let noise = f64::from(u32::try_from((second * 7919) % 101).unwrap()) / 101.0;
        let value = 10.0 + noise + if second >= 400 { 30.0 } else { 0.0 };
        let time = T0 + second * SECOND;
        body.push_str(&format!(
            "{{\"sensor_id\":\"plant/hall/pump-7/temperature\",\"timestamp\":{time},\"values\":{value}}}\n"
        ));
    }
    assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
    wait_until("a work order", Duration::from_secs(30), || Ok(plant.counts()?["work_orders"] == 1)).unwrap();

    let screenshot = Path::new(&pages).join("overview.png");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages/overview.mjs");
    let out = Command::new("node").arg(script).arg(format!("http://{}", host.http)).arg(&screenshot).output().unwrap();
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{told}\n{}", String::from_utf8_lossy(&out.stderr));
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["errors"], Value::Array(Vec::new()), "{told}");
    for width in ["desk", "phone"] {
        let shown = &told["shown"][width];
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("readings").replace(|letter: char| !letter.is_ascii_digit(), ""), "500", "{shown}");
        assert!(text("alerts").contains("pump-7") && text("alerts").contains("normally"), "{shown}");
        assert!(text("orders").contains("Ada"), "{shown}");
        assert!(text("anomalies").contains("plant/hall/pump-7"), "{shown}");
        assert_eq!(shown["overflow"], 0, "{shown}");
    }
    host.stop().unwrap();
}
