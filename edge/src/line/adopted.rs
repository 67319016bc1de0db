//! Alerts that are open in a store that came from a backup. The stages begin anew there, and would never resolve what they
//! do not know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};
use wheeltapper_store::{Cell, Store};

use super::partition_of;

/// Where they are kept until each partition has a snapshot. A backup does without: what is open there is found out anew.
pub(crate) const KEY: &str = "adopted";

/// By asset, as the configuration of the stage alert has them; where there are several, the newest. An anomaly that is not
/// there any more tells no threshold: then any score below `close_below` is quiet.
const OPEN: &str = "SELECT alerts.asset, json_object(
        'id', alerts.id, 'sensor', alerts.sensor, 'severity', alerts.severity, 'opened', opened, 'updated', updated,
        'resolved', NULL, 'anomalies', alerts.anomalies, 'peak', peak_score, 'newest', anomaly, 'fault_mode', alerts.fault_mode,
        'message', alerts.message, 'threshold', coalesce(threshold, 1.0),
        'feature', iif(json_valid(metadata), json_extract(metadata, '$.contributions[0].feature'), NULL))
    FROM alerts LEFT JOIN anomalies ON anomalies.id = alerts.anomaly WHERE state = 'open' ORDER BY updated, alerts.id";

/// Open alerts that the stages have to be told of.
#[derive(Debug)]
pub(crate) struct Adopted {
    open: BTreeMap<String, Json>,
    /// Partitions that have gone on from there.
    known: BTreeSet<u16>,
}

impl Adopted {
    /// Those of a store. They are written down before the line begins: what it finds before its first snapshot, a replay
    /// finds again.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) fn of(store: &Store) -> anyhow::Result<Self> {
        let states = store.checkpoints()?;
        if states.is_empty() {
            let rows = store.ask(OPEN, Vec::new())?.into_iter();
            let open: BTreeMap<String, Json> = rows.filter_map(|row| told(&row)).collect();
            if !open.is_empty() {
                tracing::info!(alerts = open.len(), "alerts of a backup are open and go on");
                store.state_put(KEY, &serde_json::to_vec(&open)?)?;
            }
        }
        let open = store.state_get(KEY)?.map(|bytes| serde_json::from_slice(&bytes)).transpose()?;
        let known = states.into_iter().filter(|state| state.snapshot.is_some()).map(|state| state.partition);
        Ok(Self { open: open.unwrap_or_default(), known: known.collect() })
    }

    /// The stage's configuration (JSON) of one of so many partitions, with those that it has to go on with.
    ///
    /// # Errors
    /// When `config` is no JSON object.
    pub(crate) fn tell(&self, config: &str, partition: u16, of: u16) -> anyhow::Result<String> {
        let own = self.open.iter().filter(|(asset, _)| partition_of(asset, of) == partition);
        let own: Map<String, Json> = own.map(|(asset, alert)| (asset.clone(), alert.clone())).collect();
        if own.is_empty() || self.known.contains(&partition) {
            return Ok(config.to_owned());
        }
        let mut config: Map<String, Json> = serde_json::from_str(config)?;
        config.insert("open".to_owned(), Json::Object(own));
        Ok(Json::Object(config).to_string())
    }
}

fn told(row: &[Cell]) -> Option<(String, Json)> {
    let [Cell::Text(asset), Cell::Text(alert)] = row else { return None };
    Some((asset.clone(), serde_json::from_str(alert).ok()?))
}
