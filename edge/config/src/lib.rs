//! wheeltapper-config
