//! `kubectl atelier room documents`.

use std::process::ExitCode;

use anyhow::Result;
use protocol::rooms::documents::{Document, Documents};

use super::{Room, encoded};
use crate::{
    text::{clean, print},
    versions::aligned,
};

/// Prints the documents that the caller sees.
///
/// # Errors
/// When the gateway does not list them.
pub async fn list(room: &Room, quarantined: bool) -> Result<ExitCode> {
    let mut rows = vec![["SOURCE", "NAME", "CLEARANCE", "PAGES", "CHUNKS", "STATE"].map(String::from)];
    let mut after = String::new();
    loop {
        let path = room.at(&format!("/documents?quarantined={quarantined}{after}"));
        let page: Documents = room.caller.get(&path).await?;
        rows.extend(page.documents.iter().map(row));
        match page.next {
            Some(next) => after = format!("&after={}", encoded(&next)),
            None => break,
        }
    }
    print(&aligned(&rows))?;
    Ok(ExitCode::SUCCESS)
}

fn row(document: &Document) -> [String; 6] {
    let count = |count: Option<u32>| count.map_or_else(|| "-".into(), |count| count.to_string());
    let state = match &document.quarantined {
        Some(reason) if document.released => format!("{reason}, released"),
        Some(reason) => reason.clone(),
        None => "-".into(),
    };
    [
        clean(&document.source),
        clean(&document.name),
        document.clearance.to_string(),
        count(document.pages),
        count(document.chunks),
        clean(&state),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_is_set_aside_says_why() {
        let document = Document {
            source: "hr".into(),
            name: "scan.pdf".into(),
            pages: Some(2),
            quarantined: Some("LowConfidence".into()),
            ..Document::default()
        };
        assert_eq!(row(&document), ["hr", "scan.pdf", "0", "2", "-", "LowConfidence"]);
    }
}
