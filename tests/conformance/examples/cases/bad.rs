//! Cases with invalid events.

use crate::{
    plant,
    script::{CaseScript, START},
    signal::{pump, seconds},
};

pub(crate) fn scripts() -> Vec<CaseScript> {
    vec![invalid_events(), unknown_sensors()]
}

fn invalid_events() -> CaseScript {
    let mut script = CaseScript::new(
        "bad-events",
        "malformed, non-finite, out of range, too old, of unknown format, partly valid: each is rejected with its \
         reason, and valid parts are stored",
        plant::pumps("", &[("pump-1", 3)]),
    );
    let reading = |time: &str, value: &str| {
        format!("{{\"sensor_id\":\"north/hall/pump-1/temperature\",\"timestamp\":{time},\"value\":{value}}}")
    };
    let mut sensors = pump("north/hall/pump-1");
    script.event(&seconds(&mut sensors, 0, 5, |_, _| 0));
    let now = (START + 5).to_string();
    for (source, payload) in [
        ("a", reading(&now, "999.0")),
        ("b", reading(&now, "-41")),
        ("c", reading(&now, "NaN")),
        ("d", reading(&now, "1e999")),
        ("e", reading(&now, "\"warm\"")),
        ("f", reading("\"1969-12-31T23:59:59Z\"", "20")),
        ("g", reading("\"yesterday\"", "20")),
        ("h", reading(&now, "20").replace("sensor_id", "sensr_id")),
        ("i", reading(&now, "20").replace("north/hall/pump-1/temperature", "")),
        ("j", reading(&now, "20").replace("north/hall", "no\\u0007rth")),
        ("k", "{\"sensor_id\":".to_owned()),
        ("l", "just words".to_owned()),
        ("m", "[1, 2, 3]".to_owned()),
    ] {
        script.event_as(source, None, None, &payload);
    }
    script.event_as("n", Some("application/x-yaml"), None, "sensor_id: a");
    script.event_as("o", Some("csv"), None, "when,what\n1,2\n");
    script.event_as("p", Some("line-protocol"), None, "north/hall/pump-1 temperature= 1\n");
    script.event_as("q", Some("senml"), None, "[{\"bver\":11,\"n\":\"x\",\"v\":1}]");
    script.event_as("r", Some("waveform"), None, "WTW1");
    script.bytes("s", None, &[0xff, 0xfe, 0x00, 0x80]);
    script.bytes("t", Some("json"), b"");
    // Invalid lines among valid ones; the last line is cut off.
    let valid = seconds(&mut sensors, 5, 10, |_, _| 0);
    let mut lines: Vec<String> = valid.lines().map(str::to_owned).collect();
    lines.insert(2, reading(&now, "12345"));
    lines.insert(7, "{\"sensor_id\":\"north/hall/pump-1/current\",\"timestamp\":0,\"value\":1}".to_owned());
    lines.push("{\"sensor_id\":\"north/hall/pump-1/cur".to_owned());
    script.event_as("u", Some("ndjson"), None, &lines.join("\n"));
    script.event(&seconds(&mut sensors, 10, 15, |_, _| 0));
    script.tick(20);
    script.tick(40);
    script
}

fn unknown_sensors() -> CaseScript {
    let mut script = CaseScript::new(
        "unknown-sensors-rejected",
        "only configured sensors are accepted: a misspelt one is rejected, and the other readings are stored",
        plant::pumps("unknown_sensors = \"reject\"\n\n", &[("pump-1", 3)]),
    );
    let mut sensors = pump("north/hall/pump-1");
    for from in (0..20).step_by(5) {
        let lines = seconds(&mut sensors, from, from + 5, |_, _| 0);
        let unknown = lines.lines().next().unwrap_or_default().replace("pump-1", "pump-l");
        script.event(&format!("{lines}{unknown}\n"));
    }
    script.tick(25);
    script.tick(40);
    script
}
