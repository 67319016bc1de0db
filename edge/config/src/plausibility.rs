//! Plausibility checks: warnings about settings that are valid but probably a mistake.

use std::{collections::BTreeSet, fmt};

use wheeltapper_condition_monitoring::{speed, waveform::features::SampleUnit};

use crate::{Config, Machine, Sensor, UnknownSensors, messages::most_similar};

/// A setting that is valid but probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The setting, and its consequence.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "warning: {}", self.message)?;
        writeln!(out, "  help: {}", self.help)
    }
}

/// The skills that the built-in jobs of the schedule stage require.
const JOB_SKILLS: [&str; 4] = ["mechanic", "vibration-analyst", "electrician", "instrumentation"];
/// The kinds of sensors that a stage treats specially.
const KNOWN_KINDS: [&str; 7] = ["vibration", "temperature", "current", "power", "pressure", "flow", "speed"];

/// Plausible sampling rates, in Hz: from one reading in eleven days to more than any sensor delivers.
const PLAUSIBLE_RATES: std::ops::RangeInclusive<f64> = 1e-6..=1e7;

/// Returns warnings about settings that are valid but probably a mistake.
pub fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Vec::new();
    check_skills(&mut warnings, config);
    for (asset, machine) in config.machines() {
        check_sensors(&mut warnings, &asset, machine);
    }
    check_ignored_data(&mut warnings, config);
    check_broker_access(&mut warnings, config);
    warnings
}

fn add_warning(warnings: &mut Vec<Warning>, message: impl Into<String>, help: impl Into<String>) {
    warnings.push(Warning { message: message.into(), help: help.into() });
}

fn check_skills(warnings: &mut Vec<Warning>, config: &Config) {
    let available: BTreeSet<&str> =
        config.technicians.iter().flat_map(|technician| &technician.skills).map(String::as_str).collect();
    for technician in &config.technicians {
        for skill in technician.skills.iter().filter(|skill| !JOB_SKILLS.contains(&skill.as_str())) {
            let message = format!("[[technician]] {}: no job requires the skill {skill:?}", technician.name);
            let help = match most_similar(skill, &JOB_SKILLS) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("jobs require the skills {}", JOB_SKILLS.join(", ")),
            };
            add_warning(warnings, message, help);
        }
    }
    // Without technicians, planning is not in use.
    let missing: Vec<&str> = JOB_SKILLS.into_iter().filter(|skill| !available.contains(skill)).collect();
    if !config.technicians.is_empty() && !missing.is_empty() {
        let message =
            format!("no technician has the skills {}: work that requires them is not scheduled", missing.join(", "));
        add_warning(warnings, message, "add them to `skills` of a [[technician]]");
    }
}

fn check_sensors(warnings: &mut Vec<Warning>, asset: &str, machine: &Machine) {
    for sensor in &machine.sensors {
        check_kind(warnings, asset, sensor);
        if let Some(rate) = sensor.sampling_hz.filter(|rate| !PLAUSIBLE_RATES.contains(rate)) {
            let message = format!(
                "{asset}/{}: sampling_hz = {rate} is implausible, and missing readings are counted with it",
                sensor.name
            );
            add_warning(warnings, message, "write the readings per second, or leave it out to have it estimated");
        }
        let unit = sensor.unit.as_str();
        if sensor.kind == "speed" && speed::hertz_per_unit(unit).is_none() {
            let message = format!(
                "{asset}/{}: {unit:?} is not a unit of shaft speed, so the sensor is not used as a speed sensor",
                sensor.name
            );
            add_warning(warnings, message, "write unit = \"rpm\" or \"Hz\"");
        }
        if sensor.kind == "vibration" && !unit.is_empty() && SampleUnit::parse(unit).is_none() {
            let message = format!(
                "{asset}/{}: {unit:?} is not a unit of vibration, so no ISO 20816 zone is determined",
                sensor.name
            );
            add_warning(warnings, message, "write unit = \"m/s2\", \"g\" or \"mm/s\"");
        }
    }
}

/// Any kind is allowed, but one that differs from a known kind by a letter or two is probably a typo.
fn check_kind(warnings: &mut Vec<Warning>, asset: &str, sensor: &Sensor) {
    let kind = sensor.kind.as_str();
    if let Some(near) =
        most_similar(kind, &KNOWN_KINDS).filter(|near| *near != kind && strsim::damerau_levenshtein(near, kind) < 3)
    {
        let message = format!("{asset}/{}: the kind of sensor {kind:?} is unknown", sensor.name);
        add_warning(warnings, message, format!("did you mean {near:?}?"));
    }
}

/// Warns about alert routes of unknown sites, and about readings that can never be accepted.
fn check_ignored_data(warnings: &mut Vec<Warning>, config: &Config) {
    let sites: Vec<&str> = config.sites.iter().map(|site| site.name.as_str()).collect();
    for route in config.alerts.routes.iter().filter(|_| !sites.is_empty()) {
        for site in route.sites.iter().filter(|site| !sites.contains(&site.as_str())) {
            let message = format!("[[alerts.route]] {}: there is no [[site]] {site:?}", route.name);
            add_warning(warnings, message, format!("configured sites are {}", sites.join(", ")));
        }
    }
    if config.unknown_sensors == UnknownSensors::Reject && config.sensors().next().is_none() {
        let message = "unknown_sensors is \"reject\" and no sensor is configured: every reading becomes a dead letter";
        add_warning(warnings, message, "list the sensors below [[site]], or write unknown_sensors = \"accept\"");
    }
    let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) else { return };
    for filter in broker.ingest.iter().filter(|filter| filter.starts_with('$') || filter.starts_with("wheeltapper/")) {
        let message = format!("[mqtt.broker] ingest: messages on {filter:?} are never ingested");
        add_warning(
            warnings,
            message,
            "topics that begin with $ or wheeltapper/ are reserved for the broker: use others",
        );
    }
}

fn check_broker_access(warnings: &mut Vec<Warning>, config: &Config) {
    let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled && broker.users.is_empty()) else {
        return;
    };
    let help =
        "add [[mqtt.broker.user]] with a name and password_env, or write anonymous = true to let any client connect";
    if broker.anonymous == Some(false) {
        add_warning(warnings, "[mqtt.broker] anonymous is false and there are no users: no client can connect", help);
        return;
    }
    let elsewhere =
        [Some(&broker.listen), broker.tls_listen.as_ref()].into_iter().flatten().find(|listen| !is_loopback(listen));
    if let Some(listen) = elsewhere.filter(|_| broker.anonymous.is_none()) {
        let message =
            format!("[mqtt.broker] listens on {listen}, but only this machine can connect: there are no users");
        add_warning(warnings, message, help);
    }
}

fn is_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}
