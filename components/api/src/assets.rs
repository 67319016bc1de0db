//! `GET /api/v1/assets`: the tree of sites, areas and machines, built from the paths of the machines.

use std::collections::BTreeMap;

use http::StatusCode;

use crate::{
    Filter, LineApi, Table,
    api_response::ApiResponse,
    problem::Problem,
    rows::query_as,
    schemas::{Asset, AssetSensor, AssetTree, Sensor},
};

/// Maximum number of sensors in the tree.
pub(crate) const MAX_SENSORS: u32 = 100 * Filter::MAX_ROWS;
/// Maximum depth of the tree. The rest of a deeper path becomes one name.
const MAX_DEPTH: usize = 16;

/// A segment of a path and its children.
#[derive(Default)]
struct Node {
    children: BTreeMap<String, Node>,
    sensors: Vec<AssetSensor>,
}

pub(crate) fn assets(line: &impl LineApi) -> Result<ApiResponse, Problem> {
    let mut sensors = Vec::new();
    for offset in (0..MAX_SENSORS).step_by(Filter::MAX_ROWS as usize) {
        let page: Vec<Sensor> =
            query_as(line, Table::Sensors, &Filter { limit: Filter::MAX_ROWS, offset, ..Filter::default() })?;
        let last = page.len() < Filter::MAX_ROWS as usize;
        sensors.extend(page);
        if last {
            break;
        }
    }
    Ok(ApiResponse::json(StatusCode::OK, &AssetTree { items: asset_tree(sensors) }))
}

/// Builds the tree of the sensors' machines.
pub(crate) fn asset_tree(sensors: Vec<Sensor>) -> Vec<Asset> {
    let mut root = Node::default();
    for Sensor { name, asset, unit, kind } in sensors {
        // A sensor without a machine is not part of the tree.
        if asset.is_empty() {
            continue;
        }
        let node = asset
            .splitn(MAX_DEPTH, '/')
            .fold(&mut root, |node, part| node.children.entry(part.to_owned()).or_default());
        node.sensors.push(AssetSensor { id: name, kind, unit });
    }
    children_of(root, "", 0)
}

fn children_of(node: Node, path: &str, depth: usize) -> Vec<Asset> {
    let asset = |(name, node): (String, Node)| {
        let path = if path.is_empty() && depth == 0 { name.clone() } else { format!("{path}/{name}") };
        let kind = match depth {
            _ if !node.sensors.is_empty() => "machine",
            0 => "site",
            1 => "area",
            _ => "group",
        };
        let Node { children: subtree, mut sensors } = node;
        sensors.sort_by(|a, b| a.id.cmp(&b.id));
        let children = children_of(Node { children: subtree, sensors: Vec::new() }, &path, depth + 1);
        Asset { name, path, kind, children, sensors }
    };
    node.children.into_iter().map(asset).collect()
}
