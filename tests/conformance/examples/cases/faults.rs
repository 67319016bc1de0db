//! Cases with healthy and faulty machines.

use crate::{
    plant,
    script::CaseScript,
    signal::{Sensor, pump, seconds},
};

/// The duration of one event, in seconds.
const EVENT_SECONDS: i64 = 5;

pub(crate) fn scripts() -> Vec<CaseScript> {
    vec![quiet(), hot_pump(), resolved(), several(), no_technician(), wear(), drift()]
}

fn quiet() -> CaseScript {
    let mut script = CaseScript::new(
        "quiet-machine",
        "a machine that does not change: windows and nothing else",
        plant::pumps("", &[("pump-1", 3)]),
    );
    let mut sensors = pump("north/hall/pump-1");
    for from in (0..90).step_by(5) {
        script.event(&seconds(&mut sensors, from, from + EVENT_SECONDS, |_, _| 0));
    }
    script.tick(95);
    script
}

fn hot_pump() -> CaseScript {
    let mut script = CaseScript::new(
        "fault-to-work-order",
        "a pump runs hot: anomalies, an alert, and a work order in the next shift with free time",
        plant::pumps("", &[("pump-1", 4)]),
    );
    let mut sensors = pump("north/hall/pump-1");
    for from in (0..120).step_by(5) {
        script.event(&seconds(&mut sensors, from, from + EVENT_SECONDS, |at, second| match at {
            0 if second >= 90 => 600 * (second - 90),
            _ => 0,
        }));
    }
    script.tick(125);
    script.tick(140);
    script
}

fn resolved() -> CaseScript {
    let mut script = CaseScript::new(
        "alert-that-resolves",
        "a pump draws more current for 20 seconds, then normal current: the alert resolves and its order is cancelled",
        plant::pumps("", &[("pump-1", 3)]),
    );
    let mut sensors = pump("north/hall/pump-1");
    for from in (0..150).step_by(5) {
        script.event(&seconds(&mut sensors, from, from + EVENT_SECONDS, |at, second| match at {
            2 if (80..100).contains(&second) => 8_000,
            _ => 0,
        }));
        if from % 50 == 0 {
            script.tick(from + EVENT_SECONDS);
        }
    }
    script.tick(155);
    script.tick(170);
    script
}

fn several() -> CaseScript {
    let mut script = CaseScript::new(
        "several-machines-in-one-event",
        "three pumps in every event, two of which fail at once: orders by the criticality of the machine",
        plant::pumps("", &[("pump-1", 1), ("pump-2", 3), ("pump-3", 5)]),
    );
    let names = ["north/hall/pump-1", "north/hall/pump-2", "north/hall/pump-3"];
    let mut sensors: Vec<_> = names.iter().flat_map(|name| pump(name)).collect();
    for from in (0..110).step_by(10) {
        script.event(&seconds(&mut sensors, from, from + 10, |at, second| match at {
            0 | 6 if second >= 80 => 15_000,
            _ => 0,
        }));
    }
    script.tick(115);
    script.tick(130);
    script
}

fn no_technician() -> CaseScript {
    let config = plant::pumps("", &[("pump-1", 5)]);
    let without_technicians: String = match (config.find("\n[[technician]]"), config.find("\n[[site]]")) {
        (Some(from), Some(to)) => format!("{}{}", &config[..from], &config[to..]),
        _ => config,
    };
    let mut script = CaseScript::new(
        "no-technician",
        "a fault without configured technicians: the order is not scheduled, and its notes contain the reason",
        without_technicians,
    );
    let mut sensors = pump("north/hall/pump-1");
    for from in (0..110).step_by(10) {
        script.event(&seconds(&mut sensors, from, from + 10, |at, second| match at {
            1 if second >= 80 => 6_000,
            _ => 0,
        }));
    }
    script.tick(115);
    script
}

fn wear() -> CaseScript {
    let mut script = CaseScript::new(
        "slow-wear",
        "a motor that slowly gets warmer: an alert and a prognosis of the remaining time",
        plant::motor(),
    );
    let mut sensors = [Sensor::new("north/hall/motor-1/temperature", 60_000, 500)];
    for from in (0..540).step_by(30) {
        script.event(&seconds(&mut sensors, from, from + 30, |_, second| 15 * (second - 340).max(0)));
    }
    script.tick(545);
    script.tick(560);
    script
}

fn drift() -> CaseScript {
    let mut script = CaseScript::new(
        "baseline-drift",
        "a motor's level changes permanently, by less than an anomaly: a drift is reported, and the outcome of \
         relearning",
        plant::motor(),
    );
    let mut sensors = [Sensor::new("north/hall/motor-1/temperature", 60_000, 500)];
    for from in (0..720).step_by(30) {
        script.event(&seconds(&mut sensors, from, from + 30, |_, second| (4 * (second - 240)).clamp(0, 350)));
    }
    script.tick(725);
    script.tick(740);
    script
}
