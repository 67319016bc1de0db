//! The period of a series, as TSB-AD estimates it for the VUS window.

/// Maximum number of rows used.
const MAX_ROWS: usize = 20_000;
/// Maximum lag.
const MAX_LAG: usize = 400;
/// Minimum lag.
const MIN_LAG: usize = 3;
/// Period if none is found.
const DEFAULT_PERIOD: usize = 125;

/// Estimates the period: the lag, from 4 on, of the highest local maximum of the autocorrelation up to lag 400, over
/// the first 20,000 values. Returns 125 if there is no maximum, or if the lag is less than 6 or greater than 303
/// (TSB-AD 1.5, `find_length_rank`, rank 1).
#[must_use]
pub fn period(values: &[f64]) -> usize {
    let values = values.get(..MAX_ROWS.min(values.len())).unwrap_or_default();
    let mean = super::confusion::mean(values.iter().copied());
    let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
    // Not divided by the variance, which is the same for all lags.
    let lags = MIN_LAG..=MAX_LAG.min(values.len().saturating_sub(1));
    let correlation: Vec<f64> = lags
        .map(|lag| centred.iter().zip(centred.get(lag..).unwrap_or_default()).map(|(one, other)| one * other).sum())
        .collect();
    let mut best: Option<(usize, f64)> = None;
    for (at, three) in correlation.array_windows::<3>().enumerate() {
        let &[before, here, after] = three;
        if here > before && here > after && best.is_none_or(|(_, most)| here >= most) {
            best = Some((at + 1, here));
        }
    }
    match best {
        Some((at, _)) if (3..=300).contains(&at) => at + MIN_LAG,
        _ => DEFAULT_PERIOD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periodic_and_constant_series() {
        let wave: Vec<f64> = (0..5000).map(|row| (f64::from(row) * std::f64::consts::TAU / 48.0).sin()).collect();
        assert_eq!(period(&wave), 48);
        assert_eq!(period(&[1.0; 500]), 125);
        assert_eq!(period(&[]), 125);
    }
}
