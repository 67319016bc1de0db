//! Reads NumPy's `.npy` files: one-dimensional arrays of little-endian floats.
//! Source: NumPy, "The NPY format" (NEP 1), versions 1 to 3.

use std::{fs, path::Path};

use crate::Error;

/// Reads the samples, converted to float32.
pub(crate) fn read(path: &Path) -> Result<Vec<f32>, Error> {
    let bytes = fs::read(path).map_err(Error::io("reading", path))?;
    let wrong = |found: String| Error::layout(path, "a one-dimensional .npy array of <f4 or <f8", found);
    let (head, data) = split_header(&bytes).ok_or_else(|| wrong("no .npy header".to_owned()))?;
    let samples: Vec<f32> = if head.contains("'<f4'") {
        data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    } else if head.contains("'<f8'") {
        data.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()
    } else {
        return Err(wrong(head.trim().to_owned()));
    };
    let count = element_count(head).ok_or_else(|| wrong(head.trim().to_owned()))?;
    if count != samples.len() {
        return Err(Error::layout(
            path,
            format!("{count} samples, as declared by its header"),
            samples.len().to_string(),
        ));
    }
    Ok(samples)
}

/// Splits a file into header and data.
fn split_header(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (length, rest) = match rest.first()? {
        1 => (usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?)), rest.get(4..)?),
        _ => (u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?) as usize, rest.get(6..)?),
    };
    Some((std::str::from_utf8(rest.get(..length)?).ok()?, rest.get(length..)?))
}

/// Number of elements of a one-dimensional shape such as `(243938,)` or `(243938, 1)`.
fn element_count(head: &str) -> Option<usize> {
    let shape = head.split_once("'shape':")?.1.split_once('(')?.1.split_once(')')?.0;
    let sides: Vec<usize> = shape.split(',').filter_map(|side| side.trim().parse().ok()).collect();
    let long = sides.iter().filter(|&&side| side != 1).count();
    (!sides.is_empty() && long <= 1).then(|| sides.iter().product())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: &str, shape: &str, data: &[u8]) -> Result<Vec<f32>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&u16::try_from(head.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(data);
        fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn four_and_eight_byte_floats_are_read() {
        let four: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let eight: Vec<u8> = [1.5_f64, -2.0].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(written("<f4", "(2,)", &four).unwrap(), [1.5, -2.0]);
        assert_eq!(written("<f8", "(2, 1)", &eight).unwrap(), [1.5, -2.0]);
    }

    #[test]
    fn unsupported_arrays_are_rejected() {
        assert!(written("<f4", "(3,)", &[0; 8]).unwrap_err().to_string().contains("3 samples"));
        assert!(written("<i2", "(4,)", &[0; 8]).is_err());
        assert!(written("<f4", "(2, 2)", &[0; 16]).is_err());
    }
}
