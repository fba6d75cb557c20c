//! Small words of some languages: which do not say what a text is about, and by which its language is told.

use std::{collections::HashSet, sync::LazyLock};

/// A language whose words and endings are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Also what is taken where nothing is known.
    English,
    German,
    Polish,
    French,
    Spanish,
}

use Language::{English, French, German, Polish, Spanish};

const ENGLISH: &str = "a about above after again against all also am an and any are as at be because been before \
    being below between both but by can could did do does doing down during each either else ever every few for from \
    further get gets had has have having he her here hers him his how however i if in into is it its itself just may \
    me might more most must my nor of off on once only or other others our ours out over own per same shall she \
    should so some such than that the their theirs them then there these they this those through to too under until \
    up upon us very was we well were what when where which while who whom whose why will with would you your yours \
    according document documents says states mentions";
const GERMAN: &str = "aber als am an auch auf aus bei bin bis da damit dann das dass dein dem den denn der des \
    dessen die dies diese diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es \
    etwas euch für gegen hat hatte haben hier hin ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ist ja jede \
    jedem jeden jeder jedes kann können laut man mehr mein mit muss müssen nach noch nur ob oder seit sein seine \
    seinem seinen seiner sich sie sind so sobald soll sollen sowie über um und uns unter vom von vor war waren was \
    weil wenn wer werden wie wird wir wo wurde wurden zu zum zur zwischen";
const POLISH: &str = "a aby albo ale ani aż bardzo bez bo by być był była było były co czy dla do gdy gdzie go i ich \
    ile im inne innych ją je jego jej jest jeśli już każda każde każdy która które którego której których którym \
    którzy który ma mają może mogą można musi na nad o od on ona one oni oraz po pod podczas przed przez przy są się \
    swoje swój ta tak także takie tam te tego tej ten to tych tym tylko tym u w we wraz z za zaś ze że według zgodnie";
const FRENCH: &str = "à au aux avec ce cela ces cet cette chaque comme dans de des dont du elle elles en est et été \
    être eu il ils je la le les leur leurs lors lui mais même nos notre nous on ont ou où par pas peut peuvent plus \
    pour qu que qui sa sans selon ses si son sont sous sur tout toute toutes tous un une vos votre vous";
const SPANISH: &str = "al algo como con cual cuando de del desde donde durante el ella ellas ellos en entre era es \
    esa ese eso esta este esto están está fue fueron ha han hasta la las le les lo los más me mi muy nos o para pero \
    por porque puede pueden que quien según se ser si sin sobre son su sus también tiene tienen todo todos un una \
    uno unos y ya";

const ALL: [(Language, &str); 5] = [
    (English, ENGLISH),
    (German, GERMAN),
    (Polish, POLISH),
    (French, FRENCH),
    (Spanish, SPANISH),
];

static SMALL: LazyLock<[(Language, HashSet<&str>); 5]> =
    LazyLock::new(|| ALL.map(|(language, words)| (language, words.split_ascii_whitespace().collect())));

/// Whether a word in lower case says nothing by itself, in any of the languages.
pub fn is_small(word: &str) -> bool {
    SMALL.iter().any(|(_, words)| words.contains(word))
}

/// Whether a word in lower case says nothing by itself in one of the languages: `die`, `war` and `man` do in English.
pub fn is_small_in(language: Language, word: &str) -> bool {
    SMALL
        .iter()
        .any(|(known, words)| *known == language && words.contains(word))
}

/// The language that most small words among `words`, in lower case, are of.
pub fn language<'a>(words: impl IntoIterator<Item = &'a str>) -> Language {
    let mut counts = [0_usize; ALL.len()];
    for word in words {
        for (count, (_, small)) in counts.iter_mut().zip(SMALL.iter()) {
            *count += usize::from(small.contains(word));
        }
    }
    let best = counts.iter().copied().max().unwrap_or(0);
    let place = counts.iter().position(|count| *count == best).unwrap_or(0);
    ALL[place].0
}

/// Endings that a name may take, each beside every other one of its language.
pub fn endings_of_names(language: Language) -> &'static [&'static str] {
    match language {
        English => &["", "s"],
        German => &["", "s", "es", "n", "en", "e", "er", "em"],
        Polish => &[
            "", "a", "u", "owi", "em", "ie", "y", "i", "ę", "ą", "o", "e", "ego", "emu", "ej", "im", "ym", "iem", "ów",
            "om", "ami", "ach", "m", "ie", "cie", "dzie",
        ],
        French => &["", "s", "e", "es"],
        Spanish => &["", "s", "es", "a", "o", "as", "os"],
    }
}

/// Endings that other words may take, of all languages.
pub const ENDINGS: &[&str] = &[
    // English.
    "", "s", "es", "ed", "d", "ing", "er", "ers", "r", "rs", "ly", "y", "ies", "ied", "ier", "ion", "ions", "e", "ment",
    "ments", "al", "or", "able", "ance", "t", "ning", "ned", "ting", "ted", "ping", "ped", "ming", "med", "ging",
    "ged", "ring", "red", "ling", "led", "ation", "ations", "ational", // German.
    "en", "n", "em", "te", "ten", "st", "et", "ung", "ungen", "lich", "ig", "ige", "igen", // Polish.
    "a", "ą", "ę", "i", "u", "o", "ów", "om", "ami", "ach", "ie", "iem", "ego", "emu", "ej", "ych", "ym", "ymi", "owi",
    "ć", "ł", "ła", "li", "ły", "ło", "ny", "na", "ne", "nie", "nia", "niu", "ani", "ania", "ia", "ją", "je", "ji",
    "cja", "cji", "cję", // French and Spanish.
    "ent", "ant", "é", "ée", "és", "ées", "ait", "x", "aux", "os", "as", "an", "ar", "ado", "ada", "ados", "adas",
    "ción", "ciones",
];
