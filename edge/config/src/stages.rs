//! What each stage is told, as JSON.

use serde_json::{Map, Value, json};

use crate::{Config, Machine, UnknownSensors};

impl Config {
    /// All of it as one JSON object: what the line wants to know of the plant on platforms that keep no instance (their
    /// variable `plant`). `runs` as for [`Self::detect_json`].
    pub fn plant_json(&self, runs: &[Vec<Vec<f64>>]) -> String {
        let assets: Map<String, Value> = self.sensors().map(|each| (each.id, Value::String(each.asset))).collect();
        let stages = [
            ("ingest", self.ingest_json()),
            ("featurize", self.featurize_json()),
            ("detect", self.detect_json(runs)),
            ("alert", self.alert_json()),
            ("schedule", self.schedule_json()),
        ];
        let mut all = Map::new();
        for (stage, json) in stages {
            // They were JSON a moment ago.
            all.insert(stage.into(), serde_json::from_str(&json).unwrap_or_default());
        }
        all.insert("assets".into(), Value::Object(assets));
        Value::Object(all).to_string()
    }

    /// For ingest.
    pub fn ingest_json(&self) -> String {
        let sensors: Map<String, Value> = self
            .sensors()
            .map(|each| {
                let limits = each.sensor.limits;
                let mut about = Map::new();
                put(&mut about, "min", limits.and_then(|limits| limits.min));
                put(&mut about, "max", limits.and_then(|limits| limits.max));
                put(&mut about, "sampling_hz", each.sensor.sampling_hz);
                about.insert("unit".into(), json!(each.sensor.unit));
                (each.id, Value::Object(about))
            })
            .collect();
        let unknown = match self.unknown_sensors {
            UnknownSensors::Accept => "accept",
            UnknownSensors::Reject => "reject",
        };
        json!({
            "unknown_sensors": unknown,
            "earliest": self.ingest.earliest,
            "max_future_seconds": self.ingest.max_future.seconds(),
            "max_payload_bytes": self.http.max_body.bytes(),
            "max_sensors_per_event": self.ingest.max_sensors_per_event,
            "max_readings_per_event": self.ingest.max_readings_per_event,
            "sensors": sensors,
        })
        .to_string()
    }

    /// For featurize: what is known of the machine goes to its vibration sensors.
    pub fn featurize_json(&self) -> String {
        let mut sensors = Map::new();
        for (asset, machine) in self.machines() {
            let speed = machine
                .sensors
                .iter()
                .find(|sensor| sensor.kind == "speed" && wheeltapper_condition::speed::hertz(&sensor.unit).is_some());
            for sensor in &machine.sensors {
                let mut about = Map::new();
                put(&mut about, "sampling_hz", sensor.sampling_hz);
                if sensor.kind == "vibration" {
                    put(&mut about, "unit", (!sensor.unit.is_empty()).then_some(sensor.unit.as_str()));
                    put(&mut about, "rpm", machine.rated_rpm);
                    put(&mut about, "speed_sensor", speed.map(|speed| format!("{asset}/{}", speed.name)));
                    put(&mut about, "bearing", bearing(machine));
                    put(&mut about, "teeth", machine.teeth);
                    put(&mut about, "iso_class", machine.iso_class.map(|class| json!(class)));
                } else if speed.is_some_and(|speed| speed.name == sensor.name) {
                    about.insert("unit".into(), json!(sensor.unit));
                }
                if !about.is_empty() {
                    sensors.insert(format!("{asset}/{}", sensor.name), Value::Object(about));
                }
            }
        }
        json!({
            "size_seconds": self.windows.size.seconds(),
            "slide_seconds": self.windows.slide.seconds(),
            "lateness_seconds": self.windows.lateness.seconds(),
            "sensors": sensors,
        })
        .to_string()
    }

    /// For detect. `runs`: what the files of `[detect.lives]` hold, rows of its sensors.
    pub fn detect_json(&self, runs: &[Vec<Vec<f64>>]) -> String {
        let sensors: Map<String, Value> = self
            .sensors()
            .map(|each| (each.id, json!({ "unit": each.sensor.unit, "kind": each.sensor.kind })))
            .collect();
        let mut all = Map::new();
        all.insert("model".into(), json!(self.detect.model));
        all.insert("warmup_windows".into(), json!(self.detect.warmup_windows));
        put(&mut all, "threshold", self.detect.threshold);
        put(&mut all, "spread_windows", self.detect.spread_windows);
        put(&mut all, "life_limit", self.detect.life_limit);
        if let Some(lives) = &self.detect.lives {
            let lives = json!({ "sensors": lives.sensors, "runs": runs, "horizon_windows": lives.horizon_windows });
            all.insert("lives".into(), lives);
        }
        all.insert("sensors".into(), Value::Object(sensors));
        Value::Object(all).to_string()
    }

    /// For alert.
    pub fn alert_json(&self) -> String {
        let mut all = Map::new();
        put(&mut all, "open_after", self.alerts.open_after);
        put(&mut all, "within", self.alerts.within);
        put(&mut all, "close_after", self.alerts.close_after);
        put(&mut all, "close_below", self.alerts.close_below);
        put(&mut all, "cooldown_seconds", self.alerts.cooldown.map(|cooldown| cooldown.seconds()));
        put(&mut all, "minimum_severity", self.alerts.minimum_severity.as_deref());
        Value::Object(all).to_string()
    }

    /// For schedule.
    pub fn schedule_json(&self) -> String {
        let technicians: Vec<Value> = self
            .technicians
            .iter()
            .map(|technician| {
                let shifts: Vec<Value> = technician
                    .shifts
                    .iter()
                    .map(|shift| json!({ "days": shift.days, "start": shift.start, "end": shift.end }))
                    .collect();
                json!({
                    "name": technician.name,
                    "skills": technician.skills,
                    "hourly_cost": technician.hourly_cost,
                    "shifts": shifts,
                })
            })
            .collect();
        let assets: Map<String, Value> =
            self.machines().map(|(asset, machine)| (asset, json!({ "criticality": machine.criticality }))).collect();
        json!({
            "technicians": technicians,
            "assets": assets,
            "currency": self.schedule.currency,
            "horizon_hours": self.schedule.horizon.seconds() / 3600.0,
            "utc_offset_minutes": self.schedule.utc_offset_minutes,
        })
        .to_string()
    }
}

/// Its inside, where that is given, else its designation.
fn bearing(machine: &Machine) -> Option<Value> {
    match (machine.bearing_geometry, &machine.bearing) {
        (Some(inside), _) => Some(json!({
            "balls": inside.balls,
            "ball_diameter": inside.ball_diameter,
            "pitch_diameter": inside.pitch_diameter,
            "contact_angle": inside.contact_angle,
        })),
        (None, designation) => designation.as_deref().map(Value::from),
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.into(), value.into());
    }
}
