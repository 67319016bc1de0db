//! Drops quarantined ranges from the records of a replay.

/// A quarantined range of the log: all of it, or the readings of one asset in it. A replay drops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skip {
    /// The first offset of the range.
    pub(super) from: u64,
    /// The first offset after the range.
    pub(super) to: u64,
    /// Number of the asset; `None`: all records.
    pub(super) asset: Option<u32>,
}

impl Skip {
    fn holds(&self, offset: u64) -> bool {
        (self.from..self.to).contains(&offset)
    }
}

/// A slice of a batch: the readings of some assets in some of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Numbers of the assets.
    pub(super) assets: Vec<u32>,
    /// Offsets of the records, ascending.
    pub(super) records: Vec<u64>,
}

impl Part {
    /// Splits the slice into two, the first to be run first: by asset, as assets are independent; a single asset by
    /// record. `None` when it cannot be split further.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        let Self { assets, records } = self;
        if assets.len() > 1 {
            let (first_half, second_half) = assets.split_at(assets.len() / 2);
            let half = |assets: &[u32]| Self { assets: assets.to_vec(), records: records.clone() };
            Some((half(first_half), half(second_half)))
        } else if records.len() > 1 {
            let (first_half, second_half) = records.split_at(records.len() / 2);
            let half = |records: &[u64]| Self { assets: assets.clone(), records: records.to_vec() };
            Some((half(first_half), half(second_half)))
        } else {
            None
        }
    }

    fn holds(&self, offset: u64, asset: u32) -> bool {
        self.assets.contains(&asset) && self.records.binary_search(&offset).is_ok()
    }
}

/// Decides which records, and which assets in them, are passed to the stages.
#[derive(Clone, Debug, Default)]
pub(super) struct Sieve {
    skips: Vec<Skip>,
    /// If set, only this slice passes.
    slice: Option<Part>,
}

impl Sieve {
    pub(super) fn new(skips: Vec<Skip>) -> Self {
        Self { skips, slice: None }
    }

    /// Adds a range to drop.
    pub(super) fn skip(&mut self, skip: Skip) {
        self.skips.push(skip);
    }

    /// Removes ranges before an offset that no replay will read again.
    pub(super) fn forget(&mut self, before: u64) {
        self.skips.retain(|skip| skip.to > before);
    }

    /// A filter that passes only `slice`.
    pub(super) fn only(&self, slice: Part) -> Self {
        Self { skips: self.skips.clone(), slice: Some(slice) }
    }

    /// Whether the filter may drop anything of the record at `offset`.
    pub(super) fn concerns(&self, offset: u64) -> bool {
        self.slice.is_some() || self.skips.iter().any(|skip| skip.holds(offset))
    }

    /// Whether the filter drops the whole record at `offset`.
    pub(super) fn drops(&self, offset: u64) -> bool {
        self.skips.iter().any(|skip| skip.asset.is_none() && skip.holds(offset))
    }

    /// Whether the readings of `asset` in the record at `offset` pass.
    pub(super) fn keeps(&self, offset: u64, asset: u32) -> bool {
        let skipped =
            self.skips.iter().any(|skip| skip.holds(offset) && skip.asset.is_none_or(|skipped| skipped == asset));
        !skipped && self.slice.as_ref().is_none_or(|slice| slice.holds(offset, asset))
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
        while let Some(slice) = open.pop() {
            match slice.halves() {
                Some((first, second)) => open.extend([second, first]),
                None => single.push((slice.assets[0], slice.records[0])),
            }
        }
        let expected: Vec<(u32, u64)> =
            [4, 7, 9].into_iter().flat_map(|asset| [10, 20, 30, 40, 50].map(|record| (asset, record))).collect();
        // The order is kept: earlier records of an asset come first.
        assert_eq!(single, expected);
    }

    #[test]
    fn what_one_asset_had_given_up_costs_no_other() {
        let mut sieve = Sieve::new(vec![Skip { from: 10, to: 20, asset: Some(3) }]);
        assert!(sieve.concerns(10) && !sieve.concerns(20) && !sieve.drops(10));
        assert!(!sieve.keeps(10, 3) && sieve.keeps(10, 4) && sieve.keeps(20, 3));
        let slice = sieve.only(Part { assets: vec![3, 4], records: vec![10, 20] });
        assert!(!slice.keeps(10, 3) && slice.keeps(10, 4) && !slice.keeps(30, 4) && !slice.keeps(20, 5));
        sieve.skip(Skip { from: 30, to: 40, asset: None });
        assert!(sieve.drops(30) && !sieve.keeps(39, 9));
        sieve.forget(20);
        assert!(sieve.keeps(10, 3) && sieve.drops(30));
    }
}
