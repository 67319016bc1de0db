//! What can be run, and yet is hardly meant so.

use std::{collections::BTreeSet, fmt};

use wheeltapper_condition::{speed, wave::features::Unit};

use crate::{Config, Machine, Sensor, UnknownSensors, words::nearest};

/// Something that can be run, and yet is hardly meant so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What, and what will come of it.
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

/// The skills that the jobs of the stage schedule ask for.
const SKILLS: [&str; 4] = ["mechanic", "vibration-analyst", "electrician", "instrumentation"];
/// The kinds of sensors that a stage knows something of.
const KINDS: [&str; 7] = ["vibration", "temperature", "current", "power", "pressure", "flow", "speed"];

/// Rates of sensors of machines, in Hz: from a reading in eleven days to more than any gives.
const RATES: std::ops::RangeInclusive<f64> = 1e-6..=1e7;

/// What in a configuration can be run, and yet is hardly meant so.
pub fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Vec::new();
    skills(&mut warnings, config);
    for (asset, machine) in config.machines() {
        sensors(&mut warnings, &asset, machine);
    }
    unheard(&mut warnings, config);
    unreachable(&mut warnings, config);
    warnings
}

fn warn(warnings: &mut Vec<Warning>, message: impl Into<String>, help: impl Into<String>) {
    warnings.push(Warning { message: message.into(), help: help.into() });
}

fn skills(warnings: &mut Vec<Warning>, config: &Config) {
    let there: BTreeSet<&str> =
        config.technicians.iter().flat_map(|technician| &technician.skills).map(String::as_str).collect();
    for technician in &config.technicians {
        for skill in technician.skills.iter().filter(|skill| !SKILLS.contains(&skill.as_str())) {
            let message = format!("[[technician]] {}: no job asks for the skill {skill:?}", technician.name);
            let help = match nearest(skill, &SKILLS) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("jobs ask for {}", SKILLS.join(", ")),
            };
            warn(warnings, message, help);
        }
    }
    // Without any technician nothing is to be planned.
    let missing: Vec<&str> = SKILLS.into_iter().filter(|skill| !there.contains(skill)).collect();
    if !config.technicians.is_empty() && !missing.is_empty() {
        let message =
            format!("no technician has the skills {}: work that asks for them is not planned", missing.join(", "));
        warn(warnings, message, "add them to `skills` of a [[technician]]");
    }
}

fn sensors(warnings: &mut Vec<Warning>, asset: &str, machine: &Machine) {
    for sensor in &machine.sensors {
        kind(warnings, asset, sensor);
        if let Some(rate) = sensor.sampling_hz.filter(|rate| !RATES.contains(rate)) {
            let message = format!(
                "{asset}/{}: sampling_hz = {rate} is hardly the rate of a sensor of machines, and what is missing is counted by it",
                sensor.name
            );
            warn(warnings, message, "write readings a second, or leave it out and it is estimated");
        }
        let unit = sensor.unit.as_str();
        if sensor.kind == "speed" && speed::hertz(unit).is_none() {
            let message = format!(
                "{asset}/{}: {unit:?} is no unit of a shaft's speed, so that it is not used as one",
                sensor.name
            );
            warn(warnings, message, "write unit = \"rpm\" or \"Hz\"");
        }
        if sensor.kind == "vibration" && !unit.is_empty() && Unit::parse(unit).is_none() {
            let message = format!(
                "{asset}/{}: {unit:?} is no unit of vibration, so that no zone of ISO 20816 is told",
                sensor.name
            );
            warn(warnings, message, "write unit = \"m/s2\", \"g\" or \"mm/s\"");
        }
    }
}

/// Kinds are free, but one that is nearly known is a slip of the pen.
fn kind(warnings: &mut Vec<Warning>, asset: &str, sensor: &Sensor) {
    let kind = sensor.kind.as_str();
    if let Some(near) =
        nearest(kind, &KINDS).filter(|near| *near != kind && strsim::damerau_levenshtein(near, kind) < 3)
    {
        let message = format!("{asset}/{}: nothing is known of sensors of the kind {kind:?}", sensor.name);
        warn(warnings, message, format!("did you mean {near:?}?"));
    }
}

/// What nobody will ever hear.
fn unheard(warnings: &mut Vec<Warning>, config: &Config) {
    let sites: Vec<&str> = config.sites.iter().map(|site| site.name.as_str()).collect();
    for route in config.alerts.routes.iter().filter(|_| !sites.is_empty()) {
        for site in route.sites.iter().filter(|site| !sites.contains(&site.as_str())) {
            let message = format!("[[alerts.route]] {}: there is no [[site]] {site:?}", route.name);
            warn(warnings, message, format!("sites are {}", sites.join(", ")));
        }
    }
    if config.unknown_sensors == UnknownSensors::Reject && config.sensors().next().is_none() {
        let message = "unknown_sensors is \"reject\" and no sensor is known: every reading ends in the dead letters";
        warn(warnings, message, "list the sensors below [[site]], or write unknown_sensors = \"accept\"");
    }
    let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) else { return };
    for filter in broker.ingest.iter().filter(|filter| filter.starts_with('$') || filter.starts_with("wheeltapper/")) {
        let message = format!("[mqtt.broker] ingest: topics of {filter:?} are never taken as readings");
        warn(warnings, message, "topics that begin with $ or wheeltapper/ are the broker's own: use others");
    }
}

fn unreachable(warnings: &mut Vec<Warning>, config: &Config) {
    let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled && broker.users.is_empty()) else {
        return;
    };
    let help = "add [[mqtt.broker.user]] with a name and password_env, or write anonymous = true to let in anybody";
    if broker.anonymous == Some(false) {
        warn(warnings, "[mqtt.broker] anonymous is false and there are no users: nobody can come in", help);
        return;
    }
    let elsewhere =
        [Some(&broker.listen), broker.tls_listen.as_ref()].into_iter().flatten().find(|listen| !is_here(listen));
    if let Some(listen) = elsewhere.filter(|_| broker.anonymous.is_none()) {
        let message =
            format!("[mqtt.broker] listens on {listen}, but lets in none but this machine: there are no users");
        warn(warnings, message, help);
    }
}

fn is_here(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}
