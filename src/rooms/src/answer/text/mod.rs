//! What a text says, as far as words tell: the words themselves, numbers, dates, names and denials.

pub mod dates;
pub mod language;
pub mod months;
pub mod names;
pub mod negation;
pub mod number_words;
pub mod numbers;
pub mod units;
pub mod words;
