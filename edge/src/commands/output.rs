//! What commands print. A reader that had enough, as `head` has, closes the pipe: the command then ends without words
//! and with exit code 0, where the standard library's macros would panic.

use std::{
    error::Error,
    fmt,
    io::{self, Write as _},
};

/// Standard output is closed: nobody wants to know more.
#[derive(Debug)]
pub(crate) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("standard output is closed")
    }
}

impl Error for Closed {}

/// Why nothing could be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrintError {
    /// The reader has gone.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// Anything else, such as a full disk.
    #[error("writing to standard output: {0}")]
    Io(io::Error),
}

impl From<io::Error> for PrintError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed(Closed) } else { Self::Io(error) }
    }
}

/// Prints words and a line end.
///
/// # Errors
/// [`PrintError`].
pub(crate) fn line(words: fmt::Arguments<'_>) -> Result<(), PrintError> {
    Ok(writeln!(io::stdout().lock(), "{words}")?)
}

/// Prints words.
///
/// # Errors
/// [`PrintError`].
pub(crate) fn text(words: fmt::Arguments<'_>) -> Result<(), PrintError> {
    let mut out = io::stdout().lock();
    write!(out, "{words}")?;
    Ok(out.flush()?)
}

/// Prints a remark to standard error; one that nobody can read is no reason to fail.
pub(crate) fn remark(words: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{words}");
}

/// Whether a command failed only because nobody reads on. `prints_only` says that it writes to no socket, so that any
/// broken pipe is standard output's.
pub(crate) fn is_closed(error: &anyhow::Error, prints_only: bool) -> bool {
    error.chain().any(|cause| {
        let closed = cause.is::<Closed>() || matches!(cause.downcast_ref(), Some(PrintError::Closed(_)));
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
        assert!(!is_closed(&sending, false) && is_closed(&sending, true));
        let printing = anyhow::Error::from(PrintError::from(broken())).context("printing");
        assert!(is_closed(&printing, false));
        let full = anyhow::Error::from(PrintError::from(io::Error::from(io::ErrorKind::StorageFull)));
        assert!(!is_closed(&full, true));
    }
}
