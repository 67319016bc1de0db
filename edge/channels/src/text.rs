//! Limits of length, and the escaping of each channel's markup.
//!
//! A channel rejects a message that is too long for good, and so the alert would be lost. Every text is therefore
//! shortened to the documented limit, with the number of characters that were left out.

/// Unit in which a channel counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Unicode scalar values.
    Characters,
    /// UTF-16 code units, as JavaScript, .NET and Telegram count.
    Utf16,
    /// Bytes of UTF-8.
    Bytes,
}

impl Unit {
    fn of(self, character: char) -> usize {
        match self {
            Self::Characters => 1,
            Self::Utf16 => character.len_utf16(),
            Self::Bytes => character.len_utf8(),
        }
    }

    /// Returns the length of a text.
    pub(crate) fn length(self, text: &str) -> usize {
        match self {
            Self::Characters => text.chars().count(),
            Self::Utf16 => text.encode_utf16().count(),
            Self::Bytes => text.len(),
        }
    }
}

/// Shortens a text so that it has at most `limit` units after `escape`, and says how many characters were left out.
/// `escape` is applied to each character, so no escape sequence is cut.
///
/// A limit below the length of the note (about 40 units) cuts without a note.
pub(crate) fn clamp(text: &str, limit: usize, unit: Unit, escape: impl Fn(char) -> Escaped) -> String {
    let escaped = |text: &str| text.chars().map(&escape).map(|escaped| escaped.length(unit)).sum::<usize>();
    if escaped(text) <= limit {
        return text.chars().map(|character| escape(character).to_string()).collect();
    }
    let total = text.chars().count();
    // The note has at most as many digits as the whole length.
    let reserved = unit.length(&left_out(total));
    let room = limit.saturating_sub(reserved);
    let (mut kept, mut used, mut out) = (0, 0, String::new());
    for character in text.chars() {
        let escaped = escape(character);
        used += escaped.length(unit);
        if used > if room == 0 { limit } else { room } {
            break;
        }
        kept += 1;
        out.push_str(&escaped.to_string());
    }
    if room > 0 {
        out.push_str(&left_out(total - kept));
    }
    out
}

/// Shortens a text that needs no escaping.
pub(crate) fn clamp_plain(text: &str, limit: usize, unit: Unit) -> String {
    clamp(text, limit, unit, Escaped::Character)
}

fn left_out(count: usize) -> String {
    format!("… ({count} characters left out)")
}

/// A character as a channel's markup needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escaped {
    /// The character itself.
    Character(char),
    /// An escape sequence.
    Sequence(&'static str),
}

impl Escaped {
    fn length(self, unit: Unit) -> usize {
        match self {
            Self::Character(character) => unit.of(character),
            Self::Sequence(text) => unit.length(text),
        }
    }
}

impl std::fmt::Display for Escaped {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Character(character) => write!(out, "{character}"),
            Self::Sequence(text) => out.write_str(text),
        }
    }
}

/// Slack: `&`, `<` and `>` are its control characters, in plain text too.
pub(crate) fn slack(character: char) -> Escaped {
    match character {
        '&' => Escaped::Sequence("&amp;"),
        '<' => Escaped::Sequence("&lt;"),
        '>' => Escaped::Sequence("&gt;"),
        other => visible(other),
    }
}

/// HTML and XML, in text and in quoted attributes.
pub(crate) fn html(character: char) -> Escaped {
    match character {
        '&' => Escaped::Sequence("&amp;"),
        '<' => Escaped::Sequence("&lt;"),
        '>' => Escaped::Sequence("&gt;"),
        '"' => Escaped::Sequence("&quot;"),
        other => visible(other),
    }
}

/// A field of the header of CEF: `|` and `\` are escaped, and a line break is a space.
pub(crate) fn cef_header(character: char) -> Escaped {
    match character {
        '|' => Escaped::Sequence("\\|"),
        '\\' => Escaped::Sequence("\\\\"),
        other => spaced(other),
    }
}

/// A value of CEF's extension: `=` and `\` are escaped, and a line break is `\n`.
pub(crate) fn cef_value(character: char) -> Escaped {
    match character {
        '=' => Escaped::Sequence("\\="),
        '\\' => Escaped::Sequence("\\\\"),
        '\n' => Escaped::Sequence("\\n"),
        other => spaced(other),
    }
}

/// Plain text of several lines: control characters other than the line break are replaced.
pub(crate) fn visible(character: char) -> Escaped {
    match character {
        '\n' => Escaped::Character('\n'),
        other => spaced(other),
    }
}

/// Plain text of one line.
pub(crate) fn spaced(character: char) -> Escaped {
    // Also the characters that reverse the direction of text, which can make a name look like another.
    let is_invisible = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    if character.is_control() || is_invisible { Escaped::Character(' ') } else { Escaped::Character(character) }
}

/// Makes one line of a text: control characters and runs of white space become one space.
pub(crate) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|character| spaced(character).to_string()).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_texts_are_escaped_and_kept() {
        assert_eq!(
            clamp("pump_07* <b> & \"x\"", 100, Unit::Characters, html),
            "pump_07* &lt;b&gt; &amp; &quot;x&quot;"
        );
        assert_eq!(clamp("<!channel>", 100, Unit::Characters, slack), "&lt;!channel&gt;");
        assert_eq!(clamp("a|b\\c\nd", 100, Unit::Characters, cef_header), "a\\|b\\\\c d");
        assert_eq!(clamp("a=b\\c\nd|", 100, Unit::Characters, cef_value), "a\\=b\\\\c\\nd|");
        assert_eq!(one_line(" a\r\n b\u{0}\u{202e}c "), "a b c");
    }

    #[test]
    fn long_texts_say_how_much_is_left_out() {
        let text = "x".repeat(5000);
        let short = clamp_plain(&text, 3000, Unit::Characters);
        assert_eq!(short.chars().count(), 3000);
        let kept = short.chars().take_while(|&character| character == 'x').count();
        assert!(short.ends_with(&format!("… ({} characters left out)", 5000 - kept)), "{short}");
    }

    proptest! {
        #[test]
        fn no_text_exceeds_its_limit(text in "\\PC{0,300}|[<>&\"=|\\\\\n]{0,300}|[😀a]{0,200}", limit in 0_usize..200) {
            for unit in [Unit::Characters, Unit::Utf16, Unit::Bytes] {
                for escape in [slack as fn(char) -> Escaped, html, cef_header, cef_value, visible, spaced] {
                    let short = clamp(&text, limit, unit, escape);
                    prop_assert!(unit.length(&short) <= limit, "{short}");
                    let whole: String = text.chars().map(|character| escape(character).to_string()).collect();
                    prop_assert!(unit.length(&whole) > limit || short == whole);
                    // What is kept is a beginning of the whole: no escape sequence is cut.
                    let kept = short.split_once("… (").map_or(short.as_str(), |(kept, _)| kept);
                    prop_assert!(whole.starts_with(kept), "{short}");
                }
            }
        }
    }
}
