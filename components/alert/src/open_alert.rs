//! The alert of an asset, with the state that is needed to update it.

use serde::{Deserialize, Serialize};

use crate::messages;
use crate::record::is_sensor_fault;
use crate::{Alert, AlertState, Anomaly, Severity};

/// Number of consecutive anomalies after which another sensor or fault mode takes the lead, so that two alternating
/// ones do not make the alert flap.
const LEAD_CHANGE_AFTER: u32 = 3;

/// A sensor or fault mode that may replace the leading one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LeadChallenger {
    name: String,
    consecutive: u32,
}

impl LeadChallenger {
    /// Counts `candidate`. Returns whether it has occurred often enough in a row to replace `leader`.
    fn takes_lead(&mut self, candidate: &str, leader: &str) -> bool {
        if candidate == leader {
            self.consecutive = 0;
        } else if self.consecutive > 0 && self.name == candidate {
            self.consecutive = self.consecutive.saturating_add(1);
        } else {
            self.name.clear();
            self.name.push_str(candidate);
            self.consecutive = 1;
        }
        let takes_lead = self.consecutive >= LEAD_CHANGE_AFTER;
        if takes_lead {
            self.consecutive = 0;
        }
        takes_lead
    }
}

/// A summary of the anomalies of one window before the alert opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingWindow {
    pub anomalies: u32,
    pub severity: Severity,
    pub peak: f64,
    pub fault_mode: Option<String>,
}

/// An alert and the state that is needed to update it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenAlert {
    id: String,
    sensor: String,
    feature: Option<String>,
    severity: Severity,
    opened: i64,
    updated: i64,
    pub resolved: Option<i64>,
    anomalies: u32,
    peak: f64,
    newest: String,
    threshold: f64,
    fault_mode: Option<String>,
    message: String,
    /// Number of consecutive quiet windows.
    #[serde(default)]
    quiet_windows: u32,
    #[serde(default)]
    sensor_challenger: LeadChallenger,
    #[serde(default)]
    fault_challenger: LeadChallenger,
}

impl OpenAlert {
    /// Creates an alert that is opened by the window of `lead`. The pending windows include that of `lead`.
    pub fn open<'a>(lead: &Anomaly, pending: impl IntoIterator<Item = &'a PendingWindow>) -> Self {
        let mut new = Self {
            id: alert_id(lead),
            sensor: String::new(),
            feature: None,
            severity: lead.severity,
            opened: lead.end,
            updated: lead.end,
            resolved: None,
            anomalies: 0,
            peak: 0.0,
            newest: String::new(),
            threshold: lead.threshold,
            fault_mode: None,
            message: String::new(),
            quiet_windows: 0,
            sensor_challenger: LeadChallenger::default(),
            fault_challenger: LeadChallenger::default(),
        };
        new.reopen(lead, pending);
        new
    }

    /// The sensor, if the alert is about a fault of a sensor.
    pub fn faulty_sensor(&self) -> Option<&str> {
        self.fault_mode.as_deref().filter(|mode| is_sensor_fault(mode)).map(|_| self.sensor.as_str())
    }

    /// Opens the alert again; it continues under its id.
    pub fn reopen<'a>(&mut self, lead: &Anomaly, pending: impl IntoIterator<Item = &'a PendingWindow>) {
        self.resolved = None;
        self.quiet_windows = 0;
        self.sensor_challenger = LeadChallenger::default();
        self.fault_challenger = LeadChallenger::default();
        for window in pending {
            self.anomalies = self.anomalies.saturating_add(window.anomalies);
            self.severity = self.severity.max(window.severity);
            self.peak = self.peak.max(window.peak);
            if window.fault_mode.is_some() {
                self.fault_mode.clone_from(&window.fault_mode);
            }
        }
        self.set_lead(lead);
        self.update_newest(lead);
    }

    /// Adds the anomalies of a window. Returns whether the change is significant enough to send the alert again.
    pub fn add_anomalies(&mut self, anomalies: &[&Anomaly]) -> bool {
        self.quiet_windows = 0;
        let before = self.anomalies;
        let mut is_significant = false;
        for anomaly in anomalies {
            self.anomalies = self.anomalies.saturating_add(1);
            self.peak = self.peak.max(anomaly.score);
            let raised = anomaly.severity > self.severity;
            if raised {
                self.severity = anomaly.severity;
                is_significant = true;
            }
            if self.sensor_challenger.takes_lead(&anomaly.sensor, &self.sensor)
                || (raised && anomaly.sensor != self.sensor)
            {
                self.set_lead(anomaly);
                is_significant = true;
            }
            if let Some(mode) = &anomaly.fault_mode {
                let current = self.fault_mode.as_deref();
                let replaces = match current {
                    None => true,
                    Some(current) => self.fault_challenger.takes_lead(mode, current) || (raised && mode != current),
                };
                if replaces {
                    self.fault_mode = Some(mode.clone());
                    is_significant = true;
                }
            }
            self.update_newest(anomaly);
        }
        is_significant || self.anomalies.checked_ilog2() > before.checked_ilog2()
    }

    /// Counts a window without anomalies. Returns whether it was the last quiet window needed and the alert is now
    /// resolved.
    pub fn count_quiet_window(&mut self, score: f64, end: i64, close_below: f64, close_after: u32) -> bool {
        if score < close_below * self.threshold {
            self.quiet_windows = self.quiet_windows.saturating_add(1);
        } else {
            self.quiet_windows = 0;
        }
        let resolves = self.quiet_windows >= close_after;
        if resolves {
            self.resolved = Some(end);
            self.updated = self.updated.max(end);
        }
        resolves
    }

    /// Handles an anomaly below the minimum severity: it is not counted, but the window is not quiet.
    pub fn reset_quiet_windows(&mut self) {
        self.quiet_windows = 0;
    }

    fn set_lead(&mut self, anomaly: &Anomaly) {
        self.sensor.clone_from(&anomaly.sensor);
        self.feature.clone_from(&anomaly.feature);
    }

    fn update_newest(&mut self, anomaly: &Anomaly) {
        self.newest.clone_from(&anomaly.id);
        self.message.clone_from(&anomaly.message);
        self.threshold = anomaly.threshold;
        self.updated = self.updated.max(anomaly.end);
    }

    /// Resolves the alert at `now` (ns since 1970), because the baseline of its asset was reset, and returns it in the
    /// form that is sent. An alert that changed after `now` resolves with that change.
    pub fn resolve(mut self, asset: &str, now: i64) -> Alert {
        self.updated = self.updated.max(now);
        self.resolved = Some(self.updated);
        Alert {
            message: format!("Closed, because the baseline was reset. Last finding: {}", self.message),
            recommendation: "The machine is learnt again before it is judged; watch it until then.".to_owned(),
            ..self.to_alert(asset)
        }
    }

    /// Returns the alert in the form that is sent.
    pub fn to_alert(&self, asset: &str) -> Alert {
        let fault_mode = self.fault_mode.as_deref();
        let (state, message, recommendation) = if self.resolved.is_some() {
            (
                AlertState::Resolved,
                format!("Back to normal: {} quiet windows in a row. Last finding: {}", self.quiet_windows, self.message),
                "Make sure that a repair or a change of load explains the recovery; if neither does, keep monitoring it."
                    .to_owned(),
            )
        } else {
            (AlertState::Open, self.message.clone(), messages::recommendation(fault_mode, self.severity))
        };
        Alert {
            id: self.id.clone(),
            asset: asset.to_owned(),
            sensor: self.sensor.clone(),
            severity: self.severity,
            state,
            opened: self.opened,
            updated: self.updated,
            resolved: self.resolved,
            anomalies: self.anomalies,
            peak_score: self.peak,
            anomaly: self.newest.clone(),
            fault_mode: self.fault_mode.clone(),
            title: messages::title(asset, fault_mode, &self.sensor, self.feature.as_deref(), self.severity),
            message,
            recommendation,
        }
    }
}

/// Computes the id: the first 16 bytes of BLAKE3 of the asset, `|`, the start of the window (8 bytes, little-endian)
/// and `|alert`, in hexadecimal. For the fault of a sensor, `|` and the sensor's id follow.
fn alert_id(lead: &Anomaly) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(lead.asset.as_bytes()).update(b"|").update(&lead.start.to_le_bytes()).update(b"|alert");
    if lead.is_sensor_fault() {
        hasher.update(b"|").update(lead.sensor.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}
