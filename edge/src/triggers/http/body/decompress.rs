//! Undoes the Content-Encoding.

use std::io::Read;

use axum::http::StatusCode;
use bytes::Bytes;

use super::{
    error::{BodyError, DeadLetterDraft, MAX_KEPT_BYTES, head, too_large},
    memory::BodyPermit,
};
use crate::triggers::http::problem::Problem;

/// The number of bytes that are decompressed at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// A body that decompresses to more than this many times its size
const MAX_RATIO: usize = 500;
/// and to more than this many bytes is rejected.
const RATIO_CHECK_BYTES: usize = 4 << 20;
/// The decoder of zstd allocates a window of the size that the body names. 2^24 bytes, 16 MiB, is enough for all levels
/// but "ultra".
const MAX_WINDOW_LOG: u32 = 24;

/// Whether the body has to be decompressed.
pub(crate) fn is_compressed(encoding: Option<&str>) -> bool {
    encoding.is_some_and(|name| !matches!(name.trim().to_ascii_lowercase().as_str(), "" | "identity"))
}

/// Undoes the Content-Encoding. A body that decompresses to more than `limit`, to far more than its size, or to more
/// than `permit` can take is rejected before it fills the memory.
pub(crate) fn decompress(
    bytes: Bytes,
    encoding: Option<&str>,
    limit: usize,
    permit: &mut BodyPermit,
) -> Result<Bytes, BodyError> {
    let encoding = encoding.map(|name| name.trim().to_ascii_lowercase()).unwrap_or_default();
    let rejected = |status, text| BodyError {
        problem: Problem::new(status, text),
        dead_letter: Some(Box::new(DeadLetterDraft {
            reason: "malformed",
            head: head(&bytes),
            encoding: Some(encoding.clone()),
        })),
    };
    let corrupt = |error: std::io::Error| {
        let what = "compress it again, or send the plain body without Content-Encoding";
        let text = format!("the body is not the {encoding} that Content-Encoding names: {error}; {what}");
        rejected(StatusCode::BAD_REQUEST, text)
    };
    let mut from: Box<dyn Read> = match encoding.as_str() {
        "" | "identity" => return Ok(bytes.clone()),
        "gzip" | "x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(bytes.as_ref())),
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::new(bytes.as_ref()).map_err(corrupt)?;
            decoder.window_log_max(MAX_WINDOW_LOG).map_err(corrupt)?;
            Box::new(decoder)
        }
        other => {
            let text = format!("Content-Encoding {other:?} is not supported; send gzip, zstd, or the plain body");
            return Err(rejected(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
    };
    let mut decompressed = Vec::new();
    loop {
        let length = decompressed.len();
        if decompressed.capacity() < length + CHUNK_BYTES {
            let capacity = length.saturating_mul(2).clamp(CHUNK_BYTES, limit.saturating_add(CHUNK_BYTES));
            permit.grow(capacity.max(length + CHUNK_BYTES) - decompressed.capacity())?;
            decompressed.reserve_exact(capacity.max(length + CHUNK_BYTES) - length);
        }
        let read = from.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut decompressed).map_err(corrupt)?;
        if decompressed.len() > limit {
            decompressed.truncate(MAX_KEPT_BYTES);
            return Err(too_large(limit, decompressed.into()));
        }
        if decompressed.len() > RATIO_CHECK_BYTES && decompressed.len() / MAX_RATIO > bytes.len() {
            let text = format!(
                "the body decompresses to more than {MAX_RATIO} times its size, which readings do not; send them plain or less compressed"
            );
            return Err(BodyError {
                problem: Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text),
                ..rejected(StatusCode::OK, String::new())
            });
        }
        if read < CHUNK_BYTES {
            return Ok(decompressed.into());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{io::Write as _, sync::Arc};

    use super::{super::memory::BodyMemory, *};

    fn permit() -> BodyPermit {
        BodyMemory::new(64 << 20, Arc::default()).permit("192.0.2.1".into())
    }

    #[test]
    fn encodings_are_case_insensitive_and_rejected_bodies_are_kept() {
        let compressed: Bytes = zstd::encode_all(b"plain".as_slice(), 1).unwrap().into();
        for (encoding, sent) in [(" ZSTD ", compressed), ("Identity", Bytes::from_static(b"plain"))] {
            assert_eq!(decompress(sent, Some(encoding), 100, &mut permit()).unwrap(), "plain");
        }
        for (encoding, word) in [("GZip", "without Content-Encoding"), ("br", "send gzip")] {
            let error = decompress(Bytes::from_static(b"no such"), Some(encoding), 100, &mut permit()).unwrap_err();
            assert!(error.problem.detail().contains(word), "{}", error.problem.detail());
            let draft = error.dead_letter.unwrap();
            assert_eq!((draft.reason, draft.encoding), ("malformed", Some(encoding.to_lowercase())));
            assert_eq!(draft.head, "no such");
        }
    }

    #[test]
    fn a_decompression_bomb_is_rejected_early() {
        const LIMIT: usize = 16 << 20;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let mut zstd = zstd::Encoder::new(Vec::new(), 19).unwrap();
        for _ in 0..1_000 {
            gzip.write_all(&[b'0'; 1 << 20]).unwrap();
            zstd.write_all(&[b'0'; 1 << 20]).unwrap();
        }
        for (encoding, bomb) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd.finish().unwrap())] {
            let mut permit = permit();
            let error = decompress(bomb.into(), Some(encoding), LIMIT, &mut permit).unwrap_err();
            assert!(error.dead_letter.is_some(), "{encoding}: {}", error.problem.detail());
            assert!(error.problem.detail().contains("larger") || error.problem.detail().contains("times"));
        }
        // A body of exactly the limit is accepted, also where the chunks do not end there.
        for size in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1] {
            let plain: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
            let compressed: Bytes = zstd::encode_all(plain.as_slice(), 1).unwrap().into();
            assert_eq!(decompress(compressed.clone(), Some("zstd"), size, &mut permit()).unwrap(), plain);
            if size > 0 {
                assert!(decompress(compressed, Some("zstd"), size - 1, &mut permit()).is_err());
            }
        }
        // A window that alone would take 128 MiB.
        let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
        wide.window_log(27).unwrap();
        wide.write_all(&vec![b'x'; 1 << 20]).unwrap();
        let error = decompress(wide.finish().unwrap().into(), Some("zstd"), LIMIT, &mut permit()).unwrap_err();
        assert!(error.problem.detail().contains("not the zstd"), "{}", error.problem.detail());
    }
}
