//! What a model is given, and what of it an answer cites.

use ::rooms::{Chunk, answer::citations::Citation};
use protocol::rooms::{
    ask::{Citation as Cited, CitationKind},
    document_id,
};
use store::rooms::{FromDatabase, Text};

use super::super::{room::Database, search::place};
use crate::audit::AskedDatabase;

/// A text that a model is given.
#[derive(Clone, Debug)]
pub enum Given {
    /// A part of a document.
    Document(Text),
    /// Rows that a database answered.
    Rows(Rows),
}

/// Rows that a database answered.
#[derive(Clone, Debug)]
pub struct Rows {
    /// They, as a text. Its number is none of a document's.
    pub chunk: Chunk,
    /// The first line of the text, which names the columns.
    pub header: String,
    /// The source that they are of, as it was when they were asked for.
    pub database: Database,
    /// What was asked, as it was run.
    pub statement: String,
    /// The tables that were read.
    pub tables: Vec<String>,
}

impl Given {
    /// The text.
    pub fn chunk(&self) -> &Chunk {
        match self {
            Self::Document(text) => &text.chunk,
            Self::Rows(rows) => &rows.chunk,
        }
    }

    /// The document, if it is of one.
    pub fn document(&self) -> Option<&Text> {
        match self {
            Self::Document(text) => Some(text),
            Self::Rows(_) => None,
        }
    }

    /// The rows, if it is some.
    pub fn rows(&self) -> Option<&Rows> {
        match self {
            Self::Document(_) => None,
            Self::Rows(rows) => Some(rows),
        }
    }
}

impl Rows {
    /// What is kept of them; the statement where texts are.
    pub fn kept(&self, keeps: bool) -> FromDatabase {
        FromDatabase {
            source: self.database.source.clone(),
            clearance: self.database.clearance,
            statement: keeps.then(|| self.statement.clone()),
        }
    }

    /// What the audit trail is told.
    pub fn audited(&self) -> AskedDatabase {
        AskedDatabase::of(&self.database.source, &self.tables, &self.statement)
    }
}

/// A citation on the wire.
pub fn cited(citation: Citation, given: &[Given]) -> Cited {
    let number = u32::try_from(citation.number).unwrap_or(u32::MAX);
    let found = given.iter().find(|given| given.chunk().id == citation.chunk);
    if let Some(rows) = found.and_then(Given::rows) {
        let quote = match citation.quote.starts_with(&rows.header) {
            true => citation.quote,
            false => format!("{}\n{}", rows.header, citation.quote),
        };
        return Cited {
            number,
            kind: CitationKind::Sql,
            source: citation.source,
            name: citation.document,
            statement: Some(rows.statement.clone()),
            tables: rows.tables.clone(),
            place: place(&citation.place),
            quote,
            ..Cited::default()
        };
    }
    let text = found.and_then(Given::document);
    Cited {
        number,
        chunk: citation.chunk.0,
        document: document_id(&citation.source, &citation.document),
        title: text.and_then(|text| text.title.clone()),
        origin: text.and_then(|text| text.origin.clone()),
        place: place(&citation.place),
        source: citation.source,
        name: citation.document,
        quote: citation.quote,
        ..Cited::default()
    }
}
