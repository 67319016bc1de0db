//! Reads one member of a ZIP archive, as NumPy writes them: stored or deflated, without encryption.
//! Source: PKWARE, APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end).

use std::io::Read as _;

/// Largest member in bytes.
const MAX_SIZE: u64 = 1 << 30;
const END_OF_DIRECTORY: [u8; 4] = *b"PK\x05\x06";
const DIRECTORY_ENTRY: [u8; 4] = *b"PK\x01\x02";
const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";
const DIRECTORY_ENTRY_SIZE: usize = 46;
const LOCAL_HEADER_SIZE: usize = 30;

/// Returns the content of the member with this name.
///
/// # Errors
/// A description of what was found instead.
pub(crate) fn read(archive: &[u8], name: &str) -> Result<Vec<u8>, String> {
    let end = archive.windows(4).rposition(|bytes| bytes == END_OF_DIRECTORY).ok_or("no ZIP archive")?;
    let entries = number::<2>(archive, end + 10).ok_or("a truncated archive")?;
    let mut at = number::<4>(archive, end + 16).ok_or("a truncated archive")?;
    for _ in 0..entries {
        if archive.get(at..at + 4) != Some(&DIRECTORY_ENTRY) {
            return Err("a damaged directory".to_owned());
        }
        let field = |offset| number::<2>(archive, at + offset).ok_or("a truncated directory");
        let (length, extra, comment) = (field(28)?, field(30)?, field(32)?);
        let found = archive.get(at + DIRECTORY_ENTRY_SIZE..at + DIRECTORY_ENTRY_SIZE + length);
        if found == Some(name.as_bytes()) {
            return member(archive, at).ok_or_else(|| format!("a damaged or too large member {name}"));
        }
        at += DIRECTORY_ENTRY_SIZE + length + extra + comment;
    }
    Err(format!("no member {name}"))
}

/// The content of the member whose directory entry is at `entry`.
fn member(archive: &[u8], entry: usize) -> Option<Vec<u8>> {
    let (method, size) = (number::<2>(archive, entry + 10)?, number::<4>(archive, entry + 20)?);
    let header = number::<4>(archive, entry + 42)?;
    if archive.get(header..header + 4)? != LOCAL_HEADER {
        return None;
    }
    let start = header + LOCAL_HEADER_SIZE + number::<2>(archive, header + 26)? + number::<2>(archive, header + 28)?;
    let data = archive.get(start..start.checked_add(size)?)?;
    match method {
        0 => Some(data.to_vec()),
        8 => {
            let mut content = Vec::new();
            let read = flate2::read::DeflateDecoder::new(data).take(MAX_SIZE).read_to_end(&mut content).ok()?;
            (read < MAX_SIZE as usize).then_some(content)
        }
        _ => None,
    }
}

/// A little-endian number of `N` bytes, at most 4.
fn number<const N: usize>(archive: &[u8], at: usize) -> Option<usize> {
    let bytes = archive.get(at..at.checked_add(N)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// An archive of stored members.
#[cfg(test)]
pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let two = |number: usize| u16::try_from(number).unwrap_or_default().to_le_bytes();
    let four = |number: usize| u32::try_from(number).unwrap_or_default().to_le_bytes();
    for (name, content) in members {
        let start = bytes.len();
        bytes.extend_from_slice(&LOCAL_HEADER);
        bytes.extend_from_slice(&[0; 14]);
        bytes.extend([four(content.len()), four(content.len())].concat());
        bytes.extend([two(name.len()), two(0)].concat());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(content);
        directory.extend_from_slice(&DIRECTORY_ENTRY);
        directory.extend_from_slice(&[0; 16]);
        directory.extend([four(content.len()), four(content.len())].concat());
        directory.extend([two(name.len()), [0; 2], [0; 2], [0; 2], [0; 2]].concat());
        directory.extend([[0; 4], four(start)].concat());
        directory.extend_from_slice(name.as_bytes());
    }
    let start = bytes.len();
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(&END_OF_DIRECTORY);
    bytes.extend([two(0), two(0), two(members.len()), two(members.len())].concat());
    bytes.extend([four(directory.len()), four(start)].concat());
    bytes.extend(two(0));
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn members_are_found_by_name() {
        let made = archive(&[("a", b"first"), ("b", b"second")]);
        assert_eq!(read(&made, "b").unwrap(), b"second");
        assert_eq!(read(&made, "a").unwrap(), b"first");
        assert!(read(&made, "c").unwrap_err().contains("no member c"));
        assert!(read(b"PK", "a").unwrap_err().contains("no ZIP archive"));
    }

    #[test]
    fn a_deflated_member_is_inflated_and_a_truncated_one_rejected() {
        let content = vec![7_u8; 10_000];
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&content).unwrap();
        let mut made = archive(&[("a", &encoder.finish().unwrap())]);
        let entry = made.windows(4).rposition(|bytes| bytes == DIRECTORY_ENTRY).unwrap();
        made[entry + 10] = 8;
        assert_eq!(read(&made, "a").unwrap(), content);
        made[entry + 20] = 255;
        assert!(read(&made, "a").is_err());
    }
}
