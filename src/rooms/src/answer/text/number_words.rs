//! Numbers as words.

/// Words of a few languages. What is said all the time without counting is left out: `one`, `ein`, `un`, `jeden`.
const WORDS: &[(u64, &str)] = &[
    (0, "zero null zéro cero"),
    (2, "two second zwei zweite zweiten dwa dwie dwóch dwoma drugi deux dos"),
    (3, "three third drei dritte dritten trzy trzech trzeci trois tres"),
    (4, "four fourth vier vierte cztery czterech quatre cuatro"),
    (5, "five fifth fünf fünfte pięć pięciu cinq cinco"),
    (6, "six sixth sechs sześć sześciu seis"),
    (7, "seven seventh sieben siedem siedmiu sept siete"),
    (8, "eight eighth acht osiem ośmiu huit ocho"),
    (9, "nine ninth neun dziewięć dziewięciu neuf nueve"),
    (10, "ten tenth zehn dziesięć dziesięciu dix diez"),
    (11, "eleven elf jedenaście onze"),
    (12, "twelve zwölf dwanaście dwunastu douze doce dozen"),
    (13, "thirteen dreizehn trzynaście treize trece"),
    (14, "fourteen vierzehn czternaście czternastu quatorze catorce"),
    (15, "fifteen fünfzehn piętnaście quinze quince"),
    (16, "sixteen sechzehn szesnaście seize"),
    (17, "seventeen siebzehn siedemnaście"),
    (18, "eighteen achtzehn osiemnaście"),
    (19, "nineteen neunzehn dziewiętnaście"),
    (20, "twenty zwanzig dwadzieścia vingt veinte"),
    (30, "thirty dreißig trzydzieści trente treinta"),
    (40, "forty vierzig czterdzieści quarante cuarenta"),
    (50, "fifty fünfzig pięćdziesiąt cinquante cincuenta"),
    (60, "sixty sechzig sześćdziesiąt soixante sesenta"),
    (70, "seventy siebzig siedemdziesiąt setenta"),
    (80, "eighty achtzig osiemdziesiąt ochenta"),
    (90, "ninety neunzig dziewięćdziesiąt noventa"),
];

/// Words that multiply the number before them, by powers of ten.
const SCALES: &[(i32, &str)] = &[
    (2, "hundred hundert cent cien ciento"),
    (3, "thousand thousands k tausend tys tysięcy tysiące mille mil"),
    (6, "million millions mln mio m millionen miliony milionów millones"),
    (
        9,
        "billion billions bn mrd milliarde milliarden miliard miliardy miliardów milliard milliards",
    ),
    (12, "trillion trillions billionen"),
];

/// What a word in lower case counts.
pub fn count(word: &str) -> Option<u64> {
    find(WORDS, word)
}

/// The power of ten that a word in lower case multiplies by.
pub fn scale(word: &str) -> Option<i32> {
    find(SCALES, word)
}

fn find<T: Copy>(table: &[(T, &str)], word: &str) -> Option<T> {
    let of = |(_, words): &&(T, &str)| words.split_ascii_whitespace().any(|known| known == word);
    table.iter().find(of).map(|(value, _)| *value)
}
