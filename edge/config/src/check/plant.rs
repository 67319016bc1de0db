//! Validation of `[[site]]` and `[[technician]]`.

use std::collections::BTreeSet;

use wheeltapper_condition_monitoring::bearing::{geometry::Geometry, table};

use super::Checker;
use crate::{Config, Machine, Sensor, Shift};

/// Maximum length of a sensor id that ingest accepts, in bytes.
const MAX_SENSOR_ID_BYTES: usize = 512;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    check_sites(checker, config);
    check_technicians(checker, config);
}

fn check_sites(checker: &mut Checker<'_>, config: &Config) {
    let mut sites = BTreeSet::new();
    for (number, site) in config.sites.iter().enumerate() {
        let at = format!("site.{number}");
        check_level(checker, &at, &site.name);
        check_unique(checker, &at, &mut sites, &site.name, &format!("the site {}", site.name));
        let mut areas = BTreeSet::new();
        for (number, area) in site.areas.iter().enumerate() {
            let at = format!("{at}.area.{number}");
            let id = format!("{}/{}", site.name, area.name);
            check_level(checker, &at, &area.name);
            check_unique(checker, &at, &mut areas, &area.name, &format!("the area {id}"));
            let mut machines = BTreeSet::new();
            for (number, machine) in area.machines.iter().enumerate() {
                let at = format!("{at}.machine.{number}");
                let id = format!("{id}/{}", machine.name);
                check_level(checker, &at, &machine.name);
                check_unique(checker, &at, &mut machines, &machine.name, &format!("the machine {id}"));
                check_machine_properties(checker, &at, machine);
                check_sensors(checker, &at, machine, &id);
            }
        }
    }
}

/// Reports a name that occurs twice.
fn check_unique<'a>(checker: &mut Checker<'_>, at: &str, seen: &mut BTreeSet<&'a str>, name: &'a str, what: &str) {
    if !seen.insert(name) {
        let help = if what.starts_with("the machine") || what.starts_with("the sensor") {
            "give each its own name"
        } else {
            "give each its own name, or move the content of both below the first"
        };
        checker.report(&format!("{at}.name"), format!("{what} occurs twice"), help);
    }
}

fn check_level(checker: &mut Checker<'_>, at: &str, name: &str) {
    let at = format!("{at}.name");
    if name.trim().is_empty() || name.contains(['/', '+', '#']) || name.chars().any(char::is_control) {
        checker.report(&at, format!("{name:?} is not a valid level of a sensor id"), "use letters, digits and dashes");
    } else if name.trim() != name {
        let help = format!("write {:?}", name.trim());
        checker.report(&at, format!("{name:?} begins or ends with a space, which no device would send"), &help);
    }
}

fn check_machine_properties(checker: &mut Checker<'_>, at: &str, machine: &Machine) {
    if !(1..=5).contains(&machine.criticality) {
        let message = "criticality must be from 1 (hardly matters) to 5 (the plant stops)";
        checker.report(&format!("{at}.criticality"), message, "leave it out for 3");
    }
    if machine.rated_rpm.is_some_and(|rpm| !(rpm.is_finite() && rpm > 0.0)) {
        checker.report(&format!("{at}.rated_rpm"), "rated_rpm must be above 0", "leave it out if it is unknown");
    }
    if machine.teeth.is_some_and(|teeth| teeth < 2) {
        checker.report(&format!("{at}.teeth"), "a gear has 2 teeth or more", "leave it out if there is no gear");
    }
    match (&machine.bearing_geometry, &machine.bearing) {
        (Some(geometry), _) if !geometry.is_possible() => {
            let help = format!("a bearing has {}", Geometry::REQUIREMENTS);
            checker.report(&format!("{at}.bearing_geometry"), "this bearing geometry is impossible", &help);
        }
        (None, Some(designation)) if table::find_bearing(designation).is_none() => {
            let known = table::BEARINGS.map(|entry| entry.designation).join(", ");
            let help = format!(
                "known bearings: {known}; for another one, add its geometry in mm: \
                 bearing_geometry = {{ balls = 9, ball_diameter = 7.94, pitch_diameter = 39.04 }}"
            );
            let message = format!("the geometry of bearing {designation:?} is unknown");
            checker.report(&format!("{at}.bearing"), message, &help);
        }
        _ => {}
    }
}

fn check_sensors(checker: &mut Checker<'_>, at: &str, machine: &Machine, asset: &str) {
    let mut seen = BTreeSet::new();
    for (number, sensor) in machine.sensors.iter().enumerate() {
        let at = format!("{at}.sensor.{number}");
        let id = format!("{asset}/{}", sensor.name);
        check_level(checker, &at, &sensor.name);
        check_unique(checker, &at, &mut seen, &sensor.name, &format!("the sensor {id}"));
        if id.len() > MAX_SENSOR_ID_BYTES {
            let message = format!("the sensor id has {} bytes, so its readings would be rejected", id.len());
            let help =
                format!("shorten the names of site, area, machine or sensor to {MAX_SENSOR_ID_BYTES} bytes in total");
            checker.report(&format!("{at}.name"), message, &help);
        }
        check_sensor_range(checker, &at, sensor);
    }
}

fn check_sensor_range(checker: &mut Checker<'_>, at: &str, sensor: &Sensor) {
    if let Some(limits) = sensor.limits {
        let at = format!("{at}.limits");
        if [limits.min, limits.max].into_iter().flatten().any(|limit| !limit.is_finite()) {
            checker.report(&at, "a limit must be a finite number", "leave min or max out for no limit");
        } else if let (Some(min), Some(max)) = (limits.min, limits.max)
            && min >= max
        {
            checker.report(&at, format!("min {min} is not below max {max}"), "swap them");
        }
    }
    for (key, limits, order) in [("above", sensor.above, "rise"), ("below", sensor.below, "fall")] {
        let mut limits = limits.set();
        if key == "below" {
            limits.reverse();
        }
        if !limits.iter().all(|limit| limit.is_finite()) || !limits.is_sorted() {
            let message = format!("warn, alarm and danger of `{key}` must be finite and {order} in this order");
            checker.report(&format!("{at}.{key}"), message, "leave out those that do not apply");
        }
    }
    if sensor.sampling_hz.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
        checker.report(
            &format!("{at}.sampling_hz"),
            "sampling_hz must be above 0",
            "leave it out to have it estimated",
        );
    }
}

fn check_technicians(checker: &mut Checker<'_>, config: &Config) {
    let mut seen = BTreeSet::new();
    for (number, technician) in config.technicians.iter().enumerate() {
        let at = format!("technician.{number}");
        if technician.name.trim().is_empty() {
            checker.report(&format!("{at}.name"), "the name of the technician is empty", "write one, such as \"Ada\"");
        } else if !seen.insert(technician.name.as_str()) {
            checker.report(&format!("{at}.name"), "this technician occurs twice", "give each their own name");
        }
        for (number, _) in technician.skills.iter().enumerate().filter(|(_, skill)| skill.trim().is_empty()) {
            checker.report(
                &format!("{at}.skills.{number}"),
                "this skill is empty",
                "remove it, or write a skill such as \"mechanic\"",
            );
        }
        if !(0.0..=1e9).contains(&technician.hourly_cost) {
            let message = format!("hourly_cost must be from 0 to 1000000000, but is {}", technician.hourly_cost);
            checker.report(&format!("{at}.hourly_cost"), message, "leave it out for 0");
        }
        for (number, shift) in technician.shifts.iter().enumerate() {
            check_shift(checker, &format!("{at}.shifts.{number}"), shift);
        }
    }
}

fn check_shift(checker: &mut Checker<'_>, at: &str, shift: &Shift) {
    if shift.days.is_empty() {
        let help = "write its days, such as [\"mon\", \"tue\"]; leave shifts out if the technician is always available";
        checker.report(&format!("{at}.days"), "the shift has no days", help);
    }
    for (number, day) in shift.days.iter().enumerate() {
        checker.check_one_of(&format!("{at}.days.{number}"), day, &DAYS, &format!("{day:?} is not a day"));
    }
    for (key, time) in [("start", &shift.start), ("end", &shift.end)] {
        if !is_time_of_day(time) {
            let message = format!("{time:?} is not a time of day");
            checker.report(
                &format!("{at}.{key}"),
                message,
                "write it like \"06:00\"; the last time of a day is \"23:59\"",
            );
        }
    }
}

/// Whether the schedule stage can parse the time.
fn is_time_of_day(text: &str) -> bool {
    let number = |digits: &str, below: u32| {
        let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain && digits.parse::<u32>().is_ok_and(|number| number < below)
    };
    text.split_once(':').is_some_and(|(hours, minutes)| number(hours, 24) && number(minutes, 60))
}
