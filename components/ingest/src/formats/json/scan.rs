//! Scanning of JSON that does not parse as a whole: where its elements begin and end, and what is wrong with it.

use crate::rejection::{Reason, Rejection, excerpt};

/// Returns the rejection for JSON that does not parse. `expected` describes valid input.
pub(crate) fn syntax_rejection(error: &serde_json::Error, text: &[u8], expected: &str) -> Rejection {
    if error.is_syntax()
        && let Some(token) = non_finite_token(text)
    {
        let message = format!("{token} is not a JSON number; omit values that were not measured");
        return Rejection::new(Reason::NonFinite, message);
    }
    Rejection::malformed(format!("expected {expected}; {error}; got {:?}", excerpt(text)))
}

/// Finds `NaN`, `Infinity` or `inf` outside of strings.
fn non_finite_token(text: &[u8]) -> Option<&'static str> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'N' | b'n' | b'I' | b'i' if !quoted => {
                let rest = text.get(at..).unwrap_or_default();
                let starts_with = |token: &str| {
                    rest.get(..token.len()).is_some_and(|head| head.eq_ignore_ascii_case(token.as_bytes()))
                };
                if let Some(token) = ["NaN", "Infinity", "inf"].into_iter().find(|token| starts_with(token)) {
                    return Some(token);
                }
            }
            _ => {}
        }
    }
    None
}

/// Iterates over the elements of an array, or over a sequence of values, with their number from 1. An element that is
/// not closed extends to the end of the text.
pub(crate) fn elements(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.trim_ascii();
    let mut rest = text.strip_prefix(b"[").unwrap_or(text);
    let mut position = 0;
    std::iter::from_fn(move || {
        loop {
            match rest.split_first() {
                Some((b' ' | b'\t' | b'\r' | b'\n' | b',', after)) => rest = after,
                Some((b']', after)) if after.trim_ascii().is_empty() => rest = b"",
                None => return None,
                Some(_) => break,
            }
        }
        let (element, after) = rest.split_at(element_end(rest));
        rest = after;
        position += 1;
        Some((position, element))
    })
}

/// Returns the length of the first element.
fn element_end(text: &[u8]) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, &byte) in text.iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return if depth == 1 { at + 1 } else { at.max(1) },
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at.max(1),
            _ => {}
        }
    }
    text.len()
}
