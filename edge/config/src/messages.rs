//! Converts messages of serde and of the TOML parser into messages for the user, with help.

/// Returns what is wrong, and what to write instead. `found` is the text of the file at the position of the error.
pub(crate) fn explain_toml_error(message: &str, found: &str) -> (String, String) {
    let found = found.lines().next().unwrap_or("").trim();
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        return unknown_name(message);
    }
    if message.starts_with("missing field") {
        let name = quoted_names(message).next().unwrap_or("");
        return (format!("`{name}` is missing"), format!("add `{name} = ...` to this table"));
    }
    if let Some((_, expected)) = message.strip_prefix("invalid ").and_then(|rest| rest.split_once(", expected "))
        && (message.starts_with("invalid type:") || message.starts_with("invalid value:"))
    {
        return wrong_type(expected, found);
    }
    syntax_error(message, found)
}

fn quoted_names(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}

fn unknown_name(message: &str) -> (String, String) {
    let mut quoted = quoted_names(message);
    let what = if message.starts_with("unknown field") { "key" } else { "value" };
    let wrong = quoted.next().unwrap_or("");
    let message = format!("unknown {what} `{wrong}`");
    if ["password", "secret", "token"].contains(&wrong) {
        let help =
            format!("do not put secrets in this file: use `{wrong}_env` (an environment variable) or `{wrong}_file`");
        return (message, help);
    }
    let known: Vec<&str> = quoted.collect();
    let help = match most_similar(wrong, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("known {what}s: {}", known.join(", ")),
    };
    (message, help)
}

/// Returns the word of `known` that is most similar to `wrong`, if one is similar enough for a suggestion.
pub(crate) fn most_similar<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|candidate| (strsim::jaro_winkler(wrong, candidate), *candidate));
    scored
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Message for a value of the wrong type or out of range.
fn wrong_type(expected: &str, found: &str) -> (String, String) {
    let bare = found.trim_matches(['"', '\'']);
    let whole = |to: &str| (format!("a whole number from 0 to {to}"), number_help(found, "30"));
    let (expected, help) = match expected {
        "u8" => whole("255"),
        "u16" => whole("65535"),
        "u32" => whole("4294967295"),
        "u64" | "usize" => whole("9223372036854775807"),
        "i32" | "i64" => ("a whole number".to_owned(), number_help(found, "60")),
        "f64" => ("a number".to_owned(), number_help(found, "0.5")),
        "a boolean" => ("true or false".to_owned(), boolean_help(bare)),
        // serde accepts a list for a table, so the error is about the type of the first key.
        "a string" if found.starts_with("[[") => {
            let single = found.replace("[[", "[").replace("]]", "]");
            ("one table".to_owned(), format!("this table may occur only once: write {single}"))
        }
        "a string" => ("a text in quotes".to_owned(), text_help(found)),
        "a sequence" => ("a list".to_owned(), list_help(found)),
        table if table.starts_with("struct ") || table == "a map" => {
            let help = "write a table: its name in brackets on a line of its own, and its keys below".to_owned();
            ("a table".to_owned(), help)
        }
        other => (other.to_owned(), unit_help(other, bare)),
    };
    (format!("expected {expected}, got {found}"), help)
}

fn number_help(found: &str, example: &str) -> String {
    let bare = found.trim_matches(['"', '\'']);
    match bare.parse::<f64>() {
        Ok(number) if bare != found && number >= 0.0 => format!("write {bare}, without quotes"),
        _ => format!("write a number such as {example}, without quotes"),
    }
}

fn boolean_help(bare: &str) -> String {
    match bare.to_ascii_lowercase().as_str() {
        "yes" | "on" | "1" | "true" => "write true, without quotes".to_owned(),
        "no" | "off" | "0" | "false" => "write false, without quotes".to_owned(),
        _ => "write true or false, without quotes".to_owned(),
    }
}

fn text_help(found: &str) -> String {
    match found {
        "" => "write a text in quotes".to_owned(),
        _ if found.starts_with(['[', '{']) => "write one text in quotes".to_owned(),
        _ => format!("write \"{found}\""),
    }
}

fn list_help(found: &str) -> String {
    match found.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(name) => format!("this table may occur several times: write [[{name}]] above each"),
        None => format!("write a list in brackets: [{found}]"),
    }
}

/// Help for a duration, a size, or another type whose expectation is readable as it is.
fn unit_help(expected: &str, bare: &str) -> String {
    let digits = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    if expected.starts_with("a duration") {
        return match digits {
            true => format!("add the unit: \"{bare}s\""),
            false => "write a whole number and a unit, in quotes: ms, s, min, h, days".to_owned(),
        };
    }
    if expected.starts_with("a size") {
        return "write a whole number and a unit, in quotes: KiB, MiB, GiB, TiB, or kB, MB, GB, TB".to_owned();
    }
    format!("write {expected}")
}

/// Message for a syntax error.
fn syntax_error(message: &str, found: &str) -> (String, String) {
    let rule = |starts: &str| message.starts_with(starts);
    let (message, help) = match () {
        () if rule("unclosed table") => ("the name of this table is not closed", "close it with ], as in [http]"),
        () if rule("unclosed array table") => {
            ("the name of this table is not closed", "close it with ]], as in [[site]]")
        }
        () if rule("unclosed array") => ("this list is not closed", "close it with ]"),
        () if rule("unclosed inline table") => ("this table is not closed", "close it with }"),
        () if rule("string values must be quoted") => return unquoted_value(found),
        () if rule("invalid boolean") => ("this is neither true nor false", "write true or false, in lower case"),
        () if rule("invalid basic string") => ("this text is not closed", "close it with \" on the same line"),
        () if rule("invalid literal string") => ("this text is not closed", "close it with ' on the same line"),
        () if rule("missing escaped value") => (
            "a backslash starts an escape sequence here",
            "write \\\\ for a backslash, or put the text in '...' instead of \"...\"",
        ),
        () if rule("key with no value") => {
            ("a key without a value", "write key = value; put the name of a table in brackets, as in [http]")
        }
        () if rule("duplicate key") => {
            let help = "write each key and each table once, and move its content below the first".to_owned();
            return (format!("`{found}` occurs twice"), help);
        }
        () if rule("unexpected key or value") => {
            ("there is more text after the value", "begin a new line here; numbers have a point, not a comma: 0.9")
        }
        () if rule("invalid mantissa") => ("this is not a number", "write a digit before and after the point: 0.9"),
        () if rule("wanted string or table") => {
            ("expected a text in quotes", "write one of the allowed values, in quotes")
        }
        () => {
            let help = "compare with the complete configuration that `wheeltapper config example` prints".to_owned();
            return (message.to_owned(), help);
        }
    };
    (message.to_owned(), help.to_owned())
}

fn unquoted_value(found: &str) -> (String, String) {
    let message = format!("{found} is neither a number, nor true or false, nor a text in quotes");
    match found.to_ascii_lowercase().as_str() {
        "" => ("a value is missing".to_owned(), "write it after the =, a text in quotes".to_owned()),
        "yes" | "on" => (message, "write true".to_owned()),
        "no" | "off" => (message, "write false".to_owned()),
        _ => (message, format!("write \"{found}\"")),
    }
}
