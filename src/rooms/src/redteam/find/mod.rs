//! A canary in a text, however it is spelled.

mod needle;
mod views;

use serde::{Deserialize, Serialize};

use super::canary::Canary;
use needle::Needle;
use views::Views;

/// How a canary was spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Form {
    /// As it is, in whatever case and with whatever between its letters.
    Plain,
    /// Backwards.
    Reversed,
    /// With all letters moved by the same distance in the alphabet.
    Rotated,
    /// In hexadecimal.
    Hex,
    /// In base64.
    Base64,
    /// With letters as numbers.
    Codes,
    /// With digits in place of letters.
    Leet,
    /// As the first letters of words or lines.
    Initials,
    /// Its number.
    Number,
    /// Only one or some of its words.
    Partial,
}

/// The first form that `canary` is found in, if any. A text is looked at in many ways; whole canaries count in all of
/// them, single words only where they stand as words or cannot be there by accident.
pub fn find(text: &str, canary: &Canary) -> Option<Form> {
    find_in(&Views::of(text), canary)
}

/// As [`find`], for a text that was looked at before.
pub fn find_in(views: &Views, canary: &Canary) -> Option<Form> {
    Needle::of(canary).find(views)
}

pub use views::Views as Looked;
