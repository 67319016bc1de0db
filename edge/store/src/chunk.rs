//! Columns as blobs: pco (<https://github.com/pcodec/pcodec>), a lossless codec for numbers.

use pco::{
    ChunkConfig, PagingSpec,
    standalone::{DecompressorItem, FileDecompressor, simple_compress},
};

use crate::StoreError;

/// Level 4 of 12: within a few per cent of the default's size at twice its speed.
const LEVEL: usize = 4;
/// Below this length pco's headers cost more than they save.
const PLAIN_BELOW: usize = 8;

/// Numbers that a compressed column may hold; a longer one is stored as it is. A damaged one of a few bytes could claim any
/// number of them, and the claim is believed only up to here.
const MOST: usize = 1 << 22;

fn config() -> ChunkConfig {
    ChunkConfig::default().with_compression_level(LEVEL).with_paging_spec(PagingSpec::EqualPagesUpTo(1 << 18))
}

fn encode<T: pco::data_types::Number>(numbers: &[T], plain: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    if !(PLAIN_BELOW..=MOST).contains(&numbers.len()) {
        return marked(0, plain());
    }
    match simple_compress(numbers, &config()) {
        Ok(bytes) => marked(1, bytes),
        // What pco refuses (it should not) is stored as it is, rather than not at all.
        Err(_) => marked(0, plain()),
    }
}

fn marked(kind: u8, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.insert(0, kind);
    bytes
}

fn decode<T: pco::data_types::Number + Default>(
    bytes: &[u8],
    plain: impl FnOnce(&[u8]) -> Option<Vec<T>>,
) -> Result<Vec<T>, StoreError> {
    match bytes.split_first() {
        Some((0, rest)) => plain(rest).ok_or_else(|| StoreError::Column("its length is odd".into())),
        Some((1, rest)) => decompress(rest),
        Some((kind, _)) => Err(StoreError::Column(format!("its kind {kind} is unknown"))),
        None => Err(StoreError::Column("it is empty".into())),
    }
}

fn decompress<T: pco::data_types::Number + Default>(bytes: &[u8]) -> Result<Vec<T>, StoreError> {
    let damaged = |error: pco::errors::PcoError| StoreError::Column(error.to_string());
    let (file, mut bytes) = FileDecompressor::new(bytes).map_err(damaged)?;
    let mut numbers = Vec::new();
    loop {
        let mut chunk = match file.chunk_decompressor(bytes).map_err(damaged)? {
            DecompressorItem::Chunk(chunk) => chunk,
            DecompressorItem::EndOfData(_) => return Ok(numbers),
        };
        let filled = numbers.len();
        if chunk.n() > MOST - filled {
            return Err(StoreError::Column(format!("it says that it holds more than {MOST} numbers")));
        }
        numbers.reserve_exact(chunk.n());
        numbers.resize(filled + chunk.n(), T::default());
        let progress = chunk.read(&mut numbers[filled..]).map_err(damaged)?;
        if !progress.finished {
            return Err(StoreError::Column("a part of it is incomplete".into()));
        }
        bytes = chunk.into_src();
    }
}

fn cells<const N: usize>(bytes: &[u8]) -> Option<&[[u8; N]]> {
    let (cells, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then_some(cells)
}

/// Encodes a column of whole numbers.
pub fn encode_i64(numbers: &[i64]) -> Vec<u8> {
    encode(numbers, || numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// Encodes a column of numbers, bit for bit.
pub fn encode_f64(numbers: &[f64]) -> Vec<u8> {
    encode(numbers, || numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// Encodes samples, bit for bit.
pub(crate) fn encode_f32(numbers: &[f32]) -> Vec<u8> {
    encode(numbers, || numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// Decodes what [`encode_i64`] made.
///
/// # Errors
/// [`StoreError::Column`].
pub fn decode_i64(bytes: &[u8]) -> Result<Vec<i64>, StoreError> {
    decode(bytes, |bytes| Some(cells(bytes)?.iter().map(|&cell| i64::from_le_bytes(cell)).collect()))
}

/// Decodes what [`encode_f64`] made.
///
/// # Errors
/// [`StoreError::Column`].
pub fn decode_f64(bytes: &[u8]) -> Result<Vec<f64>, StoreError> {
    decode(bytes, |bytes| Some(cells(bytes)?.iter().map(|&cell| f64::from_le_bytes(cell)).collect()))
}

/// Decodes what [`encode_f32`] made.
pub(crate) fn decode_f32(bytes: &[u8]) -> Result<Vec<f32>, StoreError> {
    decode(bytes, |bytes| Some(cells(bytes)?.iter().map(|&cell| f32::from_le_bytes(cell)).collect()))
}
