//! The windows and the alert of one asset.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::open_alert::{OpenAlert, PendingWindow};
use crate::score_columns::Window;
use crate::{Anomaly, Config, Severity};

/// The state of one asset. An asset without recent anomalies and without an alert has no state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AssetState {
    /// The newest windows, starting with the oldest anomalous one, while no alert is open.
    pub recent: VecDeque<Option<PendingWindow>>,
    /// The open alert, or the last one until its cooldown ends.
    pub alert: Option<OpenAlert>,
}

impl AssetState {
    /// Counts a window while no alert is open. Returns whether it opened one.
    pub fn count_window(&mut self, config: &Config, window: &Window<'_>, counted: &[&Anomaly]) -> bool {
        let within = usize::try_from(config.within).unwrap_or(usize::MAX);
        if let Some(lead) = counted.last() {
            self.recent.push_back(Some(PendingWindow {
                anomalies: u32::try_from(counted.len()).unwrap_or(u32::MAX),
                severity: counted.iter().map(|anomaly| anomaly.severity).max().unwrap_or(lead.severity),
                peak: counted.iter().map(|anomaly| anomaly.score).fold(0.0, f64::max),
                fault_mode: counted.iter().rev().find_map(|anomaly| anomaly.fault_mode.clone()),
            }));
        } else {
            self.recent.push_back(None);
        }
        while self.recent.len() > within || self.recent.front().is_some_and(Option::is_none) {
            self.recent.pop_front();
        }
        let Some(lead) = counted.last() else { return false };
        let anomalous = self.recent.iter().flatten().count();
        let critical = counted.iter().any(|anomaly| anomaly.severity == Severity::Critical);
        if !critical && u32::try_from(anomalous).is_ok_and(|anomalous| anomalous < config.open_after) {
            return false;
        }
        let pending = std::mem::take(&mut self.recent);
        let pending = pending.iter().flatten();
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
