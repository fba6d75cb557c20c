//! Tokens on their way to blocks.

use std::cell::RefCell;
use std::collections::HashMap;

use html5ever::LocalName;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult};
use protocol::ingest::Limits;
use rooms::chunking::Kind;

use super::LEAST_MAIN;
use super::element::{Role, aria, ends, is_void, role};
use super::hidden::{Rules, has_background, hides, is_white};
use crate::documents::build::Builder;
use crate::documents::{Document, Refused, Result, csv};

/// How far back an element is looked for that ends by another's beginning.
const NEAR: usize = 64;

/// How the tokenizer goes on after a tag, where that is no text as usual.
pub(super) fn raw(tag: &Tag) -> Option<TokenSinkResult<()>> {
    if tag.kind != TagKind::StartTag || tag.self_closing {
        return None;
    }
    Some(match &*tag.name {
        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
        "plaintext" => TokenSinkResult::Plaintext,
        _ => return None,
    })
}

/// An element that is open, with what holds inside of it.
#[derive(Clone, Debug)]
struct Open {
    name: LocalName,
    role: Role,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_hidden: bool,
    is_nothing: bool,
    is_navigation: bool,
    is_main: bool,
    is_preformatted: bool,
    has_background: bool,
    heading: Option<u8>,
    is_item: bool,
    tables: u32,
}

/// A block, and whether it is in the main part.
struct Found {
    kind: Kind,
    text: String,
    is_main: bool,
}

pub(super) struct Sink {
    flow: RefCell<Flow>,
}

impl Sink {
    pub(super) fn new(limits: &Limits, clean: bool) -> Self {
        let flow = Flow {
            builder: Builder::new(limits),
            most: limits.text_bytes,
            clean,
            open: Vec::new(),
            names: HashMap::new(),
            rules: Rules::default(),
            text: String::new(),
            hidden: String::new(),
            raw: String::new(),
            row: Vec::new(),
            rows: Vec::new(),
            blocks: Vec::new(),
            bytes: 0,
            refused: None,
        };
        Self {
            flow: RefCell::new(flow),
        }
    }

    /// What was read.
    pub(super) fn finish(self) -> Result<Document> {
        self.flow.into_inner().finish()
    }
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut flow = self.flow.borrow_mut();
        if flow.refused.is_some() {
            return TokenSinkResult::Continue;
        }
        match token {
            Token::TagToken(tag) => {
                flow.tag(&tag);
                return raw(&tag).unwrap_or(TokenSinkResult::Continue);
            }
            Token::CharacterTokens(text) => flow.characters(&text),
            Token::CommentToken(text) => flow.hide(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

struct Flow {
    builder: Builder,
    most: u64,
    clean: bool,
    open: Vec<Open>,
    /// How many elements of a name are open.
    names: HashMap<LocalName, u32>,
    rules: Rules,
    /// What belongs to the block or cell that is read.
    text: String,
    hidden: String,
    /// What is in a title or a style sheet.
    raw: String,
    row: Vec<String>,
    rows: Vec<String>,
    blocks: Vec<Found>,
    bytes: u64,
    refused: Option<Refused>,
}

impl Flow {
    fn state(&self) -> State {
        self.open.last().map(|open| open.state).unwrap_or_default()
    }

    fn tag(&mut self, tag: &Tag) {
        match tag.kind {
            TagKind::StartTag => self.start(tag),
            TagKind::EndTag => self.end(&tag.name),
        }
    }

    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        let attribute = |wanted: &str| {
            tag.attrs
                .iter()
                .find(|attr| &*attr.name.local == wanted)
                .map(|attr| &*attr.value)
        };
        let (closes, behind) = ends(name);
        let near = self.open.iter().enumerate().rev().take(NEAR);
        let ended = near
            .take_while(|(_, open)| !behind.contains(&&*open.name))
            .find(|(_, open)| closes.contains(&&*open.name))
            .map(|(at, _)| at);
        if let Some(at) = ended {
            self.pop_to(at);
        }
        if let Some(link) = attribute("href")
            .or_else(|| attribute("src"))
            .or_else(|| attribute("action"))
        {
            self.builder.link(link);
        }
        for wanted in ["alt", "title", "placeholder", "aria-label"] {
            if let Some(text) = attribute(wanted) {
                self.hide(text);
            }
        }
        let role = attribute("role").and_then(aria).unwrap_or_else(|| role(name));
        if role != Role::Inline {
            self.boundary(role);
        }
        if is_void(name) {
            return;
        }
        let mut state = self.state();
        let style = attribute("style").unwrap_or_default();
        state.has_background |= has_background(style) || attribute("bgcolor").is_some();
        let is_colored_white = attribute("color").is_some_and(is_white) && !state.has_background;
        let is_tiny = name == "font" && attribute("size").is_some_and(|size| size.trim() == "0");
        state.is_hidden |= attribute("hidden").is_some()
            || is_colored_white
            || is_tiny
            || hides(style, !state.has_background)
            || self.rules.hides(attribute("class"), attribute("id"));
        match role {
            Role::Nothing => state.is_nothing = true,
            Role::Navigation => state.is_navigation = true,
            Role::Main => state.is_main = true,
            Role::Preformatted => state.is_preformatted = true,
            Role::Heading(level) => state.heading = Some(level),
            Role::Item => state.is_item = true,
            Role::Table => state.tables += 1,
            _ => {}
        }
        *self.names.entry(tag.name.clone()).or_default() += 1;
        self.open.push(Open {
            name: tag.name.clone(),
            role,
            state,
        });
        if matches!(name, "title" | "style") {
            self.raw.clear();
        }
        // What is empty by its own account has no end.
        if tag.self_closing && matches!(name, "svg" | "math" | "path" | "use") {
            self.pop_to(self.open.len() - 1);
        }
    }

    fn end(&mut self, name: &LocalName) {
        if &**name == "p" || &**name == "br" {
            self.boundary(if &**name == "p" { Role::Block } else { Role::Break });
        }
        // Most ends that belong to nothing are found to do so at once.
        if self.names.get(name).is_none_or(|count| *count == 0) {
            return;
        }
        if let Some(at) = self.open.iter().rposition(|open| open.name == *name) {
            self.pop_to(at);
        }
    }

    /// Closes elements, the one at `at` being the last.
    fn pop_to(&mut self, at: usize) {
        while self.open.len() > at {
            let Some(open) = self.open.last().cloned() else { return };
            match &*open.name {
                "title" => {
                    let title = std::mem::take(&mut self.raw);
                    self.builder.title(&title);
                }
                "style" => {
                    let sheet = std::mem::take(&mut self.raw);
                    self.rules.add(&sheet);
                }
                // Also one without text has its column.
                _ if open.role == Role::Cell => {
                    self.unseen();
                    let cell = std::mem::take(&mut self.text);
                    self.row.push(cell);
                }
                _ if open.role != Role::Inline => self.boundary(open.role),
                _ => {}
            }
            self.open.pop();
            if let Some(count) = self.names.get_mut(&open.name) {
                *count -= 1;
            }
        }
    }

    /// Where something begins or ends that is not part of a line.
    fn boundary(&mut self, role: Role) {
        let state = self.state();
        self.unseen();
        if role == Role::Break {
            self.text.push(if state.tables > 0 { ' ' } else { '\n' });
            return;
        }
        if state.tables == 0 {
            return self.block();
        }
        match role {
            Role::Cell => {
                let cell = std::mem::take(&mut self.text);
                if !cell.trim().is_empty() {
                    self.row.push(cell);
                }
            }
            Role::Row => {
                self.boundary(Role::Cell);
                let row = std::mem::take(&mut self.row);
                let line = csv::line(&row);
                if !line.is_empty() {
                    self.rows.push(line);
                }
            }
            Role::Table => {
                self.boundary(Role::Row);
                // Tables are made of one column to lay out pages.
                let rows = std::mem::take(&mut self.rows);
                let is_table = rows.len() > 1 && rows.iter().any(|row| row.contains(csv::BETWEEN));
                match is_table {
                    true => self.found(Kind::Table, rows.join("\n")),
                    false => rows.into_iter().for_each(|row| self.found(Kind::Paragraph, row)),
                }
            }
            _ => self.text.push(' '),
        }
    }

    fn block(&mut self) {
        let state = self.state();
        let kind = match state {
            State {
                heading: Some(level), ..
            } => Kind::Heading { level },
            State {
                is_preformatted: true, ..
            } => Kind::Code,
            State { is_item: true, .. } => Kind::ListItem,
            _ => Kind::Paragraph,
        };
        let text = std::mem::take(&mut self.text);
        self.found(kind, text);
    }

    fn found(&mut self, kind: Kind, text: String) {
        if text.trim().is_empty() {
            return;
        }
        self.bytes += text.len() as u64;
        if self.bytes > self.most {
            self.refused = Some(crate::documents::build::too_much_text(self.most));
            return;
        }
        let is_main = self.state().is_main;
        self.blocks.push(Found { kind, text, is_main });
    }

    fn characters(&mut self, text: &str) {
        let is_raw = self
            .open
            .last()
            .is_some_and(|open| matches!(&*open.name, "title" | "style"));
        if is_raw {
            return self.raw.push_str(text);
        }
        let state = self.state();
        if state.is_nothing {
            return;
        }
        if state.is_hidden {
            self.hidden.push_str(text);
            return;
        }
        if self.clean && state.is_navigation {
            return;
        }
        if state.is_preformatted && state.tables == 0 {
            return self.text.push_str(text);
        }
        for (at, word) in text.split([' ', '\t', '\n', '\r', '\u{c}']).enumerate() {
            let is_apart = self.text.is_empty() || self.text.ends_with([' ', '\n']);
            if at > 0 && !is_apart {
                self.text.push(' ');
            }
            self.text.push_str(word);
        }
    }

    fn hide(&mut self, text: &str) {
        if let Err(refused) = self.builder.hidden(text) {
            self.refused = Some(refused);
        }
    }

    fn unseen(&mut self) {
        if !self.hidden.is_empty() {
            let text = std::mem::take(&mut self.hidden);
            self.hide(&text);
        }
    }

    fn finish(mut self) -> Result<Document> {
        self.pop_to(0);
        self.boundary(Role::Block);
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        let main: usize = self
            .blocks
            .iter()
            .filter(|block| block.is_main)
            .map(|block| visible(&block.text))
            .sum();
        let has_main = self.clean && main >= LEAST_MAIN;
        for found in self.blocks.into_iter().filter(|block| block.is_main || !has_main) {
            self.builder.push(found.kind, &found.text)?;
        }
        Ok(self.builder.finish())
    }
}
