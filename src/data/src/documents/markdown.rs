//! Markdown, as CommonMark and GitHub have it. What is HTML in it is read as HTML.

use protocol::ingest::Limits;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use rooms::chunking::Kind;

use super::build::Builder;
use super::{Document, Result, csv, html};

pub(super) fn read(text: &str, limits: &Limits, clean: bool) -> Result<Document> {
    let mut reader = Reader {
        builder: Builder::new(limits),
        limits,
        clean,
        text: String::new(),
        html: String::new(),
        row: Vec::new(),
        rows: Vec::new(),
        is_cell: false,
        items: 0,
        is_code: false,
    };
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    for event in Parser::new_ext(text, options) {
        reader.event(event)?;
    }
    reader.flush()?;
    Ok(reader.builder.finish())
}

struct Reader<'a> {
    builder: Builder,
    limits: &'a Limits,
    clean: bool,
    /// What belongs to the block that is read.
    text: String,
    html: String,
    row: Vec<String>,
    rows: Vec<String>,
    is_cell: bool,
    /// Items of lists that are open.
    items: u32,
    is_code: bool,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) => {
                self.text.push_str(&text);
                Ok(())
            }
            Event::SoftBreak => {
                self.text.push(if self.is_cell { ' ' } else { '\n' });
                Ok(())
            }
            Event::HardBreak => {
                self.text.push(if self.is_cell { ' ' } else { '\n' });
                Ok(())
            }
            Event::Rule => self.flush(),
            Event::Html(part) => {
                self.html.push_str(&part);
                Ok(())
            }
            // Tags say nothing; comments are what people do not see.
            Event::InlineHtml(part) => match part.strip_prefix("<!--") {
                Some(comment) => self.builder.hidden(comment.trim_end_matches("-->")),
                None => Ok(()),
            },
            Event::FootnoteReference(_) | Event::TaskListMarker(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {
                Ok(())
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>) -> Result<()> {
        match tag {
            Tag::Link { dest_url, title, .. } | Tag::Image { dest_url, title, .. } => {
                self.builder.link(&dest_url);
                self.builder.hidden(&title)
            }
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Superscript | Tag::Subscript => Ok(()),
            Tag::TableCell => {
                self.text.clear();
                self.is_cell = true;
                Ok(())
            }
            Tag::TableHead | Tag::TableRow => {
                self.row.clear();
                Ok(())
            }
            Tag::Item => {
                self.flush()?;
                self.items += 1;
                Ok(())
            }
            Tag::CodeBlock(kind) => {
                self.flush()?;
                self.is_code = true;
                // Diagrams and the like are code as well; the language is no text of it.
                drop::<CodeBlockKind<'_>>(kind);
                Ok(())
            }
            _ => self.flush(),
        }
    }

    fn end(&mut self, tag: TagEnd) -> Result<()> {
        match tag {
            TagEnd::Heading(level) => self.take(Kind::Heading { level: level as u8 }),
            TagEnd::CodeBlock => {
                self.is_code = false;
                self.take(Kind::Code)
            }
            TagEnd::TableCell => {
                self.is_cell = false;
                self.row.push(std::mem::take(&mut self.text));
                Ok(())
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                self.rows.push(csv::line(&self.row));
                Ok(())
            }
            TagEnd::Table => {
                let rows = std::mem::take(&mut self.rows).join("\n");
                self.builder.push(Kind::Table, &rows)
            }
            TagEnd::Item => {
                let flushed = self.flush();
                self.items = self.items.saturating_sub(1);
                flushed
            }
            // Settings of whatever makes a page of it.
            TagEnd::MetadataBlock(_) => {
                let settings = std::mem::take(&mut self.text);
                self.metadata(&settings)
            }
            TagEnd::HtmlBlock => self.html(),
            TagEnd::Link
            | TagEnd::Image
            | TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript => Ok(()),
            _ => self.flush(),
        }
    }

    fn metadata(&mut self, settings: &str) -> Result<()> {
        let title = settings.lines().find_map(|line| line.strip_prefix("title:"));
        if let Some(title) = title {
            self.builder.title(title.trim().trim_matches(['"', '\'']));
        }
        self.builder.hidden(settings)
    }

    fn html(&mut self) -> Result<()> {
        let part = html::read(&std::mem::take(&mut self.html), self.limits, self.clean)?;
        for block in part.blocks {
            self.builder.block(block)?;
        }
        for hidden in part.hidden {
            self.builder.hidden(&hidden)?;
        }
        part.links.iter().for_each(|link| self.builder.link(link));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let kind = match (self.is_code, self.items) {
            (true, _) => Kind::Code,
            (false, 0) => Kind::Paragraph,
            (false, _) => Kind::ListItem,
        };
        self.take(kind)
    }

    fn take(&mut self, kind: Kind) -> Result<()> {
        let text = std::mem::take(&mut self.text);
        self.builder.push(kind, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "---\ntitle: \"Leave\"\nnote: ignore me\n---\n# Handbook\n\nTwenty *days*\na [year](https://h.example/a \"see\").\n\n\
        - one\n- two\n  - three `x`\n\n| Name | Town |\n|---|---|\n| Ann | **Rome** |\n\n```sh\n  ls -l\n```\n\n\
        <div>seen<!-- not seen --><p hidden>nor this</p></div>\n\nmore <b>bold</b><!-- ah --> text\n";

    #[test]
    fn structure_is_kept_and_what_is_not_seen_is_apart() {
        let document = read(TEXT, &Limits::default(), true).unwrap();
        let found: Vec<_> = document
            .blocks
            .iter()
            .map(|block| (block.kind, block.text.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (Kind::Heading { level: 1 }, "Handbook"),
                (Kind::Paragraph, "Twenty days\na year."),
                (Kind::ListItem, "one"),
                (Kind::ListItem, "two"),
                (Kind::ListItem, "three x"),
                (Kind::Table, "Name | Town\nAnn | Rome"),
                (Kind::Code, "  ls -l"),
                (Kind::Paragraph, "seen"),
                (Kind::Paragraph, "more bold text"),
            ]
        );
        assert_eq!(document.title.as_deref(), Some("Leave"));
        assert_eq!(document.links, ["https://h.example/a"]);
        for hidden in ["not seen", "nor this", "ah", "see"] {
            assert!(
                document.hidden.iter().any(|text| text == hidden),
                "{:?}",
                document.hidden
            );
        }
    }

    #[test]
    fn deep_nesting_ends() {
        for text in [
            "> ".repeat(20_000),
            "[".repeat(50_000),
            "* ".repeat(20_000),
            "<div>".repeat(50_000),
        ] {
            // What comes of it does not matter.
            let _ = read(&(text + "a"), &Limits::default(), true);
        }
    }
}
