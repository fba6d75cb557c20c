//! Phrases and their weights.

use super::KIND;
use crate::rule::{Candidate, Judge, Rule};

/// Between two words: blanks, marks, and characters that nobody sees.
const GAP: &str = r#"[\s_*"'.,:;!~\u{ad}\u{200b}-\u{200d}\u{2060}\u{feff}-]{1,8}"#;

/// Says what nobody says to a model otherwise.
const STRONG: [&str; 21] = [
    // English.
    r"\b(?:ignore|disregard|forget|override|bypass|overlook|neglect) (?:(?:all|any|everything|the|of|your|my|these|those|to) ){0,4}(?:previous|previously|prior|above|earlier|preceding|foregoing|former|initial|original|system) (?:(?:system|given|set|safety|and|or|all) ){0,2}(?:instruction|prompt|rule|direction|guideline|command|context|message|order|directive)s?\b",
    r"\b(?:ignore|disregard|forget) (?:everything|all) (?:(?:that|you|i|we|was|were|have|been|are) ){0,4}(?:told|said|instructed|above|before|learned)\b",
    r"\b(?:do not|don.?t|stop) (?:follow|following|obey|obeying) (?:(?:any|the|your|all|of) ){0,3}(?:previous|prior|above|earlier|system) (?:instruction|prompt|rule|guideline)s?\b",
    // German.
    r"\b(?:ignorier(?:e|en|t)?|vergiss|vergessen|missachte|beachte nicht) (?:(?:sie|bitte|alle|die|deine|ihre|alles) ){0,4}(?:vorherigen|bisherigen|vorigen|vorangegangenen|obigen|früheren|ursprünglichen) (?:anweisung|instruktion|regel|befehl|vorgabe)(?:en|n|e)?\b",
    // Polish.
    r"\b(?:zignoruj|ignoruj|zapomnij|pomiń|odrzuć) (?:(?:o|wszystkie|wszystkich|swoje|swoich|twoje|moje) ){0,3}(?:poprzednie|poprzednich|wcześniejsze|wcześniejszych|powyższe|powyższych|dotychczasowe) (?:instrukcj|poleceni|zasad|wytyczn|polece)\pL{0,3}",
    // French.
    r"\b(?:ignor|oubli|néglige)(?:e|ez|er|es)? (?:(?:toutes|les|tes|vos|ces|moi) ){0,3}(?:instructions?|consignes?|règles?|directives?) (?:précédentes?|antérieures?|ci.dessus|initiales?|système)",
    // Spanish.
    r"\b(?:ignor[ae]|olvid[ae]|descart[ae]|omite|omita) (?:(?:todas|las|tus|sus|estas) ){0,3}(?:instrucciones|reglas|órdenes|indicaciones|directrices) (?:anteriores|previas|de arriba|iniciales|del sistema)",
    // Italian.
    r"\b(?:ignora|dimentica|trascura|ignorate) (?:(?:tutte|le|tue|queste) ){0,3}(?:istruzioni|regole|indicazioni|direttive) (?:precedenti|sopra|iniziali|di sistema)",
    // Portuguese.
    r"\b(?:ignore|ignora|esqueça|esquece|desconsidere) (?:(?:todas|as|suas|tuas) ){0,3}(?:instruções|regras|ordens|orientações) (?:anteriores|prévias|acima|iniciais)",
    // Dutch.
    r"\b(?:negeer|vergeet) (?:(?:alle|de|je|jouw|uw) ){0,3}(?:vorige|eerdere|voorgaande|bovenstaande) (?:instructies|opdrachten|regels|aanwijzingen)",
    // Russian and Ukrainian.
    r"(?:игнорируй|забудь|проигнорируй|отмени|ігноруй)(?:те)? (?:(?:все|всі|свои|твои|эти) ){0,3}(?:предыдущие|прошлые|прежние|предшествующие|попередні) (?:инструкции|указания|правила|команды|інструкції)",
    // Chinese and Japanese.
    r"(?:忽略|无视|忘记|忽視|無視)(?:掉|你)?(?:之前|以上|先前|上面|此前|前面)(?:的)?(?:所有|全部|一切)?(?:的)?(?:指令|指示|说明|提示|規則|规则|命令)",
    r"(?:以前|これまで|上記|前|先ほど)の(?:すべての|全ての)?(?:指示|命令|指令|ルール)を(?:すべて)?(?:無視|忘れ)",
    // Who speaks, in the marks of chat templates.
    r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|eom_id|start_header_id|end_header_id|begin_of_text|end_of_text)\|>",
    r"\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<｜(?:User|Assistant|begin▁of▁sentence)｜>",
    r"\b(?:do anything now|you are now dan|act as dan|stay in dan|dan mode|jailbreak mode)\b",
    r"\b(?:reveal|print|show|repeat|output|display|tell|give|leak|expose) (?:(?:me|us|back|out|verbatim) ){0,2}(?:your|the) (?:(?:entire|full|exact|hidden|secret|initial|original|whole) ){0,2}(?:system prompt|system message|hidden prompt|hidden instructions|initial instructions|system instructions)\b",
    r"\brepeat (?:all|everything|the words|the text) (?:(?:of|the|text|words) ){0,3}above\b",
    r"\byou (?:are|have) (?:(?:now|been) ){0,2}(?:jailbroken|unrestricted|freed from|in developer mode|in god mode)\b",
    r"\b(?:pretend|act as if|imagine) (?:(?:that|you) ){0,2}(?:have no|without any|without|are free of) (?:(?:ethical|moral|content|safety|any) ){0,2}(?:restrictions|rules|guidelines|filters|limits|limitations)\b",
    r"\b(?:act as|you are|become) (?:now )?an? (?:(?:completely|fully|totally) )?(?:unfiltered|unrestricted|uncensored|amoral) (?:ai|assistant|model|bot|chatbot|language model)\b",
];

/// Says what is suspicious in company.
const WEAK: [&str; 8] = [
    r"\b(?:new|updated|revised|real|actual) (?:system )?instructions?\b",
    r"\bdeveloper mode (?:enabled|on|activated)\b",
    r"\bjailbreak",
    r"\bwithout (?:any )?(?:restrictions|filters|censorship|moral|ethical)\b",
    r"\byou (?:must|will|shall) (?:now )?(?:comply|obey)\b",
    r"\byour (?:system prompt|initial instructions|hidden instructions)\b",
    r"(?m)^[#*\s]{0,6}(?:system|assistant|developer)[*\s]{0,3}:",
    r"\bfrom now on you (?:are|will|must)\b",
];

/// A rule for each phrase.
pub fn rules() -> Vec<Rule> {
    let rule = |judge: Judge| move |phrase: &&str| Rule::preferred(KIND, &pattern(phrase), judge);
    let strong = STRONG.iter().map(rule(strong));
    strong.chain(WEAK.iter().map(rule(weak))).collect()
}

/// The words of a phrase with gaps between them, in whatever case.
fn pattern(phrase: &str) -> String {
    format!("(?i){}", phrase.replace(' ', GAP))
}

fn strong(_: Candidate<'_>) -> Option<f64> {
    Some(0.9)
}

fn weak(_: Candidate<'_>) -> Option<f64> {
    Some(0.3)
}
