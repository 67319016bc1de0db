//! Test data: its location and small readers.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its data fails")]
#![allow(dead_code, reason = "each test uses only some of these helpers")]

use std::path::PathBuf;

/// Returns the folder of a data set, or `None` if it is absent.
pub fn data(folder: &str) -> Option<PathBuf> {
    let default_folder = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("WHEELTAPPER_TEST_DATA").map_or_else(default_folder, PathBuf::from).join(folder);
    if !path.is_dir() {
        eprintln!("skipped: there is no {}; WHEELTAPPER_TEST_DATA names the folder of test data", path.display());
    }
    path.is_dir().then_some(path)
}

/// Reads a one-dimensional array of little-endian float32.
pub fn npy(path: &std::path::Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..6], b"\x93NUMPY");
    let (from, length) = match bytes[6] {
        1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        _ => (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize),
    };
    let header = std::str::from_utf8(&bytes[from..from + length]).unwrap();
    assert!(header.contains("'<f4'"), "{header}");
    bytes[from + length..].chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
}

/// Reads a gzipped CSV table of numbers with a header; a cell that is not a number becomes NaN.
pub fn table(path: &std::path::Path) -> (Vec<String>, Vec<Vec<f64>>) {
    let output = std::process::Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let names = lines.next().unwrap().split(',').map(str::to_owned).collect();
    (names, lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect()).collect())
}

/// Pseudo-random numbers: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON / 4.0
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }

    pub fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count - 1)
    }
}
