//! Which names of sensors and machines are taken.

/// Characters of a name, at most.
const LONGEST: usize = 256;

/// What a name looks like, as JSON Schema has it: parts between slashes, none of them empty, `.` or `..`, without control
/// characters and without characters that change the direction of text.
pub(crate) const PATTERN: &str = concat!(
    "^",
    "(?:\\.{0,2}[^./\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]|\\.{3})[^/\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*",
    "(?:/",
    "(?:\\.{0,2}[^./\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]|\\.{3})[^/\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*",
    ")*$"
);

/// Text without such characters.
pub(crate) const VISIBLE: &str =
    "^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*$";

/// Whether a character must not stand in a name: people could not tell the name from another one that they see.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a sensor or a machine may have this name.
///
/// # Errors
/// What was expected, what came and what to do.
pub fn check_name(name: &str) -> Result<(), String> {
    let shown = || name.chars().take(64).collect::<String>();
    let length = name.chars().count();
    let why = if length > LONGEST {
        format!("has {length} characters, at most {LONGEST} are taken")
    } else if let Some(hidden) = name.chars().find(|&character| is_hidden(character)) {
        format!("has the control character U+{:04X}", u32::from(hidden))
    } else if name.split('/').any(str::is_empty) {
        "has an empty part between slashes, or at an end".to_owned()
    } else if name.split('/').any(|part| matches!(part, "." | "..")) {
        "has a part that is only dots".to_owned()
    } else {
        return Ok(());
    };
    Err(format!(
        "the name {:?} {why}; write parts of letters, digits and signs with one slash between them, such as site/machine/sensor",
        shown()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mislead_are_refused() {
        for good in ["a", "north/hall-1/pump-1/vibration", "..a/b", "...", ".a", "泵/قياس", "a b", "a.b", "a/..b", "👩‍🔧"]
        {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "x".repeat(257);
        for bad in [
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
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
