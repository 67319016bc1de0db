//! Half-space trees (Tan, Ting and Liu 2011, Fast Anomaly Detection for Streaming Data).
//!
//! Each of `t` full binary trees of depth `h` halves a work range at random dimensions. The range is drawn before any
//! data: a random `s_q` in (0, 1) extended by `2 max(s_q, 1 − s_q)` to either side. Every node counts the points that
//! pass it in the latest window of `ψ` points (`l`) and in the window before, the reference (`r`). A point's mass is `Σ
//! r 2^k` over the trees, with the depth `k` where it stops: at the bottom, or where `r` is at most a tenth of `ψ`.
//! Little mass means an anomaly.

use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout,
    random::Random,
    rows::{self, Scale},
};

/// A node with the paper's `r` and `l`; inner nodes also have a cut. The children of node `n` are `2n + 1` and `2n +
/// 2`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Node {
    reference: u32,
    latest: u32,
    dimension: usize,
    cut: f64,
}

/// Half-space trees; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HalfSpaceTrees {
    dimensions: usize,
    depth: u32,
    window: u32,
    window_count: u32,
    /// True once the first reference window is complete.
    ready: bool,
    trees: Vec<Vec<Node>>,
}

impl HalfSpaceTrees {
    /// The paper uses 25 trees, depth 15 and windows of 250. The memory is `trees · 2^(depth + 1)` nodes. Points must
    /// have `dimensions` numbers, most of them from 0 to 1.
    pub fn new(dimensions: usize, trees: usize, depth: u32, window: u32, seed: u64) -> Self {
        let (dimensions, depth, window) = (dimensions.max(1), depth.clamp(1, 20), window.max(10));
        let mut random = Random::new(seed);
        let trees = (0..trees.max(1)).map(|_| build_tree(dimensions, depth, &mut random)).collect();
        Self { dimensions, depth, window, window_count: 0, ready: false, trees }
    }

    /// Adds the next point and returns its score from 0 (normal) to 1 (a region without points), on a scale of
    /// `log₂(1 + mass)`. None before the first window is full. Ignores points of another length and points with values
    /// that are not finite.
    pub fn push(&mut self, point: &[f64]) -> Option<f64> {
        if point.len() != self.dimensions || point.iter().any(|number| !number.is_finite()) {
            return None;
        }
        let min = self.window / 10;
        let mut mass = 0.0;
        for tree in &mut self.trees {
            let (mut at, mut stopped) = (0, false);
            for depth in 0..=self.depth {
                let Some(node) = tree.get_mut(at) else { break };
                node.latest += 1;
                if !stopped && (depth == self.depth || node.reference <= min) {
                    mass += f64::from(node.reference) * f64::from(1_u32 << depth);
                    stopped = true;
                }
                let above = point.get(node.dimension).is_some_and(|&number| number >= node.cut);
                at = 2 * at + 1 + usize::from(above);
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "few trees")]
        let max = self.trees.len() as f64 * f64::from(self.window) * f64::from(1_u32 << self.depth);
        let score = self.ready.then(|| 1.0 - (1.0 + mass).log2() / (1.0 + max).log2());
        self.window_count += 1;
        if self.window_count == self.window {
            (self.window_count, self.ready) = (0, true);
            for node in self.trees.iter_mut().flatten() {
                node.reference = std::mem::take(&mut node.latest);
            }
        }
        score
    }
}

/// Builds a tree over a random work range.
fn build_tree(dimensions: usize, depth: u32, random: &mut Random) -> Vec<Node> {
    let range = |random: &mut Random| {
        let middle = random.uniform();
        let half_range = 2.0 * middle.max(1.0 - middle);
        (middle - half_range, middle + half_range)
    };
    let ranges: Vec<(f64, f64)> = (0..dimensions).map(|_| range(random)).collect();
    let mut tree = vec![Node::default(); (1 << (depth + 1)) - 1];
    let inner = (1 << depth) - 1;
    // Nodes that still need a cut, with their ranges.
    let mut open = vec![(0_usize, ranges)];
    while let Some((at, mut ranges)) = open.pop() {
        let dimension = random.below(dimensions);
        let (Some(node), Some(range)) = (tree.get_mut(at), ranges.get_mut(dimension)) else { continue };
        let (low, high) = *range;
        (node.dimension, node.cut) = (dimension, f64::midpoint(low, high));
        if 2 * at + 1 < inner {
            let cut = node.cut;
            *range = (low, cut);
            let left = ranges.clone();
            if let Some(range) = ranges.get_mut(dimension) {
                *range = (cut, high);
            }
            open.push((2 * at + 1, left));
            open.push((2 * at + 2, ranges));
        }
    }
    tree
}

/// Range of the trees on either side of the median, in scales.
const RANGE: f64 = 8.0;
/// Number of trees and their depth; the memory is 25 · 2^9 nodes.
const TREES_AND_DEPTH: (usize, u32) = (25, 8);
/// Fewest rows that fill two windows.
const MIN_ROWS: usize = 20;

/// Half-space trees on the levels of all sensors. The window is half of the training rows, at most the paper's 250. The
/// limit is half way between the highest score in the second half and the highest possible score.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LevelTrees {
    layout: Layout,
    scales: Vec<Scale>,
    trees: Option<HalfSpaceTrees>,
    limit: f64,
    last_shares: Vec<f64>,
}

impl LevelTrees {
    /// Levels in scales, and as a point with numbers from 0 to 1.
    fn point(&self, row: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let levels = self.layout.level_indices().map(|at| row.get(at).copied().unwrap_or(f64::NAN));
        let z: Vec<f64> = levels.zip(&self.scales).map(|(level, scale)| scale.to_scales(level)).collect();
        let point = z.iter().map(|z| (0.5 + 0.5 * z / RANGE).clamp(0.0, 1.0)).collect();
        (z, point)
    }
}

impl Detector for LevelTrees {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable_rows(layout, rows, MIN_ROWS)?;
        let scales = layout.level_indices().map(|at| Scale::fit(&rows::column(&rows, at))).collect();
        *self = Self { layout, scales, trees: None, limit: 0.0, last_shares: vec![0.0; layout.width()] };
        let window = u32::try_from((rows.len() / 2).min(250)).unwrap_or(250);
        let mut trees = HalfSpaceTrees::new(layout.sensors, TREES_AND_DEPTH.0, TREES_AND_DEPTH.1, window, 1);
        let highest = rows.iter().filter_map(|row| trees.push(&self.point(row).1)).fold(0.0, f64::max);
        self.limit = f64::midpoint(highest, 1.0);
        self.trees = Some(trees);
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        let (z, point) = self.point(row);
        let score = self.trees.as_mut().and_then(|trees| trees.push(&point)).unwrap_or(0.0);
        let mut parts = vec![0.0; self.layout.width()];
        for (at, z) in self.layout.level_indices().zip(z) {
            if let Some(part) = parts.get_mut(at) {
                *part = z * z;
            }
        }
        self.last_shares = rows::to_shares(parts);
        rows::ratio(score, self.limit)
    }

    fn explain(&self) -> Vec<f64> {
        self.last_shares.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let mut trees = HalfSpaceTrees::new(2, 5, 6, 100, 1);
        let mut random = Random::new(2);
        for _ in 0..250 {
            trees.push(&[random.uniform(), random.uniform()]);
        }
        for tree in &trees.trees {
            assert_eq!((tree.len(), tree[0].reference, tree[0].latest), (127, 100, 50));
            for at in 0..63 {
                let (left, right) = (&tree[2 * at + 1], &tree[2 * at + 2]);
                assert_eq!(tree[at].reference, left.reference + right.reference);
                assert_eq!(tree[at].latest, left.latest + right.latest);
            }
        }
    }

    /// The mass as defined in the paper, from the counts of the nodes.
    #[test]
    fn mass_is_as_defined() {
        fn mass(tree: &[Node], at: usize, depth: u32, deepest: u32, min: u32, point: &[f64]) -> f64 {
            let node = &tree[at];
            if depth == deepest || node.reference <= min {
                return f64::from(node.reference) * 2.0_f64.powi(depth as i32);
            }
            let right = usize::from(point[node.dimension] >= node.cut);
            mass(tree, 2 * at + 1 + right, depth + 1, deepest, min, point)
        }
        let mut trees = HalfSpaceTrees::new(2, 5, 6, 100, 1);
        let mut random = Random::new(2);
        for _ in 0..500 {
            let point = [random.uniform(), random.uniform()];
            let total: f64 = trees.trees.iter().map(|tree| mass(tree, 0, 0, 6, 10, &point)).sum();
            let expected = 1.0 - (1.0 + total).log2() / (1.0 + 5.0 * 100.0 * 64.0_f64).log2();
            assert!(trees.push(&point).is_none_or(|score| (score - expected).abs() < 1e-12));
        }
    }

    #[test]
    fn outliers_stand_out() {
        let mut trees = HalfSpaceTrees::new(2, 25, 10, 250, 5);
        let mut random = Random::new(9);
        let (mut usual, mut odd) = (Vec::new(), Vec::new());
        for at in 0..3000 {
            let far = at % 100 == 99;
            let mut number = || 0.3 + 0.05 * random.normal() + if far { 0.5 } else { 0.0 };
            let point = [number(), number()];
            if let Some(score) = trees.push(&point) {
                if far { odd.push(score) } else { usual.push(score) }
            }
        }
        // Area under the ROC curve: how often an anomalous point scores above a normal one.
        let above = odd.iter().map(|odd| usual.iter().filter(|usual| odd > usual).count()).sum::<usize>();
        let share = above as f64 / (odd.len() * usual.len()) as f64;
        assert!(share > 0.99, "{share}");
    }
}
