//! `GET /api/v1/assets`: the tree of sites, areas and machines, built from the paths of the machines.

use std::collections::BTreeMap;

use http::StatusCode;

use crate::{
    Filter, Front, Table,
    answer::Answer,
    problem::Problem,
    rows::ask_as,
    shapes::{Asset, AssetSensor, AssetTree, Sensor},
};

/// Maximum number of sensors in the tree.
pub(crate) const MOST: u32 = 100 * Filter::MOST;
/// Maximum depth of the tree. The rest of a deeper path becomes one name.
const DEEPEST: usize = 16;

/// A segment of a path and its children.
#[derive(Default)]
struct Node {
    below: BTreeMap<String, Node>,
    sensors: Vec<AssetSensor>,
}

pub(crate) fn assets(line: &impl Front) -> Result<Answer, Problem> {
    let mut sensors = Vec::new();
    for offset in (0..MOST).step_by(Filter::MOST as usize) {
        let page: Vec<Sensor> =
            ask_as(line, Table::Sensors, &Filter { limit: Filter::MOST, offset, ..Filter::default() })?;
        let last = page.len() < Filter::MOST as usize;
        sensors.extend(page);
        if last {
            break;
        }
    }
    Ok(Answer::json(StatusCode::OK, &AssetTree { items: tree(sensors) }))
}

/// Builds the tree of the sensors' machines.
pub(crate) fn tree(sensors: Vec<Sensor>) -> Vec<Asset> {
    let mut root = Node::default();
    for Sensor { name, asset, unit, kind } in sensors {
        // A sensor without a machine is not part of the tree.
        if asset.is_empty() {
            continue;
        }
        let node =
            asset.splitn(DEEPEST, '/').fold(&mut root, |node, part| node.below.entry(part.to_owned()).or_default());
        node.sensors.push(AssetSensor { id: name, kind, unit });
    }
    assets_of(root, "", 0)
}

fn assets_of(node: Node, path: &str, depth: usize) -> Vec<Asset> {
    let asset = |(name, node): (String, Node)| {
        let path = if path.is_empty() && depth == 0 { name.clone() } else { format!("{path}/{name}") };
        let kind = match depth {
            _ if !node.sensors.is_empty() => "machine",
            0 => "site",
            1 => "area",
            _ => "group",
        };
        let Node { below, mut sensors } = node;
        sensors.sort_by(|a, b| a.id.cmp(&b.id));
        let children = assets_of(Node { below, sensors: Vec::new() }, &path, depth + 1);
        Asset { name, path, kind, children, sensors }
    };
    node.below.into_iter().map(asset).collect()
}
