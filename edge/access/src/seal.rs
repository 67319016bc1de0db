//! Sealing: columns that only the owner of the keyring can read, or put elsewhere.
//!
//! `s1.<key>.<base64 of nonce and ciphertext>`, XChaCha20-Poly1305. The table, the row and the key are authenticated with
//! it, so a value that is moved to another row does not open.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};

use crate::{AccessError, keyring::Ring, random};

const NONCE: usize = 24;

/// Seals `plain` under the newest key.
pub(crate) fn seal(ring: &Ring, table: &str, row: &str, plain: &[u8]) -> Result<String, AccessError> {
    let key = ring.newest()?;
    let nonce = random::bytes::<NONCE>()?;
    let bound = bound(&key.id, table, row);
    let sealed = cipher(&key.for_seals())
        .encrypt(&nonce.into(), Payload { msg: plain, aad: &bound })
        .map_err(|_| AccessError::Crypto("a value could not be sealed"))?;
    Ok(format!("s1.{}.{}", key.id, URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())))
}

/// Opens what [`seal`] made of this table and row.
pub(crate) fn open(ring: &Ring, table: &str, row: &str, sealed: &str) -> Result<Vec<u8>, AccessError> {
    let wrong = |text: &str| AccessError::Seal(format!("{table} {row}: {text}"));
    let id = key_of(sealed).ok_or_else(|| wrong("it is not sealed"))?;
    let key = ring.find(id).ok_or_else(|| wrong("its key is not in the keyring"))?;
    let packed = sealed.rsplit('.').next().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let packed = packed.ok_or_else(|| wrong("it is damaged"))?;
    let (nonce, text) = packed.split_first_chunk::<NONCE>().ok_or_else(|| wrong("it is damaged"))?;
    let bound = bound(id, table, row);
    cipher(&key.for_seals())
        .decrypt(&(*nonce).into(), Payload { msg: text, aad: &bound })
        .map_err(|_| wrong("it was changed, or belongs to another row"))
}

/// The id of the key that a value is sealed with.
pub(crate) fn key_of(sealed: &str) -> Option<&str> {
    let mut parts = sealed.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("s1"), Some(id), Some(_), None) => Some(id),
        _ => None,
    }
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&(*key).into())
}

/// Lengths before the texts: `ab`, `c` is not `a`, `bc`.
fn bound(key: &str, table: &str, row: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [key, table, row] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}
