//! The state as bytes: one byte of format version, then postcard.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::StageError;
use crate::asset_state::{AssetState, RecentWindows};
use crate::open_alert::OpenAlert;

/// Version 1 counted windows of all lengths together.
const VERSION: u8 = 2;

/// The state of an asset in version 1.
#[derive(Deserialize)]
struct AssetStateV1 {
    /// Which lengths the windows had is unknown: they are not counted any more.
    _recent: RecentWindows,
    alert: Option<OpenAlert>,
}

pub(crate) fn write(assets: &BTreeMap<String, AssetState>) -> Vec<u8> {
    // Writing into a Vec fails only for types that postcard cannot represent, which a test would detect.
    postcard::to_extend(assets, vec![VERSION]).unwrap_or_default()
}

pub(crate) fn read(bytes: &[u8]) -> Result<BTreeMap<String, AssetState>, StageError> {
    let (version, rest) = bytes
        .split_first()
        .ok_or_else(|| StageError::Snapshot("expected at least one byte, but it is empty".into()))?;
    match *version {
        VERSION => decode(rest),
        1 => {
            let assets: BTreeMap<String, AssetStateV1> = decode(rest)?;
            let with_alert = assets.into_iter().filter_map(|(group, state)| Some((group, state.alert?)));
            Ok(with_alert.map(|(group, alert)| (group, AssetState { alert: Some(alert), ..<_>::default() })).collect())
        }
        version => Err(StageError::Snapshot(format!(
            "expected format version 1 or {VERSION}, but it is {version}; replay from the log instead"
        ))),
    }
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StageError> {
    match postcard::take_from_bytes(bytes) {
        Ok((assets, [])) => Ok(assets),
        Ok((_, extra)) => Err(StageError::Snapshot(format!("{} bytes too many; it is damaged", extra.len()))),
        Err(error) => Err(StageError::Snapshot(format!("it is damaged: {error}; replay from the log instead"))),
    }
}
