//! The configuration of each stage, as JSON.

use serde_json::{Map, Value, json};

use crate::{Config, Machine, UnknownSensors};

impl Config {
    /// Returns the configurations of all stages as one JSON object, with the asset of each sensor. Platforms that do
    /// not keep component instances pass it to the line in the variable `plant`. `runs`: see [`Self::detect_json`].
    pub fn plant_json(&self, runs: &[Vec<Vec<f64>>]) -> String {
        let assets: Map<String, Value> =
            self.sensors().map(|sensor| (sensor.id, Value::String(sensor.asset))).collect();
        let stages = [
            ("ingest", self.ingest_json()),
            ("featurize", self.featurize_json()),
            ("detect", self.detect_json(runs)),
            ("alert", self.alert_json()),
            ("schedule", self.schedule_json()),
        ];
        let mut object = Map::new();
        for (stage, json) in stages {
            // Never fails: the text was serialised above.
            object.insert(stage.into(), serde_json::from_str(&json).unwrap_or_default());
        }
        object.insert("assets".into(), Value::Object(assets));
        Value::Object(object).to_string()
    }

    /// Returns the configuration of the ingest stage.
    pub fn ingest_json(&self) -> String {
        let sensors: Map<String, Value> = self
            .sensors()
            .map(|sensor| {
                let limits = sensor.sensor.limits;
                let mut properties = Map::new();
                insert_some(&mut properties, "min", limits.and_then(|limits| limits.min));
                insert_some(&mut properties, "max", limits.and_then(|limits| limits.max));
                insert_some(&mut properties, "sampling_hz", sensor.sensor.sampling_hz);
                properties.insert("unit".into(), json!(sensor.sensor.unit));
                (sensor.id, Value::Object(properties))
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

    /// Returns the configuration of the featurize stage. Vibration sensors get the properties of their machine.
    pub fn featurize_json(&self) -> String {
        let mut sensors = Map::new();
        for (asset, machine) in self.machines() {
            let speed = machine.sensors.iter().find(|sensor| {
                sensor.kind == "speed"
                    && wheeltapper_condition_monitoring::speed::hertz_per_unit(&sensor.unit).is_some()
            });
            for sensor in &machine.sensors {
                let mut properties = Map::new();
                insert_some(&mut properties, "sampling_hz", sensor.sampling_hz);
                if sensor.kind == "vibration" {
                    insert_some(&mut properties, "unit", (!sensor.unit.is_empty()).then_some(sensor.unit.as_str()));
                    insert_some(&mut properties, "rpm", machine.rated_rpm);
                    insert_some(&mut properties, "speed_sensor", speed.map(|speed| format!("{asset}/{}", speed.name)));
                    insert_some(&mut properties, "bearing", bearing_json(machine));
                    insert_some(&mut properties, "teeth", machine.teeth);
                    insert_some(&mut properties, "iso_class", machine.iso_class.map(|class| json!(class)));
                } else if speed.is_some_and(|speed| speed.name == sensor.name) {
                    properties.insert("unit".into(), json!(sensor.unit));
                }
                if !properties.is_empty() {
                    sensors.insert(format!("{asset}/{}", sensor.name), Value::Object(properties));
                }
            }
        }
        json!({
            "size_seconds": self.windows.size.seconds(),
            "slide_seconds": self.windows.slide.seconds(),
            "lateness_seconds": self.windows.lateness.seconds(),
            "follow_rate": self.windows.follows_rate(),
            "sensors": sensors,
        })
        .to_string()
    }

    /// Returns the configuration of the detect stage. `runs` is the content of the files of `[detect.run_to_failure]`: for each
    /// file a list of rows, with one value for each sensor.
    pub fn detect_json(&self, runs: &[Vec<Vec<f64>>]) -> String {
        let mut sensors = Map::new();
        for (asset, machine) in self.machines() {
            for sensor in &machine.sensors {
                let mut properties = Map::new();
                properties.insert("unit".into(), json!(sensor.unit));
                properties.insert("kind".into(), json!(sensor.kind));
                for (key, limits) in [("above", sensor.above), ("below", sensor.below)] {
                    insert_some(&mut properties, key, (!limits.set().is_empty()).then(|| json!(limits)));
                }
                insert_some(&mut properties, "iso_class", machine.iso_class.map(|class| json!(class)));
                sensors.insert(format!("{asset}/{}", sensor.name), Value::Object(properties));
            }
        }
        let mut object = Map::new();
        object.insert("model".into(), json!(self.detect.model));
        insert_some(&mut object, "warmup_windows", self.detect.warmup_windows);
        insert_some(&mut object, "threshold", self.detect.threshold);
        insert_some(&mut object, "spread_windows", self.detect.spread_windows);
        insert_some(&mut object, "life_limit", self.detect.life_limit);
        if let Some(runs_to_failure) = &self.detect.run_to_failure {
            let runs_to_failure = json!({ "sensors": runs_to_failure.sensors, "runs": runs, "horizon_windows": runs_to_failure.horizon_windows });
            object.insert("run_to_failure".into(), runs_to_failure);
        }
        object.insert("sensors".into(), Value::Object(sensors));
        Value::Object(object).to_string()
    }

    /// Returns the configuration of the alert stage.
    pub fn alert_json(&self) -> String {
        let mut object = Map::new();
        insert_some(&mut object, "open_after", self.alerts.open_after);
        insert_some(&mut object, "within", self.alerts.within);
        insert_some(&mut object, "close_after", self.alerts.close_after);
        insert_some(&mut object, "close_below", self.alerts.close_below);
        insert_some(&mut object, "cooldown_seconds", self.alerts.cooldown.map(|cooldown| cooldown.seconds()));
        insert_some(&mut object, "minimum_severity", self.alerts.minimum_severity.as_deref());
        Value::Object(object).to_string()
    }

    /// Returns the configuration of the schedule stage.
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

/// Returns the bearing as the featurize stage expects it: the geometry if it is configured, or else the designation.
fn bearing_json(machine: &Machine) -> Option<Value> {
    match (machine.bearing_geometry, &machine.bearing) {
        (Some(geometry), _) => Some(json!({
            "balls": geometry.balls,
            "ball_diameter": geometry.ball_diameter,
            "pitch_diameter": geometry.pitch_diameter,
            "contact_angle": geometry.contact_angle,
        })),
        (None, designation) => designation.as_deref().map(Value::from),
    }
}

fn insert_some(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.into(), value.into());
    }
}
