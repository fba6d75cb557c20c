//! Text of pages that people do not see, as far as the page itself says so.
//!
//! Styles of other files are not known. Rules in the page count where they are for one class or one id, whatever the
//! screen.

use std::collections::HashSet;

/// Rules that are looked at.
const MAX_RULES: usize = 100_000;

/// Whether a list of declarations hides what it is for. `is_plain` says that nothing is behind the text but the page.
pub(super) fn hides(style: &str, is_plain: bool) -> bool {
    style.split(';').any(|declaration| {
        let Some((name, value)) = declaration.split_once(':') else {
            return false;
        };
        let value = value.to_ascii_lowercase();
        let value = value.trim().trim_end_matches("!important").trim_end();
        match name.trim().to_ascii_lowercase().as_str() {
            "display" => value == "none",
            "visibility" => matches!(value, "hidden" | "collapse"),
            "opacity" => number(value).is_some_and(|share| share < 0.1),
            "font-size" => number(value).is_some_and(|size| size <= least_size(value)),
            "color" | "-webkit-text-fill-color" => is_transparent(value) || (is_plain && is_white(value)),
            // Far away from the page.
            "left" | "top" | "right" | "bottom" | "text-indent" | "margin-left" | "margin-top" => {
                number(value).is_some_and(|place| place <= -999.0)
            }
            "max-height" | "max-width" => number(value) == Some(0.0),
            "clip-path" => value.replace(' ', "") == "inset(100%)",
            _ => false,
        }
    })
}

/// Whether a list of declarations puts something behind the text.
pub(super) fn has_background(style: &str) -> bool {
    style
        .split(';')
        .any(|declaration| declaration.trim_start().to_ascii_lowercase().starts_with("background"))
}

/// Sizes up to this are not read; it depends on their unit.
fn least_size(value: &str) -> f64 {
    match value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-' || c == '+') {
        "em" | "rem" => 0.15,
        "%" => 15.0,
        _ => 2.0,
    }
}

fn number(value: &str) -> Option<f64> {
    let end = value
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
        .unwrap_or(value.len());
    value[..end].parse().ok()
}

fn is_transparent(color: &str) -> bool {
    let compact = color.replace(' ', "");
    compact == "transparent"
        || (compact.starts_with("rgba(") && (compact.ends_with(",0)") || compact.ends_with(",0.0)")))
}

/// Whether it cannot be told from white.
pub(in crate::documents) fn is_white(color: &str) -> bool {
    let color = color.trim().to_ascii_lowercase().replace(' ', "");
    if matches!(
        color.as_str(),
        "white" | "snow" | "ivory" | "ghostwhite" | "floralwhite"
    ) {
        return true;
    }
    if let Some(hex) = color.strip_prefix('#') {
        let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
        return digits.is_some_and(|digits| match digits[..] {
            [r, g, b, ..] if digits.len() < 6 => r == 15 && g == 15 && b == 15,
            [r, _, g, _, b, _, ..] => r == 15 && g == 15 && b == 15,
            _ => false,
        });
    }
    let arguments = color.strip_prefix("rgb(").or_else(|| color.strip_prefix("rgba("));
    arguments.is_some_and(|arguments| {
        let mut parts = arguments.trim_end_matches(')').split(',').take(3);
        parts.clone().count() == 3 && parts.all(|part| part.parse::<u32>().is_ok_and(|value| value >= 240))
    })
}

/// Classes and ids that rules in pages hide.
#[derive(Debug, Default)]
pub(super) struct Rules {
    classes: HashSet<String>,
    ids: HashSet<String>,
}

impl Rules {
    /// Takes the rules of a style sheet.
    pub(super) fn add(&mut self, sheet: &str) {
        for rule in sheet.split('}').take(MAX_RULES) {
            // What is before an opening brace is a selector, or begins rules for some screens.
            let Some((selectors, declarations)) = rule.rsplit_once('{') else {
                continue;
            };
            let selectors = selectors.rsplit(['{', '/']).next().unwrap_or(selectors);
            if !hides(declarations, !has_background(declarations)) {
                continue;
            }
            for selector in selectors.split(',') {
                let selector = selector.trim();
                let is_simple =
                    |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
                if let Some(class) = selector.strip_prefix('.').filter(is_simple) {
                    self.classes.insert(class.to_owned());
                } else if let Some(id) = selector.strip_prefix('#').filter(is_simple) {
                    self.ids.insert(id.to_owned());
                }
            }
        }
    }

    pub(super) fn hides(&self, class: Option<&str>, id: Option<&str>) -> bool {
        let has = |names: &HashSet<String>, name: &str| names.contains(name);
        id.is_some_and(|id| has(&self.ids, id.trim()))
            || class.is_some_and(|class| class.split_ascii_whitespace().any(|class| has(&self.classes, class)))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("display: NONE !important", true)]
    #[case("color:red; visibility : hidden", true)]
    #[case("font-size:1px", true)]
    #[case("font-size:0", true)]
    #[case("font-size: 0.05em", true)]
    #[case("font-size: 1em", false)]
    #[case("font-size: 12px", false)]
    #[case("opacity:0", true)]
    #[case("opacity:.8", false)]
    #[case("position:absolute;left:-9999px", true)]
    #[case("margin-left:-10px", false)]
    #[case("color:#fff", true)]
    #[case("color: rgb(255, 250, 255)", true)]
    #[case("color: rgba(0,0,0,0)", true)]
    #[case("color:#fafafa", true)]
    #[case("color:#333", false)]
    #[case("", false)]
    fn declarations(#[case] style: &str, #[case] expected: bool) {
        assert_eq!(hides(style, true), expected);
    }

    #[test]
    fn white_is_seen_before_something() {
        assert!(!hides("color:white", false));
        assert!(has_background("color:white; Background-color: navy"));
    }

    #[test]
    fn rules_are_for_classes_and_ids() {
        let mut rules = Rules::default();
        rules.add(
            "/* x */ .a, #b { display:none } .c .d {display:none} @media print { .e { display : none } } .f{color:red}",
        );
        assert!(rules.hides(Some("x a"), None) && rules.hides(None, Some("b")) && rules.hides(Some("e"), None));
        assert!(!rules.hides(Some("c d f"), Some("a")));
    }
}
