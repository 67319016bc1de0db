//! Cases with readings that are late, repeated or out of order, and with sensors that stop sending.

use crate::{
    plant,
    script::{CaseScript, START},
    signal::{Sensor, pump, seconds},
};

pub(crate) fn scripts() -> Vec<CaseScript> {
    vec![late_and_duplicate(), reordered(), newest_first(), silent(), unicode()]
}

fn late_and_duplicate() -> CaseScript {
    let mut script = CaseScript::new(
        "late-and-duplicate",
        "late readings are stored, but closed windows do not contain them; repeated readings are dropped; readings \
         that contradict an earlier one of the same time are rejected one by one, and the rest of the event is stored",
        plant::pumps("", &[("pump-1", 3)]),
    );
    let mut sensors = pump("north/hall/pump-1");
    for from in (0..30).step_by(5) {
        let lines = seconds(&mut sensors, from, from + 5, |_, _| 0);
        script.event(&lines);
        // The first three lines again, in another event.
        let repeated: Vec<&str> = lines.lines().take(3).collect();
        let fresh = sensors[0].line(from + 5, 0);
        script.event(&format!("{}\n{fresh}", repeated.join("\n")));
        // The next event contains another value for the time of the fresh reading, and a reading that is older than
        // the newest by more than the lateness.
        let old = sensors[1].line(from - 7, 0);
        script.event(&format!("{old}{}", sensors[1].line(from + 5, 0)));
    }
    let samples: Vec<String> = (0..32).map(|at: i64| (at % 5 - 2).to_string()).collect();
    for value in [1, 2] {
        script.event(&format!(
            "{{\"sensor_id\":\"north/hall/pump-1/axial\",\"timestamp\":{START},\"values\":[{value},{}],\"metadata\":{{\"sampling_hz\":1000}}}}",
            samples.join(",")
        ));
    }
    script.tick(60);
    script.tick(75);
    script
}

fn reordered() -> CaseScript {
    let mut script = CaseScript::new(
        "reordered-within-the-lateness",
        "a radio that sends readings slightly out of order: every reading is in its window, as if they were in order",
        plant::pumps("", &[("pump-1", 3)]),
    );
    let mut sensors = pump("north/hall/pump-1");
    for from in (0..81).step_by(3) {
        // The newest reading comes first; the oldest is as late as the lateness allows.
        let lines = seconds(&mut sensors, from, from + 3, |_, _| 0);
        script.event(&lines.lines().rev().collect::<Vec<_>>().join("\n"));
    }
    script.tick(85);
    script.tick(100);
    script
}

fn newest_first() -> CaseScript {
    let mut script = CaseScript::new(
        "newest-first-in-one-event",
        "an export that begins with the newest reading: no reading is late, because the event is sorted first",
        plant::pumps("", &[("pump-1", 3)]),
    );
    let mut sensors = pump("north/hall/pump-1");
    let lines = seconds(&mut sensors, 0, 60, |_, _| 0);
    script.event(&lines.lines().rev().collect::<Vec<_>>().join("\n"));
    script.event(&seconds(&mut sensors, 60, 65, |_, _| 0));
    script.tick(70);
    script.tick(85);
    script
}

fn silent() -> CaseScript {
    let mut script = CaseScript::new(
        "silent-sensor",
        "a sensor stops sending: the second tick without readings closes its windows, and the machine is scored by \
         the others",
        plant::pumps("", &[("pump-1", 3), ("pump-2", 3)]),
    );
    let mut sensors = pump("north/hall/pump-1");
    for from in (0..110).step_by(5) {
        let active = if from < 70 { 3 } else { 2 };
        script.event(&seconds(&mut sensors[..active], from, from + 5, |at, second| match at {
            1 if second >= 90 => 5_000,
            _ => 0,
        }));
        if from % 15 == 0 {
            script.tick(from + 5);
        }
    }
    script.tick(120);
    script.tick(135);
    script.tick(150);
    script
}

fn unicode() -> CaseScript {
    let mut script = CaseScript::new(
        "unicode-names",
        "names of machines and sensors in any script, with spaces, quotes and dots, or of one word",
        plant::unknown(),
    );
    let names = [
        "Köln/Halle 3/Lüfter №1/Schwingung",
        "東京/ポンプ/温度",
        "x/it's \\\"quoted\\\"/t",
        "a.b.*.>/c",
        "πρέσα",
        "ไทย/เครื่อง/🌡",
    ];
    // The names are escaped as in JSON.
    let mut sensors: Vec<Sensor> = names.map(|name| Sensor::new(name, 30_000, 300)).into();
    for from in (0..95).step_by(5) {
        let lines = seconds(&mut sensors, from, from + 5, |at, second| match at {
            1 if second >= 75 => 9_000,
            _ => 0,
        });
        script.event_as("Werk/Köln", None, None, &lines);
    }
    script.tick(100);
    script.tick(115);
    script
}
