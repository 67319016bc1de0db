//! The metric aliases that Sparkplug births declare. They are valid until a death or the next birth. They are the only
//! state of the stage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sparkplug::{BD_SEQ, Metric};
use crate::rejection::{Reason, Rejection};

/// Limit for the number of known edge nodes.
const MAX_NODES: usize = 10_000;
/// Limit for the number of known aliases of all nodes together.
const MAX_ALIASES: usize = 1_000_000;
/// Limit for the number of known aliases of one node.
const MAX_ALIASES_PER_NODE: usize = 100_000;

/// The metric that an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alias {
    pub(super) device: Option<String>,
    pub(super) metric: String,
    pub(super) datatype: u32,
}

/// An edge node and the aliases that it and its devices declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    /// `bdSeq` of its last birth. None if the birth had none, or if it is from a snapshot of version 1.
    bd_seq: Option<u64>,
    aliases: BTreeMap<u64, Alias>,
}

/// The aliases of all edge nodes, by `group/node`. An alias is unique within its node, devices included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aliases {
    nodes: BTreeMap<String, Node>,
    #[serde(skip)]
    changed: bool,
}

/// The aliases in the layout of snapshots of version 1, which has no `bdSeq`.
#[derive(Debug, Deserialize)]
pub struct AliasesV1 {
    nodes: BTreeMap<String, BTreeMap<u64, Alias>>,
}

impl From<AliasesV1> for Aliases {
    fn from(old: AliasesV1) -> Self {
        let nodes = old.nodes.into_iter().map(|(name, aliases)| (name, Node { bd_seq: None, aliases }));
        Self { nodes: nodes.collect(), changed: false }
    }
}

impl Aliases {
    /// Returns whether a birth or a death changed the aliases since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Returns the metric of the alias, whichever device of the node declared it.
    pub(super) fn resolve(&self, node: &str, alias: u64) -> Option<&Alias> {
        self.nodes.get(node)?.aliases.get(&alias)
    }

    /// Replaces the aliases of the node, or of the device, with those of its birth.
    ///
    /// # Errors
    /// Oversize if a limit would be exceeded; then nothing changes.
    pub(super) fn apply_birth(
        &mut self,
        node: &str,
        device: Option<&str>,
        metrics: &[Metric],
    ) -> Result<(), Rejection> {
        let of_node = self.nodes.get(node).filter(|_| device.is_some()).map_or(0, |known| known.aliases.len());
        let of_others: usize =
            self.nodes.iter().filter(|(name, _)| *name != node).map(|(_, other)| other.aliases.len()).sum();
        let declared = metrics.iter().filter(|metric| metric.alias.is_some()).count();
        if !self.nodes.contains_key(node) && self.nodes.len() >= MAX_NODES {
            let message = format!(
                "expected at most {MAX_NODES} edge nodes; got the birth of another, {node}: send NDEATH for nodes that no longer exist"
            );
            return Err(Rejection::new(Reason::Oversize, message));
        }
        if of_node + declared > MAX_ALIASES_PER_NODE || of_node + declared + of_others > MAX_ALIASES {
            let message = format!(
                "expected at most {MAX_ALIASES_PER_NODE} aliases per node and {MAX_ALIASES} in total; with this birth {node} would have {} and all nodes together {}: send metrics by name, without aliases",
                of_node + declared,
                of_node + declared + of_others
            );
            return Err(Rejection::new(Reason::Oversize, message));
        }
        let known = self.nodes.entry(node.to_owned()).or_default();
        match device {
            None => *known = Node { bd_seq: bd_seq(metrics), ..Node::default() },
            Some(device) => known.aliases.retain(|_, alias| alias.device.as_deref() != Some(device)),
        }
        for metric in metrics {
            if let (Some(name), Some(alias)) = (&metric.name, metric.alias) {
                let declared = Alias {
                    device: device.map(str::to_owned),
                    metric: name.clone(),
                    datatype: metric.datatype.unwrap_or(0),
                };
                known.aliases.insert(alias, declared);
            }
        }
        self.changed = true;
        Ok(())
    }

    /// Removes the node and its devices. The will of an earlier session, which the broker holds, can arrive after the
    /// birth of the current session. It is ignored if its `bdSeq` differs from that of the birth.
    pub(super) fn apply_node_death(&mut self, node: &str, metrics: &[Metric]) {
        let Some(known) = self.nodes.get(node) else { return };
        let stale = known.bd_seq.zip(bd_seq(metrics)).is_some_and(|(birth, death)| birth != death);
        if !stale {
            self.nodes.remove(node);
            self.changed = true;
        }
    }

    /// Removes the aliases of the device.
    pub(super) fn apply_device_death(&mut self, node: &str, device: &str) {
        let Some(known) = self.nodes.get_mut(node) else { return };
        let before = known.aliases.len();
        known.aliases.retain(|_, alias| alias.device.as_deref() != Some(device));
        self.changed |= known.aliases.len() < before;
    }
}

/// Returns `bdSeq`, the number that a node's death shares with its birth.
fn bd_seq(metrics: &[Metric]) -> Option<u64> {
    metrics.iter().find(|metric| metric.name.as_deref() == Some(BD_SEQ))?.as_integer()
}
