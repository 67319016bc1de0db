//! wheeltapper-simulate
