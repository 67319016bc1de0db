//! wheeltapper-mqtt
