//! Extents that questions ask for: which words name them, and what they are measured in.

/// What somebody or something may have so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Words that say in an answer what is measured.
    pub words: &'static str,
    /// Units, by the names of [`super::super::text::units`].
    pub units: &'static str,
    /// Whether a number with such a unit says by itself what is measured: one in metres does not say that it is a depth.
    pub is_plain: bool,
}

const LENGTHS: &str = "mm cm m km mile";
const TIMES: &str = "second minute hour day week month year";

/// By the word behind `how`, or the noun behind `what is the`.
const EXTENTS: &[(&str, Extent)] = &[
    extent(
        "long length",
        "long length lasts lasted last stretches",
        "mm cm m km mile second minute hour day week month year",
        true,
    ),
    extent("deep depth", "deep depth", LENGTHS, false),
    extent("tall", "tall height high stands", LENGTHS, false),
    extent("high height", "tall height high stands", LENGTHS, false),
    extent("wide width", "wide width broad", LENGTHS, false),
    extent(
        "heavy weight",
        "heavy weight weighs weighed weighing",
        "mg g kg t",
        true,
    ),
    extent("far distance", "far distance away from", LENGTHS, true),
    extent("fast speed", "fast speed per hour in", "km mile m second minute", true),
    extent("hot temperature", "hot temperature temperatures degrees", "°c °f", true),
    extent("duration", "long duration lasts lasted", TIMES, true),
];

const fn extent(
    names: &'static str,
    words: &'static str,
    units: &'static str,
    is_plain: bool,
) -> (&'static str, Extent) {
    (names, Extent { words, units, is_plain })
}

/// The extent that a word in lower case names.
pub fn extent_of(word: &str) -> Option<Extent> {
    let of = |(names, _): &&(&str, Extent)| super::is_in(names, word);
    EXTENTS.iter().find(of).map(|(_, extent)| *extent)
}

/// Nouns whose value is a number, with a unit or without.
const QUANTITIES: &str = "population rate price cost costs salary wage wages pay budget bonus fine fee fees fare fares \
    deposit revenue profit loss debt area capacity number percentage share amount size value worth temperature age \
    income turnover toll score speed height length depth width weight distance duration limit rent tax interest";

/// Whether a noun in lower case asks for a number.
pub fn is_quantity(word: &str) -> bool {
    super::is_in(QUANTITIES, word)
}
