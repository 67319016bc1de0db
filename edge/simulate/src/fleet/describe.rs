//! Describes a fleet: its configuration, and the faults of its machines.

use std::fmt::Write as _;

use super::{Fleet, fault::Fault, machine::Quantity};

/// The fault of a machine, as ground truth.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultLabel {
    /// `site/area/machine`.
    pub machine: String,
    /// The kind of fault.
    pub fault: Fault,
    /// Start of the fault, in ns since 1970.
    pub onset_ns: i64,
    /// Time at which the fault reaches its full severity, in ns since 1970.
    pub full_strength_ns: i64,
    /// Id of the sensor, if it is a sensor fault.
    pub sensor: Option<String>,
}

const TECHNICIANS: &str = r#"[[technician]]
name = "Ada"
skills = ["mechanic", "vibration-analyst"]
hourly_cost = 62.0
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri"], start = "06:00", end = "14:00" }]

[[technician]]
name = "Bram"
skills = ["mechanic", "electrician"]
hourly_cost = 58.0
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri"], start = "14:00", end = "22:00" }]

[[technician]]
name = "Chidi"
skills = ["electrician", "instrumentation"]
hourly_cost = 60.0
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri"], start = "08:00", end = "16:00" }]

[[technician]]
name = "Dilek"
skills = ["mechanic", "electrician", "instrumentation", "vibration-analyst"]
hourly_cost = 74.0
shifts = [{ days = ["sat", "sun"], start = "07:00", end = "19:00" }]
"#;

impl Fleet {
    /// The faults of all machines, ordered by onset.
    pub fn labels(&self) -> Vec<FaultLabel> {
        let mut labels: Vec<FaultLabel> = self
            .machines
            .iter()
            .filter_map(|machine| {
                let found = machine.degradation?;
                let sensor = matches!(found.fault, Fault::StuckSensor | Fault::DroppingSensor)
                    .then(|| machine.kind.quantities().get(found.sensor))
                    .flatten()
                    .map(|quantity| format!("{}/{}", machine.id(), quantity.description().0));
                Some(FaultLabel {
                    machine: machine.id(),
                    fault: found.fault,
                    onset_ns: self.time_at(found.onset),
                    full_strength_ns: self.time_at(found.full_severity_at()),
                    sensor,
                })
            })
            .collect();
        labels.sort_by(|one, other| (one.onset_ns, &one.machine).cmp(&(other.onset_ns, &other.machine)));
        labels
    }

    /// The labels as CSV: `machine,fault,onset,full_strength,sensor`. Times are RFC 3339; `sensor` is empty unless it
    /// is a sensor fault.
    pub fn labels_csv(&self) -> String {
        let mut csv = "machine,fault,onset,full_strength,sensor\n".to_owned();
        for label in self.labels() {
            let (onset, full) = (rfc3339(label.onset_ns), rfc3339(label.full_strength_ns));
            let sensor = label.sensor.unwrap_or_default();
            // Writing to memory does not fail; no field contains a comma.
            let _ = writeln!(csv, "{},{},{onset},{full},{sensor}", label.machine, label.fault.name());
        }
        csv
    }

    /// The fleet as `wheeltapper.toml`: technicians, sites, areas, machines and sensors. All other settings have
    /// defaults.
    ///
    /// Accelerometers have no `sampling_hz`, because each waveform contains its sampling rate.
    pub fn config_toml(&self) -> String {
        let mut toml = format!(
            "# A simulated fleet of {} machines, seed {}.\n\n{TECHNICIANS}",
            self.machines.len(),
            self.spec.seed
        );
        let (mut site, mut area) = ("", "");
        for machine in &self.machines {
            if machine.site != site {
                (site, area) = (machine.site, "");
                let _ = write!(toml, "\n[[site]]\nname = \"{site}\"\n");
            }
            if machine.area != area {
                area = &machine.area;
                let _ = write!(toml, "\n[[site.area]]\nname = \"{area}\"\n");
            }
            let _ = write!(
                toml,
                "\n[[site.area.machine]]\nname = \"{}\"\nkind = \"{}\"\nrated_rpm = {:.1}\ncriticality = {}\nbearing = \"{}\"\n",
                machine.name,
                machine.kind.name(),
                machine.rated_rpm,
                machine.criticality,
                machine.bearing.name
            );
            for &quantity in machine.kind.quantities() {
                let (name, kind, unit, min, max, _) = quantity.description();
                let _ = write!(
                    toml,
                    "[[site.area.machine.sensor]]\nname = \"{name}\"\nkind = \"{kind}\"\nunit = \"{unit}\"\n"
                );
                if quantity != Quantity::Waveform {
                    let _ = writeln!(toml, "sampling_hz = {:?}", self.spec.scalar_hz);
                }
                let _ = writeln!(toml, "limits = {{ min = {min:.1}, max = {max:.1} }}");
            }
        }
        toml
    }
}

fn rfc3339(nanoseconds: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanoseconds))
        .map_or_else(|_| nanoseconds.to_string(), |time| time.to_string())
}
