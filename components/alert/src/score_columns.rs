//! The scores of a batch in columns.

use crate::StageError;

/// Scored windows as columns of equal length; row `r` is the window of `assets[asset[r]]`.
#[derive(Clone, Copy, Debug)]
pub struct Scores<'a> {
    /// Names of the assets.
    pub assets: &'a [&'a str],
    /// Index into `assets`.
    pub asset: &'a [u32],
    /// Starts of the windows, ns since 1970.
    pub start: &'a [i64],
    /// Ends of the windows, ns since 1970.
    pub end: &'a [i64],
    /// 0 to 1. A window whose score is NaN is neither quiet nor anomalous.
    pub score: &'a [f64],
}

/// One scored window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window<'a> {
    pub asset: &'a str,
    pub start: i64,
    pub end: i64,
    pub score: f64,
}

impl Window<'_> {
    /// Length in ns.
    pub fn length(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }
}

impl<'a> Scores<'a> {
    /// Returns the rows in the order given.
    ///
    /// # Errors
    /// [`StageError::Batch`] when the columns differ in length or an index is beyond the assets.
    pub(crate) fn windows(&self) -> Result<Vec<Window<'a>>, StageError> {
        let rows = self.asset.len();
        for (name, length) in [("start", self.start.len()), ("end", self.end.len()), ("score", self.score.len())] {
            if length != rows {
                return Err(StageError::Batch(format!(
                    "the columns of the scores must have equal lengths, but `asset` has {rows} rows and `{name}` has {length}"
                )));
            }
        }
        let times = self.start.iter().zip(self.end);
        let columns = self.asset.iter().zip(times).zip(self.score).enumerate();
        columns
            .map(|(row, ((&index, (&start, &end)), &score))| {
                let asset = usize::try_from(index).ok().and_then(|index| self.assets.get(index)).ok_or_else(|| {
                    StageError::Batch(format!(
                        "row {row} of the scores has asset index {index}, but the dictionary has {} names",
                        self.assets.len()
                    ))
                })?;
                Ok(Window { asset, start, end, score })
            })
            .collect()
    }
}

/// Returns the names in a dictionary: name `i` is the bytes of `text` from `ends[i - 1]` (0 for the first) to
/// `ends[i]`.
///
/// # Errors
/// [`StageError::Batch`] when an end is before the previous one, inside a character or beyond the text.
pub fn dictionary_names<'a>(text: &'a str, ends: &[u32]) -> Result<Vec<&'a str>, StageError> {
    let mut from = 0;
    let mut names = Vec::with_capacity(ends.len());
    for (index, &end) in ends.iter().enumerate() {
        let to = usize::try_from(end).unwrap_or(usize::MAX);
        let name = text.get(from..to).ok_or_else(|| {
            StageError::Batch(format!(
                "name {index} of the dictionary must start and end at character boundaries within {} bytes, but spans {from} to {to}",
                text.len()
            ))
        })?;
        names.push(name);
        from = to;
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_restored(expected in proptest::collection::vec(".{0,6}", 0..8)) {
            let text = expected.concat();
            let ends: Vec<u32> = expected.iter().scan(0, |sum, name| { *sum += name.len() as u32; Some(*sum) }).collect();
            prop_assert_eq!(dictionary_names(&text, &ends).unwrap(), expected);
        }

        #[test]
        fn any_ends_give_names_or_an_error(text in ".{0,8}", ends in proptest::collection::vec(0_u32..40, 0..6)) {
            match dictionary_names(&text, &ends) {
                Ok(names) => prop_assert!(text.starts_with(&names.concat())),
                Err(error) => prop_assert!(matches!(error, StageError::Batch(_))),
            }
        }
    }

    #[test]
    fn inconsistent_columns_are_rejected() {
        let valid = Scores { assets: &["a"], asset: &[0], start: &[0], end: &[1], score: &[0.5] };
        assert_eq!(valid.windows().unwrap(), [Window { asset: "a", start: 0, end: 1, score: 0.5 }]);
        for invalid in [
            Scores { asset: &[1], ..valid },
            Scores { asset: &[], ..valid },
            Scores { start: &[], ..valid },
            Scores { end: &[1, 2], ..valid },
            Scores { score: &[], ..valid },
        ] {
            assert!(matches!(invalid.windows(), Err(StageError::Batch(_))), "{invalid:?}");
        }
    }
}
