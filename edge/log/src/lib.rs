//! wheeltapper-log
