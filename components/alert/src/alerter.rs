//! The fold: which windows open, change and resolve an asset's alert.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::columns::Window;
use crate::gathered::{Gathered, Pending};
use crate::{Alert, Anomaly, Config, Scores, Severity, StageError, snapshot};

/// What is known of one asset. An asset of which nothing is known is not kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// The newest windows, from the oldest anomalous one on, while no alert is open.
    recent: VecDeque<Option<Pending>>,
    /// The open alert, or the last one while it may open again.
    alert: Option<Gathered>,
}

/// Gathers anomalies into alerts.
///
/// Windows are taken in the order given, and what comes of an asset's windows depends on that asset's windows alone:
/// cutting the same rows into other batches gives the same alerts in the same order.
#[derive(Clone, Debug)]
pub struct Alerter {
    config: Config,
    watched: BTreeMap<String, Watch>,
}

impl Alerter {
    /// Starts with no state but the alerts that `config` says are open. It is JSON; an empty text stands for the defaults.
    ///
    /// # Errors
    /// [`StageError::Config`] that names the key.
    pub fn open(config: &str) -> Result<Self, StageError> {
        let mut config = Config::parse(config)?;
        let open = std::mem::take(&mut config.open).into_iter();
        let watched = open.map(|(asset, alert)| (asset, Watch { recent: VecDeque::new(), alert: Some(alert) }));
        Ok(Self { config, watched: watched.collect() })
    }

    /// Goes on from a snapshot.
    ///
    /// # Errors
    /// [`StageError::Config`] as [`Self::open`]; [`StageError::Snapshot`] when the bytes are no snapshot of this stage.
    pub fn restore(config: &str, bytes: &[u8]) -> Result<Self, StageError> {
        Ok(Self { config: Config::parse(config)?, watched: snapshot::read(bytes)? })
    }

    /// The state as bytes; the same state gives the same bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.watched)
    }

    /// Takes scored windows and the anomalies among them, and gives the alerts that opened, changed or resolved, one
    /// for each window that did so.
    ///
    /// # Errors
    /// [`StageError::Batch`] when columns differ in length, an index is out of range, an anomaly's window is not among
    /// the scores, or its score or threshold is no finite number. The state is as before.
    pub fn push(&mut self, scores: &Scores<'_>, anomalies: &[Anomaly]) -> Result<Vec<Alert>, StageError> {
        let windows = scores.windows()?;
        let mut found = by_window(&windows, anomalies)?;
        let mut alerts = Vec::new();
        for window in &windows {
            let anomalies = if found.is_empty() {
                Vec::new()
            } else {
                found.remove(&(window.asset, window.start, window.end)).unwrap_or_default()
            };
            alerts.extend(self.window(window, &anomalies));
        }
        Ok(alerts)
    }

    /// Forgets resolved alerts that can no longer open again. Silence is no recovery: an asset that is not scored keeps
    /// its alert, so nothing resolves here.
    pub fn tick(&mut self, now: i64) {
        let cooldown = self.config.cooldown();
        self.watched.retain(|_, watch| {
            if watch.alert.as_ref().and_then(|alert| alert.resolved).is_some_and(|at| now.saturating_sub(at) > cooldown)
            {
                watch.alert = None;
            }
            watch.alert.is_some() || !watch.recent.is_empty()
        });
    }

    fn window(&mut self, window: &Window<'_>, anomalies: &[&Anomaly]) -> Option<Alert> {
        let counted: Vec<&Anomaly> =
            anomalies.iter().copied().filter(|anomaly| anomaly.severity >= self.config.minimum_severity).collect();
        if !self.watched.contains_key(window.asset) {
            if counted.is_empty() {
                return None;
            }
            self.watched.insert(window.asset.to_owned(), Watch::default());
        }
        let watch = self.watched.get_mut(window.asset)?;
        let changed = match &mut watch.alert {
            Some(alert) if alert.resolved.is_none() => {
                if !counted.is_empty() {
                    alert.gather(&counted)
                } else if anomalies.is_empty() {
                    alert.calm(window.score, window.end, self.config.close_below, self.config.close_after)
                } else {
                    alert.disturb();
                    false
                }
            }
            _ => watch.wait(&self.config, window, &counted),
        };
        let alert = watch.alert.as_ref().filter(|_| changed).map(|alert| alert.alert(window.asset));
        if watch.alert.is_none() && watch.recent.is_empty() {
            self.watched.remove(window.asset);
        }
        alert
    }
}

impl Watch {
    /// Counts a window while no alert is open. Tells whether it opened one.
    fn wait(&mut self, config: &Config, window: &Window<'_>, counted: &[&Anomaly]) -> bool {
        let within = usize::try_from(config.within).unwrap_or(usize::MAX);
        if let Some(lead) = counted.last() {
            self.recent.push_back(Some(Pending {
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
            Some(last) if last.resolved.is_some_and(|at| window.end.saturating_sub(at) <= config.cooldown()) => {
                last.reopen(lead, pending);
            }
            _ => self.alert = Some(Gathered::open(lead, pending)),
        }
        true
    }
}

type ByWindow<'a> = BTreeMap<(&'a str, i64, i64), Vec<&'a Anomaly>>;

/// The anomalies by the window they were found in.
fn by_window<'a>(windows: &[Window<'a>], anomalies: &'a [Anomaly]) -> Result<ByWindow<'a>, StageError> {
    let mut found = ByWindow::new();
    for anomaly in anomalies {
        if !(anomaly.score.is_finite() && anomaly.threshold.is_finite()) {
            return Err(StageError::Batch(format!(
                "score and threshold of anomaly {} must be finite numbers, but are {} and {}",
                anomaly.id, anomaly.score, anomaly.threshold
            )));
        }
        found.entry((anomaly.asset.as_str(), anomaly.start, anomaly.end)).or_default().push(anomaly);
    }
    if !found.is_empty() {
        let mut missing: BTreeSet<_> = found.keys().copied().collect();
        for window in windows {
            missing.remove(&(window.asset, window.start, window.end));
        }
        if let Some((asset, start, end)) = missing.first() {
            return Err(StageError::Batch(format!(
                "every anomaly's window must be among the scores, but the window of {asset:?} from {start} to {end} ns is not"
            )));
        }
    }
    Ok(found)
}
