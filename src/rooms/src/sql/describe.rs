//! What a model is told about tables.

use std::fmt::Write as _;

use super::Allowed;

/// Longest description that is shown, in characters.
const MAX_DESCRIPTION: usize = 1024;

/// Tables and columns that may be asked, with what they mean, a line each; then what a query may look like. Nothing
/// that is hidden is in it.
pub fn describe(allowed: &Allowed) -> String {
    let mut text = String::new();
    for (name, table) in &allowed.tables {
        let _ = writeln!(text, "table {name}{}", meaning(table.description.as_deref()));
        for column in &table.columns {
            let _ = writeln!(text, "  {}{}", column.name, meaning(column.description.as_deref()));
        }
    }
    let functions: Vec<_> = allowed.functions.iter().map(String::as_str).collect();
    let _ = write!(
        text,
        "One SELECT of PostgreSQL, with at most {} rows. Give each table an alias and qualify each column. \
         No other tables, columns or statements. Functions: {}.",
        allowed.max_rows,
        functions.join(", ")
    );
    text
}

/// On one line, for each line is a column.
fn meaning(description: Option<&str>) -> String {
    let words = description
        .unwrap_or_default()
        .split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    match words.is_empty() {
        true => String::new(),
        false => format!(
            ": {}",
            words.join(" ").chars().take(MAX_DESCRIPTION).collect::<String>()
        ),
    }
}
