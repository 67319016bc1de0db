//! The fold over scored windows: opens, changes and resolves the alert of each asset.

use std::collections::{BTreeMap, BTreeSet};

use crate::asset_state::AssetState;
use crate::score_columns::Window;
use crate::{Alert, Anomaly, Config, Scores, StageError, snapshot};

/// Groups anomalies into alerts.
///
/// Windows are processed in the order given. The alerts of an asset depend on the windows of that asset alone, so
/// splitting the same rows into other batches gives the same alerts in the same order.
#[derive(Clone, Debug)]
pub struct Alerter {
    config: Config,
    /// By group: the anomalies of a machine are one, those of each faulty sensor another.
    groups: BTreeMap<String, AssetState>,
}

impl Alerter {
    /// Starts with only the alerts that `config` lists as open. `config` is JSON; an empty string means the defaults.
    ///
    /// # Errors
    /// [`StageError::Config`] that names the key.
    pub fn open(config: &str) -> Result<Self, StageError> {
        let mut config = Config::parse(config)?;
        let open = std::mem::take(&mut config.open).into_iter();
        let groups = open.map(|(asset, alert)| {
            let group = alert.faulty_sensor().map_or_else(|| asset.clone(), |sensor| group_of_sensor(&asset, sensor));
            (group, AssetState { alert: Some(alert), ..AssetState::default() })
        });
        Ok(Self { config, groups: groups.collect() })
    }

    /// Restores the state from a snapshot.
    ///
    /// # Errors
    /// [`StageError::Config`] as for [`Self::open`]; [`StageError::Snapshot`] when the bytes are not a snapshot of this
    /// stage.
    pub fn restore(config: &str, bytes: &[u8]) -> Result<Self, StageError> {
        Ok(Self { config: Config::parse(config)?, groups: snapshot::read(bytes)? })
    }

    /// Returns the state as bytes. Equal states give equal bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.groups)
    }

    /// Processes scored windows and their anomalies. Returns the alerts that opened, changed or resolved, one for each
    /// window that caused a change.
    ///
    /// # Errors
    /// [`StageError::Batch`] when columns differ in length, an index is out of range, the window of an anomaly is not
    /// among the scores, or its score or threshold is not finite. The state is then unchanged.
    pub fn push(&mut self, scores: &Scores<'_>, anomalies: &[Anomaly]) -> Result<Vec<Alert>, StageError> {
        let windows = scores.windows()?;
        let mut by_window = group_by_window(&windows, anomalies)?;
        let mut alerts = Vec::new();
        for window in &windows {
            let anomalies = if by_window.is_empty() {
                Vec::new()
            } else {
                by_window.remove(&(window.asset, window.start, window.end)).unwrap_or_default()
            };
            alerts.extend(self.push_window(window, &anomalies));
        }
        Ok(alerts)
    }

    /// Drops resolved alerts whose cooldown is over. No alert resolves here: an asset that is not scored keeps its
    /// alert.
    pub fn tick(&mut self, now: i64) {
        let cooldown = self.config.cooldown_nanoseconds();
        self.groups.retain(|_, state| {
            if state.alert.as_ref().and_then(|alert| alert.resolved).is_some_and(|at| now.saturating_sub(at) > cooldown)
            {
                state.alert = None;
            }
            state.alert.is_some() || !state.recent.is_empty()
        });
    }

    /// Resolves the open alerts of an asset at `now` (ns since 1970), because its baseline was reset. Returns them: the
    /// machine's own first, then those of its faulty sensors, by the sensor's id. Windows that were counted towards an
    /// alert are forgotten, and so are resolved alerts: what the new baseline finds is a new alert.
    pub fn resolve(&mut self, asset: &str, now: i64) -> Vec<Alert> {
        let sensors: Vec<String> = self.groups_of_sensors(asset).cloned().collect();
        std::iter::once(asset.to_owned())
            .chain(sensors)
            .filter_map(|group| self.groups.remove(&group)?.alert)
            .filter(|alert| alert.resolved.is_none())
            .map(|alert| alert.resolve(asset, now))
            .collect()
    }

    /// The groups of the asset's faulty sensors, by the sensor's id.
    fn groups_of_sensors(&self, asset: &str) -> impl Iterator<Item = &String> {
        let prefix = group_of_sensor(asset, "");
        self.groups.range(prefix.clone()..).map(|(group, _)| group).take_while(move |group| group.starts_with(&prefix))
    }

    /// Processes a window: first the machine's own anomalies, then those of each faulty sensor, by the sensor's id.
    fn push_window(&mut self, window: &Window<'_>, anomalies: &[&Anomaly]) -> Vec<Alert> {
        let (sensors, machine): (Vec<&Anomaly>, Vec<&Anomaly>) =
            anomalies.iter().partition(|anomaly| anomaly.is_sensor_fault());
        let mut alerts: Vec<Alert> = self.push_group(window.asset, window, &machine).into_iter().collect();
        let mut groups: BTreeSet<String> = self.groups_of_sensors(window.asset).cloned().collect();
        groups.extend(sensors.iter().map(|anomaly| group_of_sensor(window.asset, &anomaly.sensor)));
        for group in groups {
            let of: Vec<&Anomaly> = sensors
                .iter()
                .copied()
                .filter(|anomaly| group_of_sensor(window.asset, &anomaly.sensor) == group)
                .collect();
            // The score is that of the machine without its faulty sensors.
            let score = if window.score.is_nan() { window.score } else { 0.0 };
            alerts.extend(self.push_group(&group, &Window { score, ..*window }, &of));
        }
        alerts
    }

    fn push_group(&mut self, group: &str, window: &Window<'_>, anomalies: &[&Anomaly]) -> Option<Alert> {
        let counted: Vec<&Anomaly> =
            anomalies.iter().copied().filter(|anomaly| anomaly.severity >= self.config.minimum_severity).collect();
        if !self.groups.contains_key(group) {
            if counted.is_empty() {
                return None;
            }
            self.groups.insert(group.to_owned(), AssetState::default());
        }
        let state = self.groups.get_mut(group)?;
        let changed = match &mut state.alert {
            Some(alert) if alert.resolved.is_none() => {
                if !counted.is_empty() {
                    state.alert_length = Some(window.length());
                    alert.add_anomalies(&counted)
                } else if state.alert_length.is_some_and(|length| length != window.length()) {
                    false
                } else if anomalies.is_empty() {
                    alert.count_quiet_window(window.score, window.end, self.config.close_below, self.config.close_after)
                } else {
                    alert.reset_quiet_windows();
                    false
                }
            }
            _ => state.count_window(&self.config, window, &counted),
        };
        let alert = state.alert.as_ref().filter(|_| changed).map(|alert| alert.to_alert(window.asset));
        if state.alert.is_none() && state.recent.is_empty() {
            self.groups.remove(group);
        }
        alert
    }
}

/// The group of the anomalies of a faulty sensor. A group without a sensor is that of the machine. The separator is in
/// no id: ingest rejects control characters.
fn group_of_sensor(asset: &str, sensor: &str) -> String {
    format!("{asset}\u{1f}{sensor}")
}

type AnomaliesByWindow<'a> = BTreeMap<(&'a str, i64, i64), Vec<&'a Anomaly>>;

/// Groups the anomalies by window.
fn group_by_window<'a>(windows: &[Window<'a>], anomalies: &'a [Anomaly]) -> Result<AnomaliesByWindow<'a>, StageError> {
    let mut grouped = AnomaliesByWindow::new();
    for anomaly in anomalies {
        if !(anomaly.score.is_finite() && anomaly.threshold.is_finite()) {
            return Err(StageError::Batch(format!(
                "score and threshold of anomaly {} must be finite numbers, but are {} and {}",
                anomaly.id, anomaly.score, anomaly.threshold
            )));
        }
        grouped.entry((anomaly.asset.as_str(), anomaly.start, anomaly.end)).or_default().push(anomaly);
    }
    if !grouped.is_empty() {
        let mut missing: BTreeSet<_> = grouped.keys().copied().collect();
        for window in windows {
            missing.remove(&(window.asset, window.start, window.end));
        }
        if let Some((asset, start, end)) = missing.first() {
            return Err(StageError::Batch(format!(
                "every anomaly's window must be among the scores, but the window of {asset:?} from {start} to {end} ns is not"
            )));
        }
    }
    Ok(grouped)
}
