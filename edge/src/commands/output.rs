//! Output of commands. When the reader closes the pipe, as `head` does, the command ends silently with exit code 0; the
//! macros of the standard library would panic.

use std::{
    error::Error,
    fmt,
    io::{self, Write as _},
};

/// Standard output is closed.
#[derive(Debug)]
pub(crate) struct StdoutClosed;

impl fmt::Display for StdoutClosed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("standard output is closed")
    }
}

impl Error for StdoutClosed {}

/// Why output could not be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrintError {
    /// The reader has closed the pipe.
    #[error(transparent)]
    Closed(#[from] StdoutClosed),
    /// Another error, such as a full disk.
    #[error("writing to standard output: {0}")]
    Io(io::Error),
}

impl From<io::Error> for PrintError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed(StdoutClosed) } else { Self::Io(error) }
    }
}

/// Prints a line.
///
/// # Errors
/// [`PrintError`] when standard output cannot be written.
pub(crate) fn print_line(arguments: fmt::Arguments<'_>) -> Result<(), PrintError> {
    Ok(writeln!(io::stdout().lock(), "{arguments}")?)
}

/// Prints text without a line end, and flushes.
///
/// # Errors
/// [`PrintError`] when standard output cannot be written.
pub(crate) fn print_text(arguments: fmt::Arguments<'_>) -> Result<(), PrintError> {
    let mut out = io::stdout().lock();
    write!(out, "{arguments}")?;
    Ok(out.flush()?)
}

/// Prints a line to standard error; errors are ignored.
pub(crate) fn print_note(arguments: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{arguments}");
}

/// Whether a command failed only because standard output is closed. `prints_only` says that the command writes to no
/// socket, so that any broken pipe is standard output.
pub(crate) fn is_stdout_closed(error: &anyhow::Error, prints_only: bool) -> bool {
    error.chain().any(|cause| {
        let closed = cause.is::<StdoutClosed>() || matches!(cause.downcast_ref(), Some(PrintError::Closed(_)));
        let broken = || cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe);
        closed || (prints_only && broken())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_to_another_host_is_a_failure() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let sending = anyhow::Error::from(broken()).context("sending");
        assert!(!is_stdout_closed(&sending, false) && is_stdout_closed(&sending, true));
        let printing = anyhow::Error::from(PrintError::from(broken())).context("printing");
        assert!(is_stdout_closed(&printing, false));
        let full = anyhow::Error::from(PrintError::from(io::Error::from(io::ErrorKind::StorageFull)));
        assert!(!is_stdout_closed(&full, true));
    }
}
