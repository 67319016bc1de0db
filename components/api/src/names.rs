//! Rules for the names of sensors and machines.

/// Maximum number of characters of a name.
const MAX_NAME_CHARS: usize = 256;

/// The pattern of a name in JSON Schema: parts separated by slashes, none of them empty, `.` or `..`, without control
/// characters and without characters that change the direction of text.
pub(crate) const NAME_PATTERN: &str = concat!(
    "^",
    "(?:\\.{0,2}[^./\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]|\\.{3})[^/\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*",
    "(?:/",
    "(?:\\.{0,2}[^./\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]|\\.{3})[^/\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*",
    ")*$"
);

/// The pattern of a text without control characters and characters that change the direction of text.
pub(crate) const VISIBLE_PATTERN: &str =
    "^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*$";

/// Returns whether a character is not allowed in a name because it is invisible: people could confuse two names.
pub fn is_hidden_character(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Checks that a sensor or a machine may have this name.
///
/// # Errors
/// A message with what was expected, what was received and what to do.
pub fn check_name(name: &str) -> Result<(), String> {
    let excerpt = || name.chars().take(64).collect::<String>();
    let length = name.chars().count();
    let reason = if length > MAX_NAME_CHARS {
        format!("has {length} characters, at most {MAX_NAME_CHARS} are allowed")
    } else if let Some(hidden) = name.chars().find(|&character| is_hidden_character(character)) {
        format!("has the control character U+{:04X}", u32::from(hidden))
    } else if name.split('/').any(str::is_empty) {
        "has an empty part between slashes, or at an end".to_owned()
    } else if name.split('/').any(|part| matches!(part, "." | "..")) {
        "has a part that is only dots".to_owned()
    } else {
        return Ok(());
    };
    Err(format!(
        "the name {:?} {reason}; use parts of letters, digits and punctuation separated by single slashes, such as site/machine/sensor",
        excerpt()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misleading_names_are_rejected() {
        for valid in
            ["a", "north/hall-1/pump-1/vibration", "..a/b", "...", ".a", "泵/قياس", "a b", "a.b", "a/..b", "👩‍🔧"]
        {
            assert_eq!(check_name(valid), Ok(()), "{valid}");
        }
        let long = "x".repeat(257);
        for invalid in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/.",
            "a\0",
            "a\nb",
            "\u{202e}a",
            "a\u{2066}b",
            "a\u{85}",
            "\u{200f}",
            &long,
        ] {
            assert!(check_name(invalid).is_err(), "{invalid:?}");
        }
    }
}
