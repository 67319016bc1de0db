//! Validation of `[[site]]` and `[[technician]]`.

use std::collections::BTreeSet;

use wheeltapper_condition::bearing::{geometry::Geometry, table};

use super::Checker;
use crate::{Config, Machine, Sensor, Shift};

/// Maximum length of a sensor id that ingest accepts, in bytes.
const MAX_SENSOR_ID_BYTES: usize = 512;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    sites(checker, config);
    technicians(checker, config);
}

fn sites(checker: &mut Checker<'_>, config: &Config) {
    let mut sites = BTreeSet::new();
    for (number, site) in config.sites.iter().enumerate() {
        let at = format!("site.{number}");
        part(checker, &at, &site.name);
        once(checker, &at, &mut sites, &site.name, &format!("the site {}", site.name));
        let mut areas = BTreeSet::new();
        for (number, area) in site.areas.iter().enumerate() {
            let at = format!("{at}.area.{number}");
            let id = format!("{}/{}", site.name, area.name);
            part(checker, &at, &area.name);
            once(checker, &at, &mut areas, &area.name, &format!("the area {id}"));
            let mut machines = BTreeSet::new();
            for (number, machine) in area.machines.iter().enumerate() {
                let at = format!("{at}.machine.{number}");
                let id = format!("{id}/{}", machine.name);
                part(checker, &at, &machine.name);
                once(checker, &at, &mut machines, &machine.name, &format!("the machine {id}"));
                physics(checker, &at, machine);
                sensors(checker, &at, machine, &id);
            }
        }
    }
}

/// Reports a name that occurs twice.
fn once<'a>(checker: &mut Checker<'_>, at: &str, seen: &mut BTreeSet<&'a str>, name: &'a str, what: &str) {
    if !seen.insert(name) {
        let help = if what.starts_with("the machine") || what.starts_with("the sensor") {
            "give each its own name"
        } else {
            "give each its own name, or move the content of both below the first"
        };
        checker.at(&format!("{at}.name"), format!("{what} occurs twice"), help);
    }
}

fn part(checker: &mut Checker<'_>, at: &str, name: &str) {
    let at = format!("{at}.name");
    if name.trim().is_empty() || name.contains(['/', '+', '#']) || name.chars().any(char::is_control) {
        checker.at(&at, format!("{name:?} is not a valid level of a sensor id"), "use letters, digits and dashes");
    } else if name.trim() != name {
        let help = format!("write {:?}", name.trim());
        checker.at(&at, format!("{name:?} begins or ends with a space, which no device would send"), &help);
    }
}

fn physics(checker: &mut Checker<'_>, at: &str, machine: &Machine) {
    if !(1..=5).contains(&machine.criticality) {
        let message = "criticality must be from 1 (hardly matters) to 5 (the plant stops)";
        checker.at(&format!("{at}.criticality"), message, "leave it out for 3");
    }
    if machine.rated_rpm.is_some_and(|rpm| !(rpm.is_finite() && rpm > 0.0)) {
        checker.at(&format!("{at}.rated_rpm"), "rated_rpm must be above 0", "leave it out if it is unknown");
    }
    if machine.teeth.is_some_and(|teeth| teeth < 2) {
        checker.at(&format!("{at}.teeth"), "a gear has 2 teeth or more", "leave it out if there is no gear");
    }
    match (&machine.bearing_geometry, &machine.bearing) {
        (Some(geometry), _) if !geometry.possible() => {
            let help = format!("a bearing has {}", Geometry::POSSIBLE);
            checker.at(&format!("{at}.bearing_geometry"), "this bearing geometry is impossible", &help);
        }
        (None, Some(designation)) if table::find(designation).is_none() => {
            let known = table::BEARINGS.map(|entry| entry.name).join(", ");
            let help = format!(
                "known bearings: {known}; for another one, add its geometry in mm: \
                 bearing_geometry = {{ balls = 9, ball_diameter = 7.94, pitch_diameter = 39.04 }}"
            );
            let message = format!("the geometry of bearing {designation:?} is unknown");
            checker.at(&format!("{at}.bearing"), message, &help);
        }
        _ => {}
    }
}

fn sensors(checker: &mut Checker<'_>, at: &str, machine: &Machine, asset: &str) {
    let mut seen = BTreeSet::new();
    for (number, sensor) in machine.sensors.iter().enumerate() {
        let at = format!("{at}.sensor.{number}");
        let id = format!("{asset}/{}", sensor.name);
        part(checker, &at, &sensor.name);
        once(checker, &at, &mut seen, &sensor.name, &format!("the sensor {id}"));
        if id.len() > MAX_SENSOR_ID_BYTES {
            let message = format!("the sensor id has {} bytes, so its readings would be rejected", id.len());
            let help =
                format!("shorten the names of site, area, machine or sensor to {MAX_SENSOR_ID_BYTES} bytes in total");
            checker.at(&format!("{at}.name"), message, &help);
        }
        readings(checker, &at, sensor);
    }
}

fn readings(checker: &mut Checker<'_>, at: &str, sensor: &Sensor) {
    if let Some(limits) = sensor.limits {
        let at = format!("{at}.limits");
        if [limits.min, limits.max].into_iter().flatten().any(|limit| !limit.is_finite()) {
            checker.at(&at, "a limit must be a finite number", "leave min or max out for no limit");
        } else if let (Some(min), Some(max)) = (limits.min, limits.max)
            && min >= max
        {
            checker.at(&at, format!("min {min} is not below max {max}"), "swap them");
        }
    }
    if sensor.sampling_hz.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
        checker.at(&format!("{at}.sampling_hz"), "sampling_hz must be above 0", "leave it out to have it estimated");
    }
}

fn technicians(checker: &mut Checker<'_>, config: &Config) {
    let mut seen = BTreeSet::new();
    for (number, technician) in config.technicians.iter().enumerate() {
        let at = format!("technician.{number}");
        if technician.name.trim().is_empty() {
            checker.at(&format!("{at}.name"), "the name of the technician is empty", "write one, such as \"Ada\"");
        } else if !seen.insert(technician.name.as_str()) {
            checker.at(&format!("{at}.name"), "this technician occurs twice", "give each their own name");
        }
        for (number, _) in technician.skills.iter().enumerate().filter(|(_, skill)| skill.trim().is_empty()) {
            checker.at(
                &format!("{at}.skills.{number}"),
                "this skill is empty",
                "remove it, or write a skill such as \"mechanic\"",
            );
        }
        if !(0.0..=1e9).contains(&technician.hourly_cost) {
            let message = format!("hourly_cost must be from 0 to 1000000000, but is {}", technician.hourly_cost);
            checker.at(&format!("{at}.hourly_cost"), message, "leave it out for 0");
        }
        for (number, shift) in technician.shifts.iter().enumerate() {
            hours(checker, &format!("{at}.shifts.{number}"), shift);
        }
    }
}

fn hours(checker: &mut Checker<'_>, at: &str, shift: &Shift) {
    if shift.days.is_empty() {
        let help = "write its days, such as [\"mon\", \"tue\"]; leave shifts out if the technician is always available";
        checker.at(&format!("{at}.days"), "the shift has no days", help);
    }
    for (number, day) in shift.days.iter().enumerate() {
        checker.one_of(&format!("{at}.days.{number}"), day, &DAYS, &format!("{day:?} is not a day"));
    }
    for (key, time) in [("start", &shift.start), ("end", &shift.end)] {
        if !is_time_of_day(time) {
            let message = format!("{time:?} is not a time of day");
            checker.at(&format!("{at}.{key}"), message, "write it like \"06:00\"; the last time of a day is \"23:59\"");
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
