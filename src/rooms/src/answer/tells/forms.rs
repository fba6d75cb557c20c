//! Which words say the same, in English.

use std::{collections::HashMap, sync::LazyLock};

use crate::answer::text::words::{are_alike, are_forms};

/// Forms of verbs and nouns that do not begin alike, or end as no others do; a group each.
const IRREGULAR: &[&str] = &[
    "become becomes became becoming",
    "begin begins began begun beginning",
    "bind binds bound",
    "break breaks broke broken breaking",
    "bring brings brought bringing",
    "build builds built building",
    "burn burns burned burnt burning",
    "buy buys bought buying",
    "catch catches caught catching",
    "choose chooses chose chosen choosing",
    "come comes came coming",
    "deal deals dealt dealing",
    "draw draws drew drawn drawing",
    "drive drives drove driven driving driver",
    "eat eats ate eaten eating",
    "fall falls fell fallen falling",
    "feed feeds fed feeding",
    "feel feels felt feeling",
    "fight fights fought fighting",
    "find finds found finding",
    "flee flees fled fleeing",
    "fly flies flew flown flying flight flights",
    "forbid forbids forbade forbidden",
    "forget forgets forgot forgotten",
    "freeze freezes froze frozen",
    "give gives gave given giving",
    "go goes went gone going",
    "grow grows grew grown growing growth",
    "hang hangs hung hanged",
    "hear hears heard hearing",
    "hide hides hid hidden hiding",
    "hold holds held holding",
    "keep keeps kept keeping",
    "know knows known knew",
    "lead leads led leading leader leaders leadership",
    "leave leaves left leaving",
    "lend lends lent lending",
    "lie lies lay lain lying",
    "lose loses lost losing loss losses",
    "mean means meant meaning",
    "meet meets met meeting",
    "pay pays paid paying payment payments",
    "ride rides rode ridden",
    "rise rises rose risen rising",
    "run runs ran running runner",
    "say says said saying",
    "see sees saw seen seeing",
    "seek seeks sought seeking seeker seekers",
    "sell sells sold selling sale sales",
    "send sends sent sending",
    "shake shakes shook shaken",
    "shoot shoots shot shooting",
    "shrink shrinks shrank shrunk",
    "sing sings sang sung singer",
    "sink sinks sank sunk sinking",
    "sit sits sat sitting",
    "speak speaks spoke spoken speaking speaker",
    "spend spends spent spending",
    "stand stands stood standing",
    "steal steals stole stolen stealing",
    "strike strikes struck striking",
    "swear swears swore sworn",
    "swim swims swam swum swimming",
    "teach teaches taught teaching teacher",
    "tell tells told telling",
    "think thinks thought thinking",
    "throw throws threw thrown",
    "wear wears wore worn wearing",
    "win wins won winning winner winners victory",
    "write writes wrote written writing writer author",
    "man men",
    "woman women",
    "child children",
    "foot feet",
    "person persons people",
    "thief thieves theft",
    "half halves",
    "long length",
    "deep depth",
    "high height",
    "wide width",
    "strong strength",
];

/// Words for the same, where it is what many questions ask for.
const SYNONYMS: &[&str] = &[
    "die dies died dead death deaths dying killed kill kills killing fatalities",
    "founder founders founded founding established",
    "director head chief boss",
    "price cost costs priced fare fares fee fees",
    "salary wage wages",
    "employee employees staff workers worker workforce jobs",
    "inhabitants residents population",
    "acquire acquired buy bought purchase purchased",
    "start starts started begin begins began",
    "located situated based",
    "happen happened occur occurred",
    "injured injures injury injuries wounded hurt",
    "destroyed ruined",
    "beat beats beaten defeat defeated defeats",
    "film movie films movies",
    "car vehicle cars vehicles",
    "firm company firms companies",
    "married wife husband",
    "marriage married",
    "spokesman spokeswoman spokesperson",
    "chairman chairwoman chair chairperson",
    "big large",
    "show shows showed shown",
    "percent per cent percentage",
    "headquarters office offices",
];

/// Countries and what is of them, where one is not a form of the other.
const PEOPLES: &[&str] = &[
    "afghanistan afghan afghans",
    "britain british uk",
    "china chinese",
    "denmark danish dane danes",
    "england english",
    "europe european",
    "finland finnish",
    "france french",
    "germany german germans",
    "greece greek greeks",
    "hungary hungarian",
    "iceland icelandic",
    "ireland irish",
    "italy italian italians",
    "japan japanese",
    "netherlands dutch",
    "norway norwegian norwegians",
    "palestine palestinian palestinians",
    "philippines philippine filipino",
    "poland polish poles",
    "portugal portuguese",
    "scotland scottish",
    "spain spanish",
    "sweden swedish",
    "switzerland swiss",
    "thailand thai",
    "turkey turkish turks",
    "ukraine ukrainian",
    "wales welsh",
    "america american americans us",
    "argentina argentine argentinian",
    "brazil brazilian",
    "canada canadian canadians",
    "lebanon lebanese",
    "sudan sudanese",
    "taiwan taiwanese",
    "vietnam vietnamese",
    "zimbabwe zimbabwean",
];

static GROUPS: LazyLock<HashMap<&str, Vec<usize>>> = LazyLock::new(|| {
    let mut groups: HashMap<&str, Vec<usize>> = HashMap::new();
    let all = [IRREGULAR, SYNONYMS, PEOPLES].concat();
    for (number, words) in all.into_iter().enumerate() {
        for word in words.split_ascii_whitespace() {
            groups.entry(word).or_default().push(number);
        }
    }
    groups
});

/// Whether two words in lower case say the same: forms of one, or of a group.
pub fn are_same(one: &str, other: &str) -> bool {
    are_alike(one, other) || are_grouped(one, other) || are_of_one_verb(one, other)
}

/// `approves` and `approved`: a consonant each is an ending of two forms behind an `e`.
fn are_of_one_verb(one: &str, other: &str) -> bool {
    let stem = |word: &str| -> Option<usize> {
        let stem = word.strip_suffix(['s', 'd', 'r'])?;
        (stem.len() > 3 && stem.ends_with('e')).then_some(stem.len())
    };
    stem(one).is_some_and(|length| stem(other) == Some(length) && one[..length] == other[..length])
}

fn are_grouped(one: &str, other: &str) -> bool {
    match (GROUPS.get(one), GROUPS.get(other)) {
        (Some(one), Some(other)) => one.iter().any(|group| other.contains(group)),
        _ => false,
    }
}

/// Whether two nouns in lower case are one, in the singular and the plural: a publisher is none that was published.
pub fn are_one_noun(one: &str, other: &str) -> bool {
    const PLURAL: &[&str] = &["", "s", "es", "y", "ies"];
    are_forms(one, other, PLURAL) || one.len() >= 3 && are_grouped(one, other)
}

/// Whether a word in lower case is of a country: Norwegian, not Norway.
pub fn is_of_country(word: &str) -> bool {
    PEOPLES
        .iter()
        .any(|words| words.split_ascii_whitespace().skip(1).any(|known| known == word))
}
