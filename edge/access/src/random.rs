//! Randomness of the system.

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::AccessError;

/// Letters of one-time passwords: none that looks like another.
const LETTERS: &[u8; 24] = b"abcdefghjkmnpqrstuvwxyz2";

/// So many random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], AccessError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AccessError::Crypto("the system gives no randomness"))?;
    Ok(bytes)
}

/// An id of 16 hexadecimal digits.
pub(crate) fn id() -> Result<String, AccessError> {
    Ok(hex::encode(bytes::<8>()?))
}

/// Four times five letters, 91 bits: long enough to be safe, short enough to be typed.
pub(crate) fn one_time_password() -> Result<String, AccessError> {
    let mut password = String::new();
    while password.len() < 23 {
        // 240 is the largest multiple of 24 that a byte holds: above it some letters would be likelier.
        let [byte] = bytes::<1>()?;
        if byte < 240 {
            if password.len() % 6 == 5 {
                password.push('-');
            }
            password.push(char::from(LETTERS[usize::from(byte % 24)]));
        }
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_passwords_are_four_groups_of_five() {
        let password = one_time_password().unwrap();
        let groups: Vec<&str> = password.split('-').collect();
        assert_eq!(groups.len(), 4, "{password}");
        assert!(groups.iter().all(|group| group.len() == 5), "{password}");
        assert_ne!(password, one_time_password().unwrap());
    }
}
