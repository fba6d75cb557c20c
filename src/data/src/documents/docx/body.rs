//! Paragraphs, lists and tables.

use quick_xml::events::{BytesStart, Event};
use rooms::chunking::Kind;

use super::styles::{Styles, is_on, outline};
use super::xml::{attribute, broken, next, reader, resolved};
use crate::documents::build::Builder;
use crate::documents::html::is_white;
use crate::documents::{Result, csv};

/// Half points up to which nobody reads a text.
const TINY: u32 = 4;

/// Reads a part of a document.
pub(super) fn read(part: &[u8], styles: &Styles, builder: &mut Builder) -> Result<()> {
    let mut body = Body {
        styles,
        builder,
        paragraph: Paragraph::default(),
        run: Run::default(),
        tables: Vec::new(),
        skipped: 0,
        is_text: false,
        in_properties: 0,
        is_run: false,
        has_background: 0,
    };
    let mut reader = reader(part);
    let mut depth = 0_u64;
    loop {
        match next(&mut reader)? {
            Event::Start(start) => {
                depth += 1;
                body.start(&start)?;
            }
            Event::Empty(start) => {
                body.start(&start)?;
                body.end(start.local_name().as_ref())?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                body.end(end.local_name().as_ref())?;
            }
            Event::Text(text) => body.text(&text.decode().map_err(|_| broken("is no UTF-8"))?),
            Event::CData(text) => body.text(&text.decode().map_err(|_| broken("is no UTF-8"))?),
            Event::GeneralRef(reference) => body.text(&resolved(&reference)),
            Event::Eof if depth > 0 => return Err(broken("ends in the middle")),
            Event::Eof => return body.paragraph_ends(),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Paragraph {
    text: String,
    hidden: String,
    heading: Option<u8>,
    is_item: bool,
    is_hidden: bool,
    has_background: bool,
}

#[derive(Default)]
struct Run {
    is_hidden: bool,
    is_white: bool,
    has_background: bool,
}

#[derive(Default)]
struct Table {
    rows: Vec<String>,
    cells: Vec<String>,
    cell: String,
}

struct Body<'a> {
    styles: &'a Styles,
    builder: &'a mut Builder,
    paragraph: Paragraph,
    run: Run,
    /// Tables in cells of tables, the innermost last.
    tables: Vec<Table>,
    /// Elements within one that is passed over, with it.
    skipped: u32,
    is_text: bool,
    /// Elements of properties that are open.
    in_properties: u32,
    /// Whether they are those of a run.
    is_run: bool,
    /// Cells with a background that are open.
    has_background: u32,
}

impl Body<'_> {
    fn start(&mut self, element: &BytesStart<'_>) -> Result<()> {
        let name = element.local_name();
        let name = name.as_ref();
        // What was deleted, what older programs show instead, instructions of fields, and what it was before a change.
        let is_passed_over = matches!(
            name,
            b"del" | b"moveFrom" | b"Fallback" | b"instrText" | b"delText" | b"pPrChange" | b"rPrChange" | b"sectPr"
        );
        if self.skipped > 0 || is_passed_over {
            self.skipped += 1;
            return Ok(());
        }
        match name {
            b"p" => {
                self.paragraph_ends()?;
                self.paragraph = Paragraph::default();
            }
            b"r" => self.run = Run::default(),
            b"t" => self.is_text = true,
            b"tab" if self.in_properties == 0 => self.text_of_run("\t"),
            b"br" | b"cr" => self.text_of_run("\n"),
            b"noBreakHyphen" => self.text_of_run("-"),
            b"tbl" => {
                self.paragraph_ends()?;
                self.tables.push(Table::default());
            }
            b"pPr" | b"rPr" | b"tcPr" => {
                self.is_run = name == b"rPr" && self.in_properties == 0;
                self.in_properties += 1;
            }
            _ if self.in_properties > 0 => self.property(name, element),
            _ => {}
        }
        Ok(())
    }

    fn property(&mut self, name: &[u8], element: &BytesStart<'_>) {
        let value = attribute(element, b"val");
        match name {
            b"pStyle" => {
                let style = self.styles.of(&value.unwrap_or_default());
                self.paragraph.heading = style.heading.or(self.paragraph.heading);
                self.paragraph.is_hidden |= style.is_hidden;
            }
            b"rStyle" => self.run.is_hidden |= self.styles.of(&value.unwrap_or_default()).is_hidden,
            b"outlineLvl" => self.paragraph.heading = outline(value.as_deref()).or(self.paragraph.heading),
            b"numPr" => self.paragraph.is_item = true,
            b"vanish" | b"webHidden" => self.run.is_hidden |= is_on(value.as_deref()),
            b"color" => self.run.is_white = value.is_some_and(|color| is_white(&format!("#{color}"))),
            b"sz" => {
                self.run.is_hidden |= value
                    .and_then(|size| size.parse::<u32>().ok())
                    .is_some_and(|size| size <= TINY)
            }
            b"highlight" => self.run.has_background = is_on(value.as_deref()),
            b"shd" => {
                let fill = attribute(element, b"fill");
                let is_coloured = fill.is_some_and(|fill| fill != "auto" && !is_white(&format!("#{fill}")));
                match self.is_run {
                    true => self.run.has_background |= is_coloured,
                    false => self.paragraph.has_background |= is_coloured,
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &[u8]) -> Result<()> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        match name {
            b"p" => self.paragraph_ends()?,
            b"t" => self.is_text = false,
            b"pPr" | b"rPr" | b"tcPr" => {
                self.in_properties = self.in_properties.saturating_sub(1);
                // What the paragraph's mark looks like says nothing of its text.
                if name == b"pPr" {
                    self.run = Run::default();
                }
                if name == b"tcPr" && self.paragraph.has_background {
                    self.has_background = 1;
                }
            }
            b"tc" => {
                self.paragraph_ends()?;
                self.has_background = 0;
                if let Some(table) = self.tables.last_mut() {
                    let cell = std::mem::take(&mut table.cell);
                    table.cells.push(cell);
                }
            }
            b"tr" => {
                if let Some(table) = self.tables.last_mut() {
                    let cells = std::mem::take(&mut table.cells);
                    let line = csv::line(&cells);
                    if !line.is_empty() {
                        table.rows.push(line);
                    }
                }
            }
            b"tbl" => self.table_ends()?,
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.skipped == 0 && self.is_text {
            self.text_of_run(text);
        }
    }

    fn text_of_run(&mut self, text: &str) {
        let has_background = self.run.has_background || self.paragraph.has_background || self.has_background > 0;
        let is_hidden = self.run.is_hidden || self.paragraph.is_hidden || (self.run.is_white && !has_background);
        match is_hidden {
            true => self.paragraph.hidden.push_str(text),
            false => self.paragraph.text.push_str(text),
        }
    }

    fn paragraph_ends(&mut self) -> Result<()> {
        let paragraph = std::mem::take(&mut self.paragraph);
        self.builder.hidden(&paragraph.hidden)?;
        if let Some(table) = self.tables.last_mut() {
            let text = paragraph.text.trim();
            if !text.is_empty() {
                table.cell.push_str(if table.cell.is_empty() { "" } else { " " });
                table.cell.push_str(text);
            }
            return Ok(());
        }
        let kind = match paragraph {
            Paragraph {
                heading: Some(level), ..
            } => Kind::Heading { level },
            Paragraph { is_item: true, .. } => Kind::ListItem,
            _ => Kind::Paragraph,
        };
        self.builder.push(kind, &paragraph.text)
    }

    fn table_ends(&mut self) -> Result<()> {
        self.paragraph_ends()?;
        let Some(table) = self.tables.pop() else { return Ok(()) };
        let text = table.rows.join("\n");
        match self.tables.last_mut() {
            // One in a cell is text of it.
            Some(outer) => {
                outer.cell.push_str(if outer.cell.is_empty() { "" } else { " " });
                outer.cell.push_str(&text.replace('\n', "; "));
                Ok(())
            }
            None => self.builder.push(Kind::Table, &text),
        }
    }
}
