//! Random ids, secrets and one-time passwords from the system's random generator.

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::AccessError;

/// Characters of one-time passwords, without any that look alike.
const CHARACTERS: &[u8; 24] = b"abcdefghjkmnpqrstuvwxyz2";

/// Returns `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], AccessError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AccessError::Crypto("the system's random generator failed"))?;
    Ok(bytes)
}

/// Returns a random id of 16 hexadecimal digits (64 bits).
pub(crate) fn id() -> Result<String, AccessError> {
    Ok(hex::encode(bytes::<8>()?))
}

/// Returns a one-time password of four groups of five characters, 91 bits: long enough to be safe, short enough to
/// type.
pub(crate) fn one_time_password() -> Result<String, AccessError> {
    let mut password = String::new();
    while password.len() < 23 {
        // Reject bytes from 240 on, the largest multiple of 24 below 256; otherwise some characters would be more
        // likely.
        let [byte] = bytes::<1>()?;
        if byte < 240 {
            if password.len() % 6 == 5 {
                password.push('-');
            }
            password.push(char::from(CHARACTERS[usize::from(byte % 24)]));
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
