//! `kubectl atelier room search`.

use std::process::ExitCode;

use anyhow::Result;
use protocol::rooms::{
    Place,
    search::{Found, Hit, Search},
};

use super::Room;
use crate::{
    caller::whole,
    text::{clean, print},
};

/// Searches, and prints what was found. The exit status is 0 if there is something and 2 if not.
///
/// # Errors
/// When the gateway does not search.
pub async fn run(room: &Room, query: &str, top: Option<u32>) -> Result<ExitCode> {
    let search = Search {
        query: query.into(),
        top_k: top,
    };
    let found: Found = whole(
        room.caller
            .post(&room.at("/search"), &serde_json::to_value(search)?)
            .await?,
    )
    .await?;
    if found.hits.is_empty() {
        print("nothing was found\n")?;
        return Ok(ExitCode::from(2));
    }
    print(&found.hits.iter().map(shown).collect::<Vec<_>>().join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn shown(hit: &Hit) -> String {
    let name = format!("{:.3}  {}/{}{}", hit.score, hit.source, hit.name, place(&hit.place));
    format!("{}\n    {}\n", clean(&name), clean(&hit.text))
}

/// Where in its document something stands.
pub fn place(place: &Place) -> String {
    let mut text = place.page.map_or_else(String::new, |page| format!(", page {page}"));
    if !place.headings.is_empty() {
        text += ", ";
        text += &place.headings.join(" > ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_its_score_its_place_and_its_text() {
        let hit = Hit {
            score: 0.51239,
            source: "hr".into(),
            name: "a\u{202e}b".into(),
            text: "one\ntwo".into(),
            ..Hit::default()
        };
        assert_eq!(shown(&hit), "0.512  hr/a b\n    one two\n");
    }
}
