//! Texts of a choice that webhooks have not judged yet.

use std::collections::BTreeMap;

use super::{
    choice::Step,
    notes::{Direction, Notes},
    webhook::{Find, Jury, Text, Unjudged, redacted},
};

/// Characters that come before webhooks are asked again.
const STEP: usize = 512;
/// Characters that are held back after that, to be seen again with what comes: nothing that is no longer leaves in parts.
const OVERLAP: usize = 256;

/// Where a text belongs, and its next part that may leave.
pub type Released = Vec<(Vec<Step>, String)>;

/// Texts of a choice that webhooks have not judged yet.
#[derive(Default)]
pub struct Held {
    texts: BTreeMap<Vec<Step>, String>,
    /// Characters that no webhook has seen.
    fresh: usize,
    /// What webhooks found so far.
    pub notes: Notes,
}

impl Held {
    /// Takes what comes next of the text at `path`.
    pub fn push(&mut self, path: &[Step], piece: &str) {
        if piece.is_empty() {
            return;
        }
        self.fresh += piece.chars().count();
        match self.texts.get_mut(path) {
            Some(text) => text.push_str(piece),
            None => drop(self.texts.insert(path.to_vec(), piece.into())),
        }
    }

    /// Whether webhooks have to be asked before anything more is held.
    pub fn is_due(&self) -> bool {
        self.fresh >= STEP
    }

    /// Asks `jury`, and lets out what may leave; `None` if nothing more may. At the end all leaves.
    ///
    /// # Errors
    /// When there is no verdict where there has to be one.
    pub async fn judged(&mut self, jury: &Jury, is_final: bool) -> Result<Option<Released>, Unjudged> {
        self.fresh = 0;
        let (paths, texts): (Vec<_>, Vec<_>) = self
            .texts
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(path, text)| {
                (
                    path.clone(),
                    Text {
                        text: text.clone(),
                        trusted: false,
                    },
                )
            })
            .unzip();
        if texts.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let verdicts = jury.judge(&texts, is_final).await?;
        if verdicts.refusal().is_some() {
            let all: Vec<_> = texts.iter().map(|it| it.text.len()).collect();
            verdicts.note(Direction::Output, &all, &mut self.notes);
            self.texts.clear();
            return Ok(None);
        }
        let mut released = Vec::new();
        let mut ends = Vec::new();
        for (i, (path, Text { text, .. })) in paths.into_iter().zip(&texts).enumerate() {
            let end = match is_final {
                true => text.len(),
                false => end_of_release(text, &verdicts.finds(i)),
            };
            let redactions: Vec<_> = verdicts.redactions(i).into_iter().filter(|it| it.end <= end).collect();
            released.push((path.clone(), redacted(&text[..end], &redactions)));
            self.texts.insert(path, text[end..].into());
            ends.push(end);
        }
        verdicts.note(Direction::Output, &ends, &mut self.notes);
        Ok(Some(released))
    }
}

/// How much of a text may leave while more comes: what was found leaves whole.
fn end_of_release(text: &str, finds: &[Find]) -> usize {
    let end = text.char_indices().rev().nth(OVERLAP - 1).map_or(0, |(place, _)| place);
    let cut = finds.iter().find(|find| find.start < end && end < find.end);
    cut.map_or(end, |find| find.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_characters_are_held_back() {
        assert_eq!(end_of_release(&"é".repeat(OVERLAP), &[]), 0);
        assert_eq!(end_of_release(&"é".repeat(OVERLAP + 1), &[]), 2);
        let find = |start, end| Find {
            start,
            end,
            kind: "X".into(),
        };
        let text = "a".repeat(OVERLAP + 10);
        assert_eq!(end_of_release(&text, &[find(0, 4), find(8, 12)]), 12);
        assert_eq!(end_of_release(&text, &[find(10, 12)]), 10);
        assert_eq!(end_of_release(&text, &[find(8, 10)]), 10);
    }
}
