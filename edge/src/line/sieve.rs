//! What is left out of the records: stretches that were given up.

/// A stretch of the log that was given up, or what it holds of one asset. A replay leaves it out as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skip {
    /// The first offset of it.
    pub(super) from: u64,
    /// The first offset after it.
    pub(super) to: u64,
    /// Number of the asset; none: everything.
    pub(super) asset: Option<u32>,
}

impl Skip {
    fn holds(&self, offset: u64) -> bool {
        (self.from..self.to).contains(&offset)
    }
}

/// A part of a batch: what some assets have in some of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Numbers of the assets.
    pub(super) assets: Vec<u32>,
    /// Offsets of the records, rising.
    pub(super) records: Vec<u64>,
}

impl Part {
    /// Two parts that make this one, the first to be run first: by asset, as assets do not concern each other; a single
    /// asset's by record. None when there is nothing to part.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        let Self { assets, records } = self;
        if assets.len() > 1 {
            let (one, other) = assets.split_at(assets.len() / 2);
            let half = |assets: &[u32]| Self { assets: assets.to_vec(), records: records.clone() };
            Some((half(one), half(other)))
        } else if records.len() > 1 {
            let (one, other) = records.split_at(records.len() / 2);
            let half = |records: &[u64]| Self { assets: assets.clone(), records: records.to_vec() };
            Some((half(one), half(other)))
        } else {
            None
        }
    }

    fn holds(&self, offset: u64, asset: u32) -> bool {
        self.assets.contains(&asset) && self.records.binary_search(&offset).is_ok()
    }
}

/// Decides what of the records goes to the stages.
#[derive(Clone, Debug, Default)]
pub(super) struct Sieve {
    skips: Vec<Skip>,
    /// Only this.
    part: Option<Part>,
}

impl Sieve {
    pub(super) fn new(skips: Vec<Skip>) -> Self {
        Self { skips, part: None }
    }

    /// From now on this is left out too.
    pub(super) fn skip(&mut self, skip: Skip) {
        self.skips.push(skip);
    }

    /// Forgets what lies before an offset that no replay goes behind.
    pub(super) fn forget(&mut self, before: u64) {
        self.skips.retain(|skip| skip.to > before);
    }

    /// What goes through it of one part.
    pub(super) fn only(&self, part: Part) -> Self {
        Self { skips: self.skips.clone(), part: Some(part) }
    }

    /// Whether it may leave out any of the record at `offset`.
    pub(super) fn concerns(&self, offset: u64) -> bool {
        self.part.is_some() || self.skips.iter().any(|skip| skip.holds(offset))
    }

    /// Whether it leaves out all of the record at `offset`, whatever that is.
    pub(super) fn drops(&self, offset: u64) -> bool {
        self.skips.iter().any(|skip| skip.asset.is_none() && skip.holds(offset))
    }

    /// Whether what `asset` has in the record at `offset` goes through.
    pub(super) fn keeps(&self, offset: u64, asset: u32) -> bool {
        let skipped =
            self.skips.iter().any(|skip| skip.holds(offset) && skip.asset.is_none_or(|skipped| skipped == asset));
        !skipped && self.part.as_ref().is_none_or(|part| part.holds(offset, asset))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn halving_ends_at_one_asset_in_one_record_and_loses_nothing() {
        let whole = Part { assets: vec![4, 7, 9], records: vec![10, 20, 30, 40, 50] };
        let (mut open, mut single) = (vec![whole], Vec::new());
        while let Some(part) = open.pop() {
            match part.halves() {
                Some((first, second)) => open.extend([second, first]),
                None => single.push((part.assets[0], part.records[0])),
            }
        }
        let wanted: Vec<(u32, u64)> =
            [4, 7, 9].into_iter().flat_map(|asset| [10, 20, 30, 40, 50].map(|record| (asset, record))).collect();
        // In order, too: what an asset sent first goes first.
        assert_eq!(single, wanted);
    }

    #[test]
    fn what_one_asset_had_given_up_costs_no_other() {
        let mut sieve = Sieve::new(vec![Skip { from: 10, to: 20, asset: Some(3) }]);
        assert!(sieve.concerns(10) && !sieve.concerns(20) && !sieve.drops(10));
        assert!(!sieve.keeps(10, 3) && sieve.keeps(10, 4) && sieve.keeps(20, 3));
        let part = sieve.only(Part { assets: vec![3, 4], records: vec![10, 20] });
        assert!(!part.keeps(10, 3) && part.keeps(10, 4) && !part.keeps(30, 4) && !part.keeps(20, 5));
        sieve.skip(Skip { from: 30, to: 40, asset: None });
        assert!(sieve.drops(30) && !sieve.keeps(39, 9));
        sieve.forget(20);
        assert!(sieve.keeps(10, 3) && sieve.drops(30));
    }
}
