//! What a parser cannot see: names that clash, limits the wrong way round, times that are none.

mod access;

use std::{collections::BTreeMap, ops::Range};

use serde::Deserialize;
use toml::Spanned;
use wheeltapper_condition::bearing::{geometry::Geometry, table};
use wheeltapper_detectors::Kind;

use crate::{BearingGeometry, Config, ConfigError};

/// The same file, read once more for the places of what is checked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Places {
    windows: BTreeMap<String, Spanned<toml::Value>>,
    ingest: BTreeMap<String, Spanned<toml::Value>>,
    detect: BTreeMap<String, Spanned<toml::Value>>,
    line: LinePlaces,
    alerts: BTreeMap<String, Spanned<toml::Value>>,
    site: Vec<SitePlaces>,
    technician: Vec<TechnicianPlaces>,
    mqtt: MqttPlaces,
    access: access::AccessPlaces,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LinePlaces {
    components: BTreeMap<String, Spanned<String>>,
}

#[derive(Debug, Deserialize)]
struct SitePlaces {
    name: Spanned<String>,
    #[serde(default)]
    area: Vec<AreaPlaces>,
}

#[derive(Debug, Deserialize)]
struct AreaPlaces {
    name: Spanned<String>,
    #[serde(default)]
    machine: Vec<MachinePlaces>,
}

#[derive(Debug, Deserialize)]
struct MachinePlaces {
    name: Spanned<String>,
    #[serde(default)]
    criticality: Option<Spanned<i64>>,
    #[serde(default)]
    rated_rpm: Option<Spanned<f64>>,
    #[serde(default)]
    bearing: Option<Spanned<String>>,
    #[serde(default)]
    bearing_geometry: Option<Spanned<BearingGeometry>>,
    #[serde(default)]
    teeth: Option<Spanned<u32>>,
    #[serde(default)]
    sensor: Vec<SensorPlaces>,
}

#[derive(Debug, Deserialize)]
struct SensorPlaces {
    name: Spanned<String>,
    #[serde(default)]
    limits: Option<Spanned<BTreeMap<String, f64>>>,
    #[serde(default)]
    sampling_hz: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
struct TechnicianPlaces {
    name: Spanned<String>,
    #[serde(default)]
    shifts: Vec<ShiftPlaces>,
}

#[derive(Debug, Deserialize)]
struct ShiftPlaces {
    days: Vec<Spanned<String>>,
    start: Spanned<String>,
    end: Spanned<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MqttPlaces {
    client: Vec<ClientPlaces>,
}

#[derive(Debug, Deserialize)]
struct ClientPlaces {
    #[serde(default)]
    qos: Option<Spanned<i64>>,
    #[serde(default)]
    version: Option<Spanned<i64>>,
}

const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];

struct Checker<'a> {
    text: &'a str,
    file: &'a str,
    errors: Vec<ConfigError>,
}

impl Checker<'_> {
    fn say(&mut self, span: Range<usize>, message: impl Into<String>, help: &str) {
        let error = ConfigError::at(message.into(), Some(help.to_owned()), Some(span), self.text, self.file);
        self.errors.push(error);
    }
}

pub(crate) fn check(config: &Config, text: &str, file: &str) -> Vec<ConfigError> {
    let Ok(places) = toml::from_str::<Places>(text) else { return Vec::new() };
    let mut checker = Checker { text, file, errors: Vec::new() };
    settings(&mut checker, config, &places);
    plant(&mut checker, &places);
    technicians(&mut checker, &places);
    access::check(&mut checker, &places.access);
    checker.errors
}

fn span(of: &BTreeMap<String, Spanned<toml::Value>>, key: &str) -> Range<usize> {
    of.get(key).map_or(0..0, Spanned::span)
}

fn settings(checker: &mut Checker<'_>, config: &Config, places: &Places) {
    let windows = &config.windows;
    if windows.size.get().is_zero() {
        checker.say(span(&places.windows, "size"), "a window cannot be empty", "write a length such as \"30s\"");
    }
    if windows.slide.get().is_zero() || windows.slide > windows.size {
        let at = if places.windows.contains_key("slide") { "slide" } else { "size" };
        checker.say(
            span(&places.windows, at),
            format!("windows of {} s cannot slide by {} s", windows.size.seconds(), windows.slide.seconds()),
            "write a slide above 0 and not above the size; the size itself makes tumbling windows",
        );
    }
    if config.ingest.earliest.parse::<jiff::Timestamp>().is_err() {
        checker.say(span(&places.ingest, "earliest"), "this is no time", "write it as \"1990-01-01T00:00:00Z\"");
    }
    let models: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    if !models.contains(&config.detect.model.as_str()) {
        let message = format!("there is no model `{}`", config.detect.model);
        checker.say(span(&places.detect, "model"), message, &format!("write one of {}", models.join(", ")));
    }
    if config.detect.threshold.is_some_and(|threshold| !(threshold > 0.0 && threshold < 1.0)) {
        checker.say(
            span(&places.detect, "threshold"),
            "a threshold lies between 0 and 1",
            "leave it out for the default",
        );
    }
    if config.detect.warmup_windows < 5 {
        checker.say(span(&places.detect, "warmup_windows"), "fewer than 5 windows teach nothing", "write 30 or more");
    }
    if config.alerts.minimum_severity.as_ref().is_some_and(|severity| !SEVERITIES.contains(&severity.as_str())) {
        checker.say(
            span(&places.alerts, "minimum_severity"),
            "there is no such severity",
            "write low, medium, high or critical",
        );
    }
    routes(checker, config, places);
    for (stage, path) in &places.line.components {
        if !["ingest", "featurize", "detect", "alert", "schedule"].contains(&stage.as_str()) {
            let message = format!("there is no stage `{stage}`");
            checker.say(path.span(), message, "the stages are ingest, featurize, detect, alert and schedule");
        }
    }
    for client in &places.mqtt.client {
        if let Some(qos) = client.qos.as_ref().filter(|qos| !(0..=2).contains(qos.get_ref())) {
            checker.say(qos.span(), "qos is 0, 1 or 2", "write 1: each message is acknowledged once it is stored");
        }
        if let Some(version) = client.version.as_ref().filter(|version| ![4, 5].contains(version.get_ref())) {
            checker.say(version.span(), "version is 4 (MQTT 3.1.1) or 5", "leave it out for 5");
        }
    }
}

fn routes(checker: &mut Checker<'_>, config: &Config, places: &Places) {
    let span = span(&places.alerts, "route");
    let mut seen = BTreeMap::new();
    for route in &config.alerts.routes {
        if seen.insert(route.name.as_str(), ()).is_some() {
            let message = format!("the route {} is there twice", route.name);
            checker.say(span.clone(), message, "give each its own name");
        }
        if !SEVERITIES.contains(&route.severity.as_str()) {
            let message = format!("route {}: there is no severity `{}`", route.name, route.severity);
            checker.say(span.clone(), message, "write low, medium, high or critical");
        }
        match (&route.webhook, &route.webhook_env) {
            (Some(url), None) if !(url.starts_with("http://") || url.starts_with("https://")) => {
                let message = format!("route {}: the webhook is no URL", route.name);
                checker.say(span.clone(), message, "write it as https://host/path");
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => {
                let message = format!("route {} needs webhook or webhook_env, and not both", route.name);
                checker.say(span.clone(), message, "webhook_env names an environment variable that holds the URL");
            }
        }
    }
}

fn plant(checker: &mut Checker<'_>, places: &Places) {
    let mut machines = BTreeMap::new();
    for site in &places.site {
        part(checker, &site.name);
        for area in &site.area {
            part(checker, &area.name);
            for machine in &area.machine {
                part(checker, &machine.name);
                let id = format!("{}/{}/{}", site.name.get_ref(), area.name.get_ref(), machine.name.get_ref());
                if machines.insert(id.clone(), ()).is_some() {
                    checker.say(
                        machine.name.span(),
                        format!("the machine {id} is there twice"),
                        "give each its own name",
                    );
                }
                if let Some(criticality) =
                    machine.criticality.as_ref().filter(|value| !(1..=5).contains(value.get_ref()))
                {
                    checker.say(
                        criticality.span(),
                        "criticality is 1 (hardly matters) to 5 (the plant stops)",
                        "leave it out for 3",
                    );
                }
                physics(checker, machine);
                sensors(checker, machine, &id);
            }
        }
    }
}

fn physics(checker: &mut Checker<'_>, machine: &MachinePlaces) {
    if let Some(speed) = machine.rated_rpm.as_ref().filter(|rpm| !(rpm.get_ref().is_finite() && *rpm.get_ref() > 0.0)) {
        checker.say(speed.span(), "rated_rpm is above 0", "leave it out when it is not known");
    }
    if let Some(teeth) = machine.teeth.as_ref().filter(|teeth| *teeth.get_ref() < 2) {
        checker.say(teeth.span(), "a gear wheel has 2 teeth or more", "leave it out when there is none");
    }
    match (&machine.bearing_geometry, &machine.bearing) {
        (Some(geometry), _) if !geometry.get_ref().possible() => {
            let message = "there is no such bearing";
            checker.say(geometry.span(), message, &format!("a bearing has {}", Geometry::POSSIBLE));
        }
        (None, Some(designation)) if table::find(designation.get_ref()).is_none() => {
            let known = table::BEARINGS.map(|entry| entry.name).join(", ");
            checker.say(
                designation.span(),
                format!("the inside of a bearing {:?} is not known", designation.get_ref()),
                &format!(
                    "known here: {known}; of another, write bearing_geometry = {{ balls = 9, ball_diameter = 7.94, pitch_diameter = 39.04 }} (mm) beside it"
                ),
            );
        }
        _ => {}
    }
}

fn sensors(checker: &mut Checker<'_>, machine: &MachinePlaces, asset: &str) {
    let mut seen = BTreeMap::new();
    for sensor in &machine.sensor {
        part(checker, &sensor.name);
        if seen.insert(sensor.name.get_ref().clone(), ()).is_some() {
            let message = format!("the sensor {asset}/{} is there twice", sensor.name.get_ref());
            checker.say(sensor.name.span(), message, "give each its own name");
        }
        if let Some(limits) = &sensor.limits {
            let (min, max) = (limits.get_ref().get("min"), limits.get_ref().get("max"));
            if let (Some(min), Some(max)) = (min, max)
                && (min >= max || min.is_nan() || max.is_nan())
            {
                checker.say(limits.span(), format!("min {min} is not below max {max}"), "swap them");
            }
        }
        if let Some(rate) = sensor.sampling_hz.as_ref().filter(|rate| *rate.get_ref() <= 0.0 || rate.get_ref().is_nan())
        {
            checker.say(rate.span(), "sampling_hz is above 0", "leave it out and it is estimated");
        }
    }
}

fn part(checker: &mut Checker<'_>, name: &Spanned<String>) {
    let text = name.get_ref();
    if text.is_empty() || text.contains(['/', '+', '#']) || text.chars().any(char::is_control) {
        checker.say(name.span(), format!("{text:?} cannot be a part of a sensor's id"), "use letters, digits, dashes");
    }
}

fn technicians(checker: &mut Checker<'_>, places: &Places) {
    let mut seen = BTreeMap::new();
    for technician in &places.technician {
        if seen.insert(technician.name.get_ref().clone(), ()).is_some() {
            checker.say(technician.name.span(), "this technician is there twice", "give each their own name");
        }
        for shift in &technician.shifts {
            for day in &shift.days {
                if !["mon", "tue", "wed", "thu", "fri", "sat", "sun"].contains(&day.get_ref().as_str()) {
                    checker.say(
                        day.span(),
                        format!("{:?} is no day", day.get_ref()),
                        "write mon, tue, wed, thu, fri, sat or sun",
                    );
                }
            }
            for time in [&shift.start, &shift.end] {
                if jiff::civil::Time::strptime("%H:%M", time.get_ref()).is_err() {
                    checker.say(
                        time.span(),
                        format!("{:?} is no time of day", time.get_ref()),
                        "write it as \"06:00\"",
                    );
                }
            }
        }
    }
}
