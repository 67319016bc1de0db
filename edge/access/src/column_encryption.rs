//! Encryption of database columns with a key of the keyring.
//!
//! Format: `s1.<key id>.<base64 of nonce and ciphertext>`, with XChaCha20-Poly1305. Table, row and key id are the
//! associated data, so a value that is moved to another row cannot be decrypted.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};

use crate::{AccessError, keyring::KeySet, random};

const NONCE_BYTES: usize = 24;

/// Encrypts `plain` with the newest key.
pub(crate) fn encrypt(ring: &KeySet, table: &str, row: &str, plain: &[u8]) -> Result<String, AccessError> {
    let key = ring.newest()?;
    let nonce = random::bytes::<NONCE_BYTES>()?;
    let associated_data = associated_data(&key.id, table, row);
    let encrypted = cipher(&key.column_key())
        .encrypt(&nonce.into(), Payload { msg: plain, aad: &associated_data })
        .map_err(|_| AccessError::Crypto("a value could not be encrypted"))?;
    Ok(format!("s1.{}.{}", key.id, URL_SAFE_NO_PAD.encode([&nonce[..], &encrypted].concat())))
}

/// Decrypts a value that [`encrypt`] encrypted for this table and row.
pub(crate) fn decrypt(ring: &KeySet, table: &str, row: &str, encrypted: &str) -> Result<Vec<u8>, AccessError> {
    let wrong = |text: &str| AccessError::Decryption(format!("{table} {row}: {text}"));
    let id = key_id_of(encrypted).ok_or_else(|| wrong("it is not an encrypted value"))?;
    let key = ring.find(id).ok_or_else(|| wrong("its key is not in the keyring"))?;
    let packed = encrypted.rsplit('.').next().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let packed = packed.ok_or_else(|| wrong("it is damaged"))?;
    let (nonce, text) = packed.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| wrong("it is damaged"))?;
    let associated_data = associated_data(id, table, row);
    cipher(&key.column_key())
        .decrypt(&(*nonce).into(), Payload { msg: text, aad: &associated_data })
        .map_err(|_| wrong("it was changed, or belongs to another row"))
}

/// Returns the id of the key that a value is encrypted with.
pub(crate) fn key_id_of(encrypted: &str) -> Option<&str> {
    let mut parts = encrypted.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("s1"), Some(id), Some(_), None) => Some(id),
        _ => None,
    }
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&(*key).into())
}

/// Builds the associated data. Each text is preceded by its length, so that (`ab`, `c`) differs from (`a`, `bc`).
fn associated_data(key: &str, table: &str, row: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [key, table, row] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}
