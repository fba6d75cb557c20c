//! Tables as text: rows with the names of the columns in the first one, by RFC 4180.
//!
//! A row becomes a line of its cells with ` | ` between them: chunks never cut it, and repeat the names of the columns.

use protocol::ingest::Limits;
use rooms::chunking::Kind;

use super::build::Builder;
use super::{Document, Result};

/// Between cells.
pub(super) const BETWEEN: &str = " | ";
/// Lines of one block: a table of a million rows is no text that anybody looks at as a whole.
const ROWS: usize = 500;

pub(super) fn read(text: &str, delimiter: u8, limits: &Limits) -> Result<Document> {
    let mut builder = Builder::new(limits);
    let mut rows = Rows {
        text,
        delimiter: char::from(delimiter),
    };
    let header = rows.next().map(|row| line(&row)).unwrap_or_default();
    let mut lines = vec![header.clone()];
    for row in rows {
        let row = line(&row);
        if row.is_empty() {
            continue;
        }
        lines.push(row);
        if lines.len() > ROWS {
            builder.push(Kind::Table, &lines.join("\n"))?;
            lines = vec![header.clone()];
        }
    }
    // A header alone is a table, if it is all that there is.
    if lines.len() > 1 || builder.is_empty() {
        builder.push(Kind::Table, &lines.join("\n"))?;
    }
    Ok(builder.finish())
}

/// Cells on one line. One without any text says nothing.
pub(super) fn line<T: AsRef<str>>(cells: &[T]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| one_line(cell.as_ref())).collect();
    match cells.iter().all(String::is_empty) {
        true => String::new(),
        false => cells.join(BETWEEN),
    }
}

fn one_line(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Rows, one after the other. Whatever the text is, there are some.
struct Rows<'a> {
    text: &'a str,
    delimiter: char,
}

impl Iterator for Rows<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.text.is_empty() {
            return None;
        }
        let mut cells = Vec::new();
        loop {
            let (cell, ends_row) = self.cell();
            cells.push(cell);
            if ends_row {
                return Some(cells);
            }
        }
    }
}

impl Rows<'_> {
    /// The next cell, and whether it is the last one of its row.
    fn cell(&mut self) -> (String, bool) {
        let mut cell = String::new();
        if let Some(rest) = self.text.strip_prefix('"') {
            self.text = rest;
            loop {
                let Some(end) = self.text.find('"') else {
                    // It never ends.
                    cell.push_str(std::mem::take(&mut self.text));
                    return (cell, true);
                };
                cell.push_str(&self.text[..end]);
                self.text = &self.text[end + 1..];
                match self.text.strip_prefix('"') {
                    Some(rest) => {
                        cell.push('"');
                        self.text = rest;
                    }
                    None => break,
                }
            }
        }
        let delimiter = self.delimiter;
        let end = self.text.find([delimiter, '\n', '\r']);
        let Some(end) = end else {
            cell.push_str(std::mem::take(&mut self.text));
            return (cell, true);
        };
        cell.push_str(&self.text[..end]);
        let rest = &self.text[end..];
        let is_last = !rest.starts_with(delimiter);
        self.text = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
        (cell, is_last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let document = read(text, b',', &Limits::default()).unwrap();
        document.blocks.into_iter().map(|block| block.text).collect()
    }

    #[test]
    fn rows_are_lines() {
        let text = "name,town\r\n\"Doe, Jane\",\"New\nYork\"\r\n\"a \"\"b\"\"\",\n\n,,\n";
        assert_eq!(texts(text), ["name | town\nDoe, Jane | New York\na \"b\" |"]);
        assert_eq!(texts("a,\"never ends\nb,c"), ["a | never ends b,c"]);
    }

    #[test]
    fn long_tables_are_several_with_the_names_of_the_columns() {
        let text = format!("n\n{}", "1\n".repeat(ROWS + 1));
        let found = texts(&text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], "n\n1");
        assert_eq!(texts(&format!("n\n{}", "1\n".repeat(ROWS))).len(), 1);
    }
}
