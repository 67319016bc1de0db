//! Compressed columns: pco (<https://github.com/pcodec/pcodec>), a lossless codec for numbers.

use pco::{
    ChunkConfig, PagingSpec,
    standalone::{DecompressorItem, FileDecompressor, simple_compress},
};

use crate::StoreError;

/// Level 4 of 12 is within a few per cent of the default level's size at twice its speed.
const COMPRESSION_LEVEL: usize = 4;
/// Shorter columns are stored uncompressed, because pco's headers would cost more than they save.
const MIN_COMPRESSED_LENGTH: usize = 8;

/// Maximum length of a compressed column; longer columns are stored uncompressed. A damaged column of a few bytes could
/// claim any length, so a claim above this limit is an error. Decoding takes at most 32 MiB for the numbers, and 256 MiB
/// for pco's references back, whatever a damaged column claims.
const MAX_NUMBERS: usize = 1 << 22;

fn config() -> ChunkConfig {
    ChunkConfig::default()
        .with_compression_level(COMPRESSION_LEVEL)
        .with_paging_spec(PagingSpec::EqualPagesUpTo(1 << 18))
}

fn encode<T: pco::data_types::Number>(numbers: &[T], plain: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    if !(MIN_COMPRESSED_LENGTH..=MAX_NUMBERS).contains(&numbers.len()) {
        return with_encoding(0, plain());
    }
    match simple_compress(numbers, &config()) {
        Ok(bytes) => with_encoding(1, bytes),
        // If pco returned an error (it should not), the column is stored uncompressed.
        Err(_) => with_encoding(0, plain()),
    }
}

fn with_encoding(encoding: u8, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.insert(0, encoding);
    bytes
}

fn decode<T: pco::data_types::Number + Default>(
    bytes: &[u8],
    plain: impl FnOnce(&[u8]) -> Option<Vec<T>>,
) -> Result<Vec<T>, StoreError> {
    match bytes.split_first() {
        Some((0, rest)) => plain(rest)
            .ok_or_else(|| StoreError::CorruptColumn("its length is not a multiple of the number size".into())),
        Some((1, rest)) => decompress(rest),
        Some((encoding, _)) => Err(StoreError::CorruptColumn(format!("its encoding {encoding} is unknown"))),
        None => Err(StoreError::CorruptColumn("it is empty".into())),
    }
}

fn decompress<T: pco::data_types::Number + Default>(bytes: &[u8]) -> Result<Vec<T>, StoreError> {
    let damaged = |error: pco::errors::PcoError| StoreError::CorruptColumn(error.to_string());
    let (file, mut bytes) = FileDecompressor::new(bytes).map_err(damaged)?;
    let mut numbers = Vec::new();
    loop {
        let mut chunk = match file.chunk_decompressor(bytes).map_err(damaged)? {
            DecompressorItem::Chunk(chunk) => chunk,
            DecompressorItem::EndOfData(_) => return Ok(numbers),
        };
        let decoded = numbers.len();
        if chunk.n() > MAX_NUMBERS - decoded {
            return Err(StoreError::CorruptColumn(format!("it claims to contain more than {MAX_NUMBERS} numbers")));
        }
        numbers.reserve_exact(chunk.n());
        numbers.resize(decoded + chunk.n(), T::default());
        let progress = chunk.read(&mut numbers[decoded..]).map_err(damaged)?;
        if !progress.finished {
            return Err(StoreError::CorruptColumn("a page of it is incomplete".into()));
        }
        bytes = chunk.into_src();
    }
}

fn as_arrays<const N: usize>(bytes: &[u8]) -> Option<&[[u8; N]]> {
    let (arrays, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then_some(arrays)
}

/// Encodes a column of integers.
pub fn encode_i64(numbers: &[i64]) -> Vec<u8> {
    encode(numbers, || numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// Encodes a column of floating-point numbers without loss.
pub fn encode_f64(numbers: &[f64]) -> Vec<u8> {
    encode(numbers, || numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// Encodes waveform samples without loss.
pub(crate) fn encode_f32(numbers: &[f32]) -> Vec<u8> {
    encode(numbers, || numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// Decodes a column made by [`encode_i64`].
///
/// # Errors
/// [`StoreError::CorruptColumn`].
pub fn decode_i64(bytes: &[u8]) -> Result<Vec<i64>, StoreError> {
    decode(bytes, |bytes| Some(as_arrays(bytes)?.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect()))
}

/// Decodes a column made by [`encode_f64`].
///
/// # Errors
/// [`StoreError::CorruptColumn`].
pub fn decode_f64(bytes: &[u8]) -> Result<Vec<f64>, StoreError> {
    decode(bytes, |bytes| Some(as_arrays(bytes)?.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()))
}

/// Decodes a column made by [`encode_f32`].
pub(crate) fn decode_f32(bytes: &[u8]) -> Result<Vec<f32>, StoreError> {
    decode(bytes, |bytes| Some(as_arrays(bytes)?.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()))
}
