//! wheeltapper
fn main() {}
