//! What Sparkplug's births say of aliases, until a death or another birth. It is the stage's only state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sparkplug::{BIRTH_NUMBER, Metric};
use crate::rejection::{Reason, Rejection};

/// Edge nodes that are known at a time.
const MOST_NODES: usize = 10_000;
/// Aliases that are known at a time, of all nodes.
const MOST_ALIASES: usize = 1_000_000;
/// Aliases of one node.
const MOST_OF_A_NODE: usize = 100_000;

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alias {
    pub(super) device: Option<String>,
    pub(super) metric: String,
    pub(super) datatype: u32,
}

/// An edge node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    /// `bdSeq` of its last birth.
    birth: Option<u64>,
    aliases: BTreeMap<u64, Alias>,
}

/// The aliases of every edge node, `group/node`. An alias is unique within its node, devices included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aliases {
    nodes: BTreeMap<String, Node>,
    #[serde(skip)]
    changed: bool,
}

/// The aliases as snapshots of version 1 hold them: which birth they are of was not kept.
#[derive(Debug, Deserialize)]
pub struct Version1 {
    nodes: BTreeMap<String, BTreeMap<u64, Alias>>,
}

impl From<Version1> for Aliases {
    fn from(before: Version1) -> Self {
        let nodes = before.nodes.into_iter().map(|(name, aliases)| (name, Node { birth: None, aliases }));
        Self { nodes: nodes.collect(), changed: false }
    }
}

impl Aliases {
    /// Whether a birth or a death changed them since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What the alias stands for, of whichever device it is.
    pub(super) fn find(&self, node: &str, alias: u64) -> Option<&Alias> {
        self.nodes.get(node)?.aliases.get(&alias)
    }

    /// Takes a birth's aliases.
    ///
    /// # Errors
    /// Oversize, where there would be too many; nothing changes.
    pub(super) fn birth(&mut self, node: &str, device: Option<&str>, metrics: &[Metric]) -> Result<(), Rejection> {
        let of_node = self.nodes.get(node).filter(|_| device.is_some()).map_or(0, |known| known.aliases.len());
        let others: usize =
            self.nodes.iter().filter(|(name, _)| *name != node).map(|(_, other)| other.aliases.len()).sum();
        let born = metrics.iter().filter(|metric| metric.alias.is_some()).count();
        if !self.nodes.contains_key(node) && self.nodes.len() >= MOST_NODES {
            let message = format!(
                "{MOST_NODES} edge nodes are known already, and {node} is another; the deaths (NDEATH) of those that are gone make room"
            );
            return Err(Rejection::new(Reason::Oversize, message));
        }
        if of_node + born > MOST_OF_A_NODE || of_node + born + others > MOST_ALIASES {
            let message = format!(
                "with this birth {node} would have {} aliases, and all nodes together {}; at most {MOST_OF_A_NODE} and {MOST_ALIASES} are kept: name metrics without aliases",
                of_node + born,
                of_node + born + others
            );
            return Err(Rejection::new(Reason::Oversize, message));
        }
        let known = self.nodes.entry(node.to_owned()).or_default();
        match device {
            None => *known = Node { birth: birth_number(metrics), ..Node::default() },
            Some(device) => known.aliases.retain(|_, alias| alias.device.as_deref() != Some(device)),
        }
        for metric in metrics {
            if let (Some(name), Some(alias)) = (&metric.name, metric.alias) {
                let about = Alias {
                    device: device.map(str::to_owned),
                    metric: name.clone(),
                    datatype: metric.datatype.unwrap_or(0),
                };
                known.aliases.insert(alias, about);
            }
        }
        self.changed = true;
        Ok(())
    }

    /// Forgets the node and its devices. A will that the broker held for an earlier session can come after the birth of
    /// this one: its number tells, and it counts for nothing.
    pub(super) fn node_death(&mut self, node: &str, metrics: &[Metric]) {
        let Some(known) = self.nodes.get(node) else { return };
        let stale = known.birth.zip(birth_number(metrics)).is_some_and(|(born, died)| born != died);
        if !stale {
            self.nodes.remove(node);
            self.changed = true;
        }
    }

    /// Forgets the device.
    pub(super) fn device_death(&mut self, node: &str, device: &str) {
        let Some(known) = self.nodes.get_mut(node) else { return };
        let before = known.aliases.len();
        known.aliases.retain(|_, alias| alias.device.as_deref() != Some(device));
        self.changed |= known.aliases.len() < before;
    }
}

/// The number by which a node's death belongs to its birth.
fn birth_number(metrics: &[Metric]) -> Option<u64> {
    metrics.iter().find(|metric| metric.name.as_deref() == Some(BIRTH_NUMBER))?.integer()
}
