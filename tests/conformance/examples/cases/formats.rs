//! Cases with every text format.

use std::fmt::Write as _;

use crate::{
    plant,
    script::{CaseScript, START, timestamp_text},
    signal::{Sensor, pump, seconds, thousandths},
};

pub(crate) fn scripts() -> Vec<CaseScript> {
    vec![json(), text(), big()]
}

fn json() -> CaseScript {
    let mut script = CaseScript::new(
        "json-variants",
        "objects, arrays, concatenated objects, values by name, bare numbers, samples with a rate; times in every unit",
        plant::unknown(),
    );
    for second in 0..8 {
        let (time, value) = (START + second, thousandths(20_000 + 37 * second));
        // Times as text, and as numbers from seconds to nanoseconds.
        script.event(&format!(
            "{{\"sensor_id\":\"a/m/one\",\"timestamp\":\"{}\",\"values\":{value}}}",
            timestamp_text(second)
        ));
        script.event(&format!(
            "[{{\"sensor_id\":\"a/m/two\",\"timestamp\":{time}000,\"value\":{value}}},{{\"sensor\":\"b/m/three\",\"ts\":{time}000000,\"value\":-{value}}}]"
        ));
        script.event_as(
            "plant",
            Some("application/json"),
            None,
            &format!(
                "{{\"sensor_id\":\"a/m\",\"timestamp\":{time}000000000,\"values\":{{\"four\":{value},\"five\":1e-3}}}} {{\"sensor_id\":\"c\",\"time\":{time},\"value\":0}}"
            ),
        );
        script.event_as(
            "plant",
            Some("json"),
            Some("d/m/six"),
            &format!("{{\"timestamp\":{time},\"values\":{value}}}"),
        );
    }
    let samples: Vec<String> = (0..64).map(|at: i64| thousandths((at * 37) % 200 - 100)).collect();
    script.event(&format!(
        "{{\"sensor_id\":\"a/m/burst\",\"timestamp\":{START},\"values\":[{}],\"metadata\":{{\"sampling_hz\":640}}}}",
        samples.join(",")
    ));
    script.event(&format!("{{\"sensor_id\":\"a/m/axis\",\"timestamp\":{START},\"values\":[0.25,-0.5,9.81]}}"));
    script.tick(20);
    script.tick(40);
    script
}

fn text() -> CaseScript {
    let mut script = CaseScript::new(
        "text-formats",
        "NDJSON, InfluxDB line protocol, SenML, long and wide CSV, identified by media type, by short name and by \
         their bytes",
        plant::pumps("", &[("pump-1", 3)]),
    );
    let asset = "north/hall/pump-1";
    let mut sensors = pump(asset);
    for from in (0..30).step_by(10) {
        script.event_as(
            "gateway/1",
            Some("application/x-ndjson"),
            None,
            &seconds(&mut sensors, from, from + 2, |_, _| 0),
        );
        let mut lines = String::new();
        for second in from + 2..from + 4 {
            let [temperature, vibration, _] = &mut sensors;
            // Writing to a string does not fail.
            let _ = writeln!(
                lines,
                "{asset},line=7 temperature={},vibration={},running=true {}000000000",
                temperature.value(0),
                vibration.value(0),
                START + second
            );
        }
        let format = ["line-protocol", "application/vnd.influxdata.line-protocol"][usize::from(from > 0)];
        script.event_as("telegraf", Some(format), None, &lines);
        let mut records = vec![format!("{{\"bn\":\"{asset}/\",\"bt\":{}}}", START + from + 4)];
        for second in 0..2 {
            records
                .push(format!("{{\"n\":\"temperature\",\"u\":\"Cel\",\"t\":{second},\"v\":{}}}", sensors[0].value(0)));
        }
        script.event_as("lorawan", Some("application/senml+json"), None, &format!("[{}]", records.join(",")));
        let mut long = String::from("sensor_id,timestamp,value\n");
        for second in from + 6..from + 8 {
            let _ = writeln!(long, "{asset}/current,{},{}", timestamp_text(second), sensors[2].value(0));
        }
        script.event(&long);
        let mut wide = format!("time;{asset}/temperature;{asset}/current\n");
        for second in from + 8..from + 10 {
            let _ = writeln!(wide, "{};{};", START + second, sensors[0].value(0));
            let _ = writeln!(wide, "{};;{}", START + second, sensors[2].value(0));
        }
        script.event_as("historian", Some("text/csv; charset=utf-8"), None, &wide);
    }
    script.tick(40);
    script.tick(60);
    script
}

fn big() -> CaseScript {
    let mut script = CaseScript::new(
        "big-batch",
        "1,500 readings in one event: a table of five columns, whose windows all close at once",
        plant::unknown(),
    );
    let mut sensors: Vec<Sensor> =
        (1..=5).map(|number| Sensor::new(&format!("big/m{}/s{number}", number % 2), 1_000 * number, 90)).collect();
    let mut table = String::from("timestamp");
    for sensor in &sensors {
        let _ = write!(table, ",{}", sensor.name);
    }
    table.push('\n');
    for second in 0..300 {
        let _ = write!(table, "{}", START + second);
        for sensor in &mut sensors {
            let _ = write!(table, ",{}", sensor.value(if second > 250 { 40 } else { 0 }));
        }
        table.push('\n');
    }
    script.event_as("historian", Some("csv"), None, &table);
    script
}
