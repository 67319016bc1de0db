//! The windows and the alert of one asset.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::open_alert::{OpenAlert, PendingWindow};
use crate::score_columns::Window;
use crate::{Anomaly, Config, Severity};

/// The state of one asset. An asset without recent anomalies and without an alert has no state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AssetState {
    /// The newest windows of each length (ns), starting with the oldest anomalous one, while no alert is open. Windows of
    /// readings and waveforms are counted apart, because between two waveforms there are many windows of readings.
    pub recent: BTreeMap<i64, RecentWindows>,
    /// The open alert, or the last one until its cooldown ends.
    pub alert: Option<OpenAlert>,
    /// Length of the newest window with a counted anomaly; only windows of this length are quiet. None: of any length.
    pub alert_length: Option<i64>,
}

/// Windows of one length; None for those without a counted anomaly.
pub(crate) type RecentWindows = VecDeque<Option<PendingWindow>>;

impl AssetState {
    /// Counts a window while no alert is open. Returns whether it opened one.
    pub fn count_window(&mut self, config: &Config, window: &Window<'_>, counted: &[&Anomaly]) -> bool {
        let within = usize::try_from(config.within).unwrap_or(usize::MAX);
        let mut recent = self.recent.remove(&window.length()).unwrap_or_default();
        if let Some(lead) = counted.last() {
            recent.push_back(Some(PendingWindow {
                anomalies: u32::try_from(counted.len()).unwrap_or(u32::MAX),
                severity: counted.iter().map(|anomaly| anomaly.severity).max().unwrap_or(lead.severity),
                peak: counted.iter().map(|anomaly| anomaly.score).fold(0.0, f64::max),
                fault_mode: counted.iter().rev().find_map(|anomaly| anomaly.fault_mode.clone()),
            }));
        } else {
            recent.push_back(None);
        }
        while recent.len() > within || recent.front().is_some_and(Option::is_none) {
            recent.pop_front();
        }
        let anomalous = recent.iter().flatten().count();
        let critical = counted.iter().any(|anomaly| anomaly.severity == Severity::Critical);
        let opens = critical || u32::try_from(anomalous).is_ok_and(|anomalous| anomalous >= config.open_after);
        let lead = match counted.last() {
            Some(lead) if opens => lead,
            _ => {
                if !recent.is_empty() {
                    self.recent.insert(window.length(), recent);
                }
                return false;
            }
        };
        self.recent.clear();
        self.alert_length = Some(window.length());
        let pending = recent.iter().flatten();
        match &mut self.alert {
            Some(last)
                if last.resolved.is_some_and(|at| window.end.saturating_sub(at) <= config.cooldown_nanoseconds()) =>
            {
                last.reopen(lead, pending);
            }
            _ => self.alert = Some(OpenAlert::open(lead, pending)),
        }
        true
    }
}
