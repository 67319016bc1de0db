//! Maps topics to sensors and payload formats.

use crate::topic::{self, TopicError};

/// A rule that assigns a sensor and a format to the topics that match a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingRule {
    /// Topic filter with `+` and `#`.
    pub filter: String,
    /// Template of the sensor's name: `{1}`, `{2}` and so on are replaced by the level that matched the first, second
    /// `+`, `{#}` by the levels that matched the `#`, `{topic}` by the whole topic.
    pub sensor: Option<String>,
    /// Name of the payload's format; it is passed on unchanged.
    pub format: Option<String>,
}

/// Why a rule is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The filter is invalid.
    #[error("rule {rule}: {source}")]
    Filter {
        /// Number of the rule, from 1.
        rule: usize,
        /// Why the filter is invalid.
        source: TopicError,
    },
    /// The template uses a wildcard that the filter does not have.
    #[error("rule {rule}: the sensor {template:?} uses {{{name}}}, but the filter {filter:?} has {has}")]
    Wildcard {
        /// Number of the rule, from 1.
        rule: usize,
        /// The template.
        template: String,
        /// The placeholder in the template.
        name: String,
        /// The filter.
        filter: String,
        /// Description of the wildcards that the filter has.
        has: String,
    },
    /// The template has an unknown placeholder or an unclosed brace.
    #[error("rule {rule}: the sensor {template:?} must use {{1}}, {{2}}, ..., {{#}} or {{topic}}, not {name:?}")]
    Template {
        /// Number of the rule, from 1.
        rule: usize,
        /// The template.
        template: String,
        /// The invalid placeholder.
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplateToken {
    Text(String),
    /// Index of a level of the topic.
    Level(usize),
    /// All levels of the topic from this index on.
    LevelsFrom(usize),
    Topic,
}

#[derive(Clone, Debug)]
struct CompiledRule {
    filter: String,
    sensor: Option<Vec<TemplateToken>>,
    format: Option<String>,
}

/// An ordered list of rules; the first rule that matches a topic applies. The default has no rules.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    rules: Vec<CompiledRule>,
}

impl Mapping {
    /// Validates and compiles the rules.
    ///
    /// # Errors
    /// A filter is invalid, or a template uses an unknown placeholder or a wildcard that its filter does not have.
    pub fn new(rules: Vec<MappingRule>) -> Result<Self, MappingError> {
        let rules = rules.into_iter().zip(1..).map(|(rule, number)| compile(rule, number)).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Returns the sensor and the format of the first rule whose filter matches `topic`, or `None` if no rule matches.
    pub fn map(&self, topic: &str) -> Option<(Option<String>, Option<String>)> {
        let rule = self.rules.iter().find(|rule| topic::matches(&rule.filter, topic))?;
        let sensor = rule.sensor.as_ref().map(|pieces| render(pieces, topic));
        Some((sensor, rule.format.clone()))
    }
}

fn compile(rule: MappingRule, number: usize) -> Result<CompiledRule, MappingError> {
    topic::validate_filter(&rule.filter).map_err(|source| MappingError::Filter { rule: number, source })?;
    let sensor = rule.sensor.as_deref().map(|template| parse_template(template, &rule.filter, number)).transpose()?;
    Ok(CompiledRule { filter: rule.filter, sensor, format: rule.format })
}

fn parse_template(template: &str, filter: &str, rule: usize) -> Result<Vec<TemplateToken>, MappingError> {
    let single: Vec<usize> = filter.split('/').enumerate().filter(|(_, part)| *part == "+").map(|(at, _)| at).collect();
    let rest = filter.split('/').position(|part| part == "#");
    let mut pieces = Vec::new();
    let mut remaining = template;
    while let Some((text, tail)) = remaining.split_once('{') {
        if !text.is_empty() {
            pieces.push(TemplateToken::Text(text.into()));
        }
        let odd = |name: &str| MappingError::Template { rule, template: template.into(), name: name.into() };
        let Some((name, tail)) = tail.split_once('}') else { return Err(odd(&format!("{{{tail}"))) };
        let lacking = || MappingError::Wildcard {
            rule,
            template: template.into(),
            name: name.into(),
            filter: filter.into(),
            has: format!("{} \"+\" and {} \"#\"", single.len(), if rest.is_some() { "a" } else { "no" }),
        };
        pieces.push(match name {
            "topic" => TemplateToken::Topic,
            "#" => TemplateToken::LevelsFrom(rest.ok_or_else(lacking)?),
            number if !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) => {
                let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                TemplateToken::Level(index.and_then(|index| single.get(index).copied()).ok_or_else(lacking)?)
            }
            other => return Err(odd(&format!("{{{other}}}"))),
        });
        remaining = tail;
    }
    if !remaining.is_empty() {
        pieces.push(TemplateToken::Text(remaining.into()));
    }
    Ok(pieces)
}

fn render(pieces: &[TemplateToken], topic: &str) -> String {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            TemplateToken::Text(text) => out.push_str(text),
            TemplateToken::Level(index) => out.push_str(topic.split('/').nth(*index).unwrap_or_default()),
            TemplateToken::LevelsFrom(index) => {
                for (number, level) in topic.split('/').skip(*index).enumerate() {
                    if number > 0 {
                        out.push('/');
                    }
                    out.push_str(level);
                }
            }
            TemplateToken::Topic => out.push_str(topic),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(filter: &str, sensor: &str) -> MappingRule {
        MappingRule { filter: filter.into(), sensor: Some(sensor.into()), format: Some("json".into()) }
    }

    #[test]
    fn wildcards_become_names() {
        let mapping =
            Mapping::new(vec![rule("plant/+/pump/+/#", "{2}@{1}:{#}"), rule("+/x", "{1}"), rule("#", "{topic}!")])
                .unwrap();
        let sensor = |topic| mapping.map(topic).unwrap().0.unwrap();
        assert_eq!(sensor("plant/a/pump/7/temp/in"), "7@a:temp/in");
        assert_eq!(sensor("plant/a/pump/7"), "7@a:");
        assert_eq!(sensor("q/x"), "q");
        assert_eq!(sensor("other/y/z"), "other/y/z!");
        assert_eq!(mapping.map("$SYS/y"), None);
        assert_eq!(Mapping::default().map("a"), None);
        let plain = Mapping::new(vec![MappingRule { filter: "a".into(), ..MappingRule::default() }]).unwrap();
        assert_eq!(plain.map("a"), Some((None, None)));
    }

    #[test]
    fn invalid_rules_are_reported() {
        let error =
            |filter, sensor| Mapping::new(vec![rule("ok", "ok"), rule(filter, sensor)]).unwrap_err().to_string();
        assert!(error("a/#/b", "x").starts_with("rule 2: in the topic filter"));
        assert_eq!(
            error("a/+", "{2}"),
            "rule 2: the sensor \"{2}\" uses {2}, but the filter \"a/+\" has 1 \"+\" and no \"#\""
        );
        assert!(error("a/+", "{0}").contains("uses {0}"));
        assert!(error("a/+", "{#}").contains("uses {#}"));
        assert!(error("a/+", "{name}").contains("{name}"));
        assert!(error("a/+", "{1").contains("{1"));
    }

    proptest! {
        #[test]
        fn any_rule_is_handled_without_panic(filter in ".{0,20}", sensor in "[{}#a-z0-9]{0,20}", topic in ".{0,20}") {
            if let Ok(mapping) = Mapping::new(vec![rule(&filter, &sensor)]) {
                let _ = mapping.map(&topic);
            }
        }
    }
}
