//! The `wheeltapper` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    wheeltapper::commands::main()
}
