//! The scores of a batch, as columns.

use crate::StageError;

/// Scored windows as columns of one length; row `r` is the window of `assets[asset[r]]`.
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
    /// 0 to 1. A score that is no number is neither quiet nor abnormal.
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

impl<'a> Scores<'a> {
    /// The rows, in the order given.
    ///
    /// # Errors
    /// [`StageError::Batch`] when the columns differ in length or an index is beyond the assets.
    pub(crate) fn windows(&self) -> Result<Vec<Window<'a>>, StageError> {
        let rows = self.asset.len();
        for (name, length) in [("start", self.start.len()), ("end", self.end.len()), ("score", self.score.len())] {
            if length != rows {
                return Err(StageError::Batch(format!(
                    "the scores' columns must have one length, but `asset` has {rows} rows and `{name}` has {length}"
                )));
            }
        }
        let times = self.start.iter().zip(self.end);
        let columns = self.asset.iter().zip(times).zip(self.score).enumerate();
        columns
            .map(|(row, ((&index, (&start, &end)), &score))| {
                let asset = usize::try_from(index).ok().and_then(|index| self.assets.get(index)).ok_or_else(|| {
                    StageError::Batch(format!(
                        "row {row} of the scores speaks of asset {index}, but the dictionary has {} names",
                        self.assets.len()
                    ))
                })?;
                Ok(Window { asset, start, end, score })
            })
            .collect()
    }
}

/// The names in a dictionary: name `i` is the bytes of `text` from `ends[i - 1]` (0 for the first) to `ends[i]`.
///
/// # Errors
/// [`StageError::Batch`] when an end lies before the one before it, inside a character or beyond the text.
pub fn names<'a>(text: &'a str, ends: &[u32]) -> Result<Vec<&'a str>, StageError> {
    let mut from = 0;
    let mut names = Vec::with_capacity(ends.len());
    for (index, &end) in ends.iter().enumerate() {
        let to = usize::try_from(end).unwrap_or(usize::MAX);
        let name = text.get(from..to).ok_or_else(|| {
            StageError::Batch(format!(
                "name {index} of the dictionary must lie between whole characters of its {} bytes, but goes from {from} to {to}",
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
        fn names_come_back(wanted in proptest::collection::vec(".{0,6}", 0..8)) {
            let text = wanted.concat();
            let ends: Vec<u32> = wanted.iter().scan(0, |sum, name| { *sum += name.len() as u32; Some(*sum) }).collect();
            prop_assert_eq!(names(&text, &ends).unwrap(), wanted);
        }

        #[test]
        fn any_ends_are_answered(text in ".{0,8}", ends in proptest::collection::vec(0_u32..40, 0..6)) {
            match names(&text, &ends) {
                Ok(names) => prop_assert!(text.starts_with(&names.concat())),
                Err(error) => prop_assert!(matches!(error, StageError::Batch(_))),
            }
        }
    }

    #[test]
    fn broken_columns_are_refused() {
        let good = Scores { assets: &["a"], asset: &[0], start: &[0], end: &[1], score: &[0.5] };
        assert_eq!(good.windows().unwrap(), [Window { asset: "a", start: 0, end: 1, score: 0.5 }]);
        for bad in [
            Scores { asset: &[1], ..good },
            Scores { asset: &[], ..good },
            Scores { start: &[], ..good },
            Scores { end: &[1, 2], ..good },
            Scores { score: &[], ..good },
        ] {
            assert!(matches!(bad.windows(), Err(StageError::Batch(_))), "{bad:?}");
        }
    }
}
