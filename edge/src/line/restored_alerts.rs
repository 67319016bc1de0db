//! Open alerts of a store that was restored from a backup. The stages start with an empty state there, and would never
//! resolve alerts that they do not know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};
use wheeltapper_store::{Cell, Store};

use crate::topics::partition_of;

/// Store key of the restored alerts until each partition has a snapshot. It is not part of a backup: when a backup is
/// restored, the open alerts are read from the store again.
pub(crate) const RESTORED_ALERTS_KEY: &str = "restored_alerts";

/// Selects the open alert of each asset in the format of the alert stage's configuration; the newest where there are
/// several. If the alert's anomaly is no longer stored, the threshold is unknown and 1.0 is used: any score below
/// `close_below` then counts as quiet.
const SELECT_OPEN_ALERTS: &str = "SELECT alerts.asset, json_object(
        'id', alerts.id, 'sensor', alerts.sensor, 'severity', alerts.severity, 'opened', opened, 'updated', updated,
        'resolved', NULL, 'anomalies', alerts.anomalies, 'peak', peak_score, 'newest', anomaly, 'fault_mode', alerts.fault_mode,
        'message', alerts.message, 'threshold', coalesce(threshold, 1.0),
        'feature', iif(json_valid(metadata), json_extract(metadata, '$.contributions[0].feature'), NULL))
    FROM alerts LEFT JOIN anomalies ON anomalies.id = alerts.anomaly WHERE state = 'open' ORDER BY updated, alerts.id";

/// Open alerts that must be passed to the stages.
#[derive(Debug)]
pub(crate) struct RestoredAlerts {
    open: BTreeMap<String, Json>,
    /// Partitions that have a snapshot, which includes these alerts.
    with_snapshot: BTreeSet<u16>,
}

impl RestoredAlerts {
    /// Loads the open alerts of a store. They are saved before the line starts, so that a replay from before the first
    /// snapshot starts with the same alerts.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) fn load(store: &Store) -> anyhow::Result<Self> {
        let states = store.checkpoints()?;
        if states.is_empty() {
            let rows = store.query_rows(SELECT_OPEN_ALERTS, Vec::new())?.into_iter();
            let open: BTreeMap<String, Json> = rows.filter_map(|row| parse_row(&row)).collect();
            if !open.is_empty() {
                tracing::info!(alerts = open.len(), "open alerts were restored from a backup");
                store.state_put(RESTORED_ALERTS_KEY, &serde_json::to_vec(&open)?)?;
            }
        }
        let open = store.state_get(RESTORED_ALERTS_KEY)?.map(|bytes| serde_json::from_slice(&bytes)).transpose()?;
        let known = states.into_iter().filter(|state| state.snapshot.is_some()).map(|state| state.partition);
        Ok(Self { open: open.unwrap_or_default(), with_snapshot: known.collect() })
    }

    /// The alert stage's configuration (JSON) for partition `partition` of `partitions`, with the alerts that it must
    /// continue.
    ///
    /// # Errors
    /// When `config` is not a JSON object.
    pub(crate) fn add_to_config(&self, config: &str, partition: u16, partitions: u16) -> anyhow::Result<String> {
        let own = self.open.iter().filter(|(asset, _)| partition_of(asset, partitions) == partition);
        let own: Map<String, Json> = own.map(|(asset, alert)| (asset.clone(), alert.clone())).collect();
        if own.is_empty() || self.with_snapshot.contains(&partition) {
            return Ok(config.to_owned());
        }
        let mut config: Map<String, Json> = serde_json::from_str(config)?;
        config.insert("open".to_owned(), Json::Object(own));
        Ok(Json::Object(config).to_string())
    }
}

fn parse_row(row: &[Cell]) -> Option<(String, Json)> {
    let [Cell::Text(asset), Cell::Text(alert)] = row else { return None };
    Some((asset.clone(), serde_json::from_str(alert).ok()?))
}
