//! wheeltapper-store
