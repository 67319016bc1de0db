//! The state as bytes: one byte of format version, then postcard.

use std::collections::BTreeMap;

use crate::StageError;
use crate::asset_state::AssetState;

const VERSION: u8 = 1;

pub(crate) fn write(assets: &BTreeMap<String, AssetState>) -> Vec<u8> {
    // Writing into a Vec fails only for types that postcard cannot represent, which a test would detect.
    postcard::to_extend(assets, vec![VERSION]).unwrap_or_default()
}

pub(crate) fn read(bytes: &[u8]) -> Result<BTreeMap<String, AssetState>, StageError> {
    let (version, rest) = bytes
        .split_first()
        .ok_or_else(|| StageError::Snapshot("expected at least one byte, but it is empty".into()))?;
    if *version != VERSION {
        return Err(StageError::Snapshot(format!(
            "expected format version {VERSION}, but it is {version}; replay from the log instead"
        )));
    }
    match postcard::take_from_bytes(rest) {
        Ok((assets, [])) => Ok(assets),
        Ok((_, extra)) => Err(StageError::Snapshot(format!("{} bytes too many; it is damaged", extra.len()))),
        Err(error) => Err(StageError::Snapshot(format!("it is damaged: {error}; replay from the log instead"))),
    }
}
