//! Reads NumPy's `.npy` files, one-dimensional arrays of little-endian floats, and arrays of numbers in `.npz` archives.
//! Source: NumPy, "The NPY format" (NEP 1), versions 1 to 3.

use std::{fs, path::Path};

use crate::{Error, zip_member};

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

/// Reads an array of an `.npz` archive: its shape, and its elements (`<i2`, `<i4`, `<f4` or `<f8`) in C order.
pub(crate) fn read_member(path: &Path, name: &str) -> Result<(Vec<usize>, Vec<f64>), Error> {
    let archive = fs::read(path).map_err(Error::io("reading", path))?;
    let expected = || format!("an archive with {name}.npy of <i2, <i4, <f4 or <f8 in C order");
    let wrong = |found: String| Error::layout(path, expected(), found);
    let bytes = zip_member::read(&archive, &format!("{name}.npy")).map_err(wrong)?;
    let (head, data) = split_header(&bytes).ok_or_else(|| wrong("no .npy header".to_owned()))?;
    let values: Vec<f64> = match () {
        () if head.contains("'fortran_order': True") => return Err(wrong(head.trim().to_owned())),
        () if head.contains("'<i2'") => {
            data.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes).into()).collect()
        }
        () if head.contains("'<i4'") => {
            data.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect()
        }
        () if head.contains("'<f4'") => {
            data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect()
        }
        () if head.contains("'<f8'") => {
            data.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
        }
        () => return Err(wrong(head.trim().to_owned())),
    };
    let shape = shape(head).filter(|shape| shape.iter().product::<usize>() == values.len());
    Ok((shape.ok_or_else(|| wrong(format!("{} elements of {}", values.len(), head.trim())))?, values))
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
    let sides = shape(head)?;
    let long = sides.iter().filter(|&&side| side != 1).count();
    (!sides.is_empty() && long <= 1).then(|| sides.iter().product())
}

/// The lengths of an array's dimensions.
fn shape(head: &str) -> Option<Vec<usize>> {
    let shape = head.split_once("'shape':")?.1.split_once('(')?.1.split_once(')')?.0;
    Some(shape.split(',').filter_map(|side| side.trim().parse().ok()).collect())
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
    fn an_array_of_an_archive_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let head = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1, 2), }\n";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&u16::try_from(head.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&[1, 0, 255, 255, 0, 1, 0, 0]);
        fs::write(&path, zip_member::archive(&[("t.npy", b"x"), ("acc.npy", &bytes)])).unwrap();
        assert_eq!(read_member(&path, "acc").unwrap(), (vec![2, 1, 2], vec![1.0, -1.0, 256.0, 0.0]));
        assert!(read_member(&path, "other").unwrap_err().to_string().contains("other.npy"));
    }

    #[test]
    fn unsupported_arrays_are_rejected() {
        assert!(written("<f4", "(3,)", &[0; 8]).unwrap_err().to_string().contains("3 samples"));
        assert!(written("<i2", "(4,)", &[0; 8]).is_err());
        assert!(written("<f4", "(2, 2)", &[0; 16]).is_err());
    }
}
