//! Drops quarantined ranges from the records of a replay.

/// A quarantined range of the log: all of it, or the readings of one asset in it. A replay drops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QuarantinedRange {
    /// The first offset of the range.
    pub(super) from: u64,
    /// The first offset after the range.
    pub(super) to: u64,
    /// Number of the asset; `None`: all records.
    pub(super) asset: Option<u32>,
}

impl QuarantinedRange {
    fn contains(&self, offset: u64) -> bool {
        (self.from..self.to).contains(&offset)
    }
}

/// A slice of a batch: the readings of some assets in some of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchSlice {
    /// Numbers of the assets.
    pub(super) assets: Vec<u32>,
    /// Offsets of the records, ascending.
    pub(super) records: Vec<u64>,
}

impl BatchSlice {
    /// Splits the slice into two, the first to be run first: by asset, as assets are independent; a single asset by
    /// record. `None` when it cannot be split further.
    pub(super) fn split(&self) -> Option<(Self, Self)> {
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

    fn contains(&self, offset: u64, asset: u32) -> bool {
        self.assets.contains(&asset) && self.records.binary_search(&offset).is_ok()
    }
}

/// Decides which records, and which assets in them, are passed to the stages.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplayFilter {
    skipped_ranges: Vec<QuarantinedRange>,
    /// If set, only this slice passes.
    slice: Option<BatchSlice>,
}

impl ReplayFilter {
    pub(super) fn new(skips: Vec<QuarantinedRange>) -> Self {
        Self { skipped_ranges: skips, slice: None }
    }

    /// Adds a range to drop.
    pub(super) fn add_skipped_range(&mut self, skip: QuarantinedRange) {
        self.skipped_ranges.push(skip);
    }

    /// Removes ranges before an offset that no replay will read again.
    pub(super) fn prune(&mut self, before: u64) {
        self.skipped_ranges.retain(|skip| skip.to > before);
    }

    /// A filter that passes only `slice`.
    pub(super) fn only_slice(&self, slice: BatchSlice) -> Self {
        Self { skipped_ranges: self.skipped_ranges.clone(), slice: Some(slice) }
    }

    /// Whether the filter may drop anything of the record at `offset`.
    pub(super) fn may_drop_from(&self, offset: u64) -> bool {
        self.slice.is_some() || self.skipped_ranges.iter().any(|skip| skip.contains(offset))
    }

    /// Whether the filter drops the whole record at `offset`.
    pub(super) fn drops_record(&self, offset: u64) -> bool {
        self.skipped_ranges.iter().any(|skip| skip.asset.is_none() && skip.contains(offset))
    }

    /// Whether the readings of `asset` in the record at `offset` pass.
    pub(super) fn passes(&self, offset: u64, asset: u32) -> bool {
        let skipped = self
            .skipped_ranges
            .iter()
            .any(|skip| skip.contains(offset) && skip.asset.is_none_or(|skipped| skipped == asset));
        !skipped && self.slice.as_ref().is_none_or(|slice| slice.contains(offset, asset))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn splitting_ends_at_one_asset_in_one_record_and_loses_nothing() {
        let whole = BatchSlice { assets: vec![4, 7, 9], records: vec![10, 20, 30, 40, 50] };
        let (mut open, mut single) = (vec![whole], Vec::new());
        while let Some(slice) = open.pop() {
            match slice.split() {
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
    fn a_range_that_one_asset_skips_drops_no_other_asset() {
        let mut filter = ReplayFilter::new(vec![QuarantinedRange { from: 10, to: 20, asset: Some(3) }]);
        assert!(filter.may_drop_from(10) && !filter.may_drop_from(20) && !filter.drops_record(10));
        assert!(!filter.passes(10, 3) && filter.passes(10, 4) && filter.passes(20, 3));
        let slice = filter.only_slice(BatchSlice { assets: vec![3, 4], records: vec![10, 20] });
        assert!(!slice.passes(10, 3) && slice.passes(10, 4) && !slice.passes(30, 4) && !slice.passes(20, 5));
        filter.add_skipped_range(QuarantinedRange { from: 30, to: 40, asset: None });
        assert!(filter.drops_record(30) && !filter.passes(39, 9));
        filter.prune(20);
        assert!(filter.passes(10, 3) && filter.drops_record(30));
    }
}
