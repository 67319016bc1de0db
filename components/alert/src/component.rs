//! Exports the WIT interface: converts between the generated types and those of this crate.

use std::cell::RefCell;

use crate::{Alert, AlertState, Alerter, Anomaly, Scores, Severity, StageError, dictionary_names};

wit_bindgen::generate!({ path: "../../wit", world: "alert-stage" });

use exports::wheeltapper::pipeline::alert::{self, Guest, GuestAlerter};
use wheeltapper::pipeline::types;

struct Component;

export!(Component);

impl Guest for Component {
    type Alerter = AlerterResource;
}

/// The resource `alerter` of the WIT interface.
struct AlerterResource(RefCell<Alerter>);

impl GuestAlerter for AlerterResource {
    fn open(config: String) -> Result<alert::Alerter, types::StageError> {
        Ok(alert::Alerter::new(Self(RefCell::new(Alerter::open(&config)?))))
    }

    fn restore(config: String, snapshot: Vec<u8>) -> Result<alert::Alerter, types::StageError> {
        Ok(alert::Alerter::new(Self(RefCell::new(Alerter::restore(&config, &snapshot)?))))
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().snapshot()
    }

    fn push(
        &self,
        scores: types::ScoreBatch,
        anomalies: Vec<types::Anomaly>,
    ) -> Result<Vec<types::Alert>, types::StageError> {
        let assets = dictionary_names(&scores.assets.text, &scores.assets.ends)?;
        let columns = Scores {
            assets: &assets,
            asset: &scores.asset,
            start: &scores.start,
            end: &scores.end,
            score: &scores.score,
        };
        let anomalies: Vec<Anomaly> = anomalies.into_iter().map(Anomaly::from).collect();
        let alerts = self.0.borrow_mut().push(&columns, &anomalies)?;
        Ok(alerts.into_iter().map(types::Alert::from).collect())
    }

    fn tick(&self, now: i64) -> Result<Vec<types::Alert>, types::StageError> {
        self.0.borrow_mut().tick(now);
        Ok(Vec::new())
    }

    fn resolve(&self, asset: String, now: i64) -> Vec<types::Alert> {
        self.0.borrow_mut().resolve(&asset, now).into_iter().map(types::Alert::from).collect()
    }
}

impl From<StageError> for types::StageError {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Config(message) => Self::Config(message),
            StageError::Snapshot(message) => Self::Snapshot(message),
            StageError::Batch(message) => Self::Batch(message),
        }
    }
}

impl From<types::Anomaly> for Anomaly {
    fn from(anomaly: types::Anomaly) -> Self {
        Self {
            id: anomaly.id,
            asset: anomaly.asset,
            sensor: anomaly.sensor,
            feature: anomaly.contributions.into_iter().next().map(|first| first.feature),
            start: anomaly.start,
            end: anomaly.end,
            score: anomaly.score,
            threshold: anomaly.threshold,
            severity: match anomaly.severity {
                types::Severity::Low => Severity::Low,
                types::Severity::Medium => Severity::Medium,
                types::Severity::High => Severity::High,
                types::Severity::Critical => Severity::Critical,
            },
            fault_mode: anomaly.fault_mode,
            message: anomaly.message,
        }
    }
}

impl From<Alert> for types::Alert {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id,
            asset: alert.asset,
            sensor: alert.sensor,
            severity: match alert.severity {
                Severity::Low => types::Severity::Low,
                Severity::Medium => types::Severity::Medium,
                Severity::High => types::Severity::High,
                Severity::Critical => types::Severity::Critical,
            },
            state: match alert.state {
                AlertState::Open => types::AlertState::Open,
                AlertState::Resolved => types::AlertState::Resolved,
            },
            opened: alert.opened,
            updated: alert.updated,
            resolved: alert.resolved,
            anomalies: alert.anomalies,
            peak_score: alert.peak_score,
            anomaly: alert.anomaly,
            fault_mode: alert.fault_mode,
            title: alert.title,
            message: alert.message,
            recommendation: alert.recommendation,
        }
    }
}
