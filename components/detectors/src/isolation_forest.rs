//! Isolation forest (F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation forest", ICDM 2008): points that random cuts isolate
//! early are anomalies. The score is `2^(−E(h) / c(ψ))` with the mean depth `E(h)` at which a point ends, and the mean
//! depth `c(ψ)` of an unsuccessful search in a binary tree of the `ψ` points from which each tree is grown.

use serde::{Deserialize, Serialize};

use crate::{
    Layout,
    calibrated::DistanceModel,
    random::Random,
    rows::{self, Scales},
};

/// An inner node with a cut, or a leaf; the `left` and `right` of a leaf are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Node {
    column: u32,
    left: u32,
    right: u32,
    cut: f32,
    /// Path length of a point that ends here, including the expected depth below.
    depth: f32,
}

/// `c(n)`: mean depth of an unsuccessful search in a binary tree of `n` points.
pub fn average_path(n: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = rows::to_float(n);
            2.0 * ((n - 1.0).ln() + EULER) - 2.0 * (n - 1.0) / n
        }
    }
}

/// Isolation forest on points of equal length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    trees: Vec<Vec<Node>>,
    sample_size: usize,
}

impl Forest {
    /// Grows `trees` trees of `sample` points each (100 and 256 in the paper).
    pub fn grow(points: &[Vec<f64>], trees: usize, sample: usize, seed: u64) -> Self {
        let sample = sample.min(points.len()).max(1);
        // Trees are cut off at the average depth, ⌈log₂ ψ⌉.
        let deepest = sample.next_power_of_two().trailing_zeros();
        let mut random = Random::new(seed);
        let grow = |_| {
            let rows: Vec<&[f64]> = random
                .sample(points.len(), sample)
                .into_iter()
                .filter_map(|at| points.get(at).map(Vec::as_slice))
                .collect();
            let mut tree = Vec::new();
            grow_node(&mut tree, rows, 0, deepest, &mut random);
            tree
        };
        Self { trees: (0..trees).map(grow).collect(), sample_size: sample }
    }

    /// Anomaly score from 0 (normal) to 1; about a half for points without anomalies.
    pub fn score(&self, point: &[f64]) -> f64 {
        let depth = |tree: &Vec<Node>| {
            let mut at = 0;
            loop {
                let Some(node) = tree.get(at as usize) else { return 0.0 };
                if node.left == 0 {
                    return f64::from(node.depth);
                }
                #[allow(clippy::cast_possible_truncation, reason = "cuts are of this precision")]
                let value = point.get(node.column as usize).copied().unwrap_or(0.0) as f32;
                at = if value < node.cut { node.left } else { node.right };
            }
        };
        let mean = self.trees.iter().map(depth).sum::<f64>() / rows::to_float(self.trees.len().max(1));
        (-mean / average_path(self.sample_size).max(1.0)).exp2()
    }
}

/// Grows the node of these points and the nodes below it. Returns the node's index.
#[allow(clippy::cast_possible_truncation, reason = "depths and cuts need no more digits, and trees are small")]
fn grow_node(tree: &mut Vec<Node>, points: Vec<&[f64]>, depth: u32, deepest: u32, random: &mut Random) -> u32 {
    let at = tree.len();
    let ends = (f64::from(depth) + average_path(points.len())) as f32;
    tree.push(Node { depth: ends, ..Node::default() });
    let width = points.first().map_or(0, |point| point.len());
    if depth >= deepest || points.len() < 2 {
        return at as u32;
    }
    // Draw a number that differs between the points; constant ones are drawn again.
    for _ in 0..2 * width {
        let number = random.below(width);
        let of = |point: &&[f64]| point.get(number).copied().unwrap_or(0.0) as f32;
        let (low, high) = points
            .iter()
            .map(of)
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low >= high {
            continue;
        }
        let mut cut = low + (high - low) * random.uniform() as f32;
        if cut <= low || cut > high {
            cut = high;
        }
        let (left, right): (Vec<&[f64]>, Vec<&[f64]>) = points.into_iter().partition(|point| of(point) < cut);
        let left = grow_node(tree, left, depth + 1, deepest, random);
        let right = grow_node(tree, right, depth + 1, deepest, random);
        if let Some(node) = tree.get_mut(at) {
            *node = Node { column: number as u32, left, right, cut, depth: ends };
        }
        break;
    }
    at as u32
}

/// Isolation forest on all numbers of a row that vary in the training rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IsolationForest {
    scales: Scales,
    varying: Vec<bool>,
    forest: Forest,
}

const TREE_COUNT: usize = 100;
const SAMPLE_SIZE: usize = 256;
const SEED: u64 = 0x150_1a7e;

impl IsolationForest {
    fn point(&self, row: &[f64]) -> Vec<f64> {
        let z = self.scales.to_scales(row);
        z.into_iter().zip(&self.varying).filter(|(_, moves)| **moves).map(|(z, _)| z).collect()
    }
}

impl DistanceModel for IsolationForest {
    fn train(&mut self, _: Layout, rows: &[Vec<f64>]) {
        self.scales = Scales::fit(rows);
        self.varying = self.scales.varying().collect();
        let points: Vec<Vec<f64>> = rows.iter().map(|row| self.point(row)).collect();
        self.forest = Forest::grow(&points, TREE_COUNT, SAMPLE_SIZE, SEED);
    }

    /// The forest's score.
    fn distance(&self, row: &[f64]) -> f64 {
        if self.varying.iter().any(|moves| *moves) { self.forest.score(&self.point(row)) } else { 0.0 }
    }

    /// The score of a mean depth of 0.62 of the average. There is no theory of it, so cross-validation decides.
    fn theoretical_limit(&self) -> f64 {
        0.65
    }

    fn max_distance(&self) -> f64 {
        1.0
    }

    /// The trees identify the cause poorly, so the contribution is the squared z-value of each number.
    fn contributions(&self, row: &[f64]) -> Vec<f64> {
        self.scales.to_scales(row).iter().map(|z| z * z).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Reference {
        points: Vec<Vec<f64>>,
        scores: Vec<f64>,
        average_path: Vec<(usize, f64)>,
    }

    fn ranks(values: &[f64]) -> Vec<f64> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut ranks = vec![0.0; values.len()];
        order.iter().enumerate().for_each(|(rank, at)| ranks[*at] = rank as f64);
        ranks
    }

    /// scikit-learn's `IsolationForest` on the same points: rank correlation above 0.95, mean score within 0.02; its
    /// `_average_path_length` to 1e-12.
    #[test]
    fn scores_match_scikit_learn() {
        let reference: Reference = serde_json::from_str(include_str!("../tests/data/isolation_forest.json")).unwrap();
        for (n, expected) in &reference.average_path {
            assert!((average_path(*n) - expected).abs() < 1e-12, "c({n})");
        }
        let forest = Forest::grow(&reference.points, 100, 256, 1);
        let mine: Vec<f64> = reference.points.iter().map(|point| forest.score(point)).collect();
        let (a, b) = (ranks(&mine), ranks(&reference.scores));
        let middle = rows::mean(&a);
        let product = a.iter().zip(&b).map(|(a, b)| (a - middle) * (b - middle)).sum::<f64>();
        let correlation = product / a.iter().map(|a| (a - middle).powi(2)).sum::<f64>();
        assert!(correlation > 0.95, "{correlation}");
        let difference = rows::mean(&mine) - rows::mean(&reference.scores);
        assert!(difference.abs() < 0.02, "{difference}");
    }

    #[test]
    fn the_same_seed_grows_the_same() {
        let mut random = Random::new(1);
        let points: Vec<Vec<f64>> = (0..100).map(|_| vec![random.normal(), random.normal(), 1.0]).collect();
        let grow = |seed| Forest::grow(&points, 10, 64, seed);
        assert_eq!(grow(3), grow(3));
        assert_ne!(grow(3), grow(4));
        let forest = grow(3);
        assert!(forest.trees.iter().all(|tree| tree.len() < 2 * 64));
        assert!(forest.score(&[9.0, 9.0, 1.0]) > forest.score(&[0.0, 0.0, 1.0]));
        assert!((0.0..=1.0).contains(&Forest::default().score(&[])));
    }
}
