//! UTF-8 that somebody read as Windows-1252 or Latin-1, and wrote as UTF-8 again: `Ã©` for `é`.
//!
//! Some letters and signs that follow each other are valid UTF-8 as bytes but no accident: `vidíš…` is Czech. So a sequence
//! is repaired where it hardly occurs otherwise, or follows another one; and once there is such a one, so are all others in
//! the same text.
//! What comes out has to be an assigned character. Each repair makes a text shorter.

use unicode_normalization::char::is_public_assigned;

/// Repairs `text`; nothing if there is nothing to repair.
pub fn repair(text: &str) -> Option<String> {
    let start = first(text)?;
    let (mut out, found) = reduce(text, start, false);
    if found == 0 {
        return None;
    }
    // One that was certain speaks for the others.
    if let Some(start) = first(&out) {
        out = reduce(&out, start, true).0;
    }
    Some(out)
}

/// Where the first sequence may begin.
fn first(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    bytes.find_map(|(at, byte)| {
        // All leads are written with this byte.
        if byte != 0xC3 {
            return None;
        }
        let mut chars = text[at..].chars();
        let is_lead = matches!(chars.next(), Some('\u{C2}'..='\u{F4}'));
        (is_lead && trail(chars.next()?).is_some()).then_some(at)
    })
}

/// Takes characters one by one and reduces what is at the end as long as it can be, so that what was broken several times
/// is repaired in one pass. Also says how many sequences there were.
fn reduce(text: &str, start: usize, is_certain: bool) -> (String, usize) {
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..start]);
    let mut found = 0;
    for c in text[start..].chars() {
        out.push(c);
        while let Some((length, repaired)) = last(&out, is_certain) {
            out.truncate(out.len() - length);
            out.push(repaired);
            found += 1;
        }
    }
    (out, found)
}

/// The sequence at the end of `text` that has to be repaired: its length, and what it should have been.
fn last(text: &str, is_certain: bool) -> Option<(usize, char)> {
    let found = at_end(text)?;
    // Two in a row are no accident.
    let is_taken = is_certain || found.is_telling || at_end(&text[..text.len() - found.length]).is_some();
    is_taken.then_some((found.length, found.repaired))
}

/// Characters that may have been the bytes of one.
struct Sequence {
    length: usize,
    repaired: char,
    is_telling: bool,
}

fn at_end(text: &str) -> Option<Sequence> {
    let mut bytes = [0; 4];
    let mut trails = ['\0'; 3];
    let mut length = 0;
    for (count, c) in text.chars().rev().take(4).enumerate() {
        length += c.len_utf8();
        // Characters come last first.
        if count > 0 && sequence(c) == Some(count + 1) {
            bytes[0] = c as u8;
            bytes[1..=count].reverse();
            trails[..count].reverse();
            let repaired = std::str::from_utf8(&bytes[..=count]).ok()?.chars().next()?;
            let is_plausible = is_public_assigned(repaired) && !repaired.is_control();
            return is_plausible.then(|| Sequence {
                length,
                repaired,
                is_telling: is_telling(c, &trails[..count]),
            });
        }
        if count == 3 {
            return None;
        }
        bytes[count + 1] = trail(c)?;
        trails[count] = c;
    }
    None
}

/// How many bytes a sequence has that begins with `c` read as a byte.
fn sequence(c: char) -> Option<usize> {
    match c {
        '\u{C2}'..='\u{DF}' => Some(2),
        '\u{E0}'..='\u{EF}' => Some(3),
        '\u{F0}'..='\u{F4}' => Some(4),
        _ => None,
    }
}

/// The byte that `c` was, if that was 80 to BF: by Latin-1, or by Windows-1252, which has others for 80 to 9F.
fn trail(c: char) -> Option<u8> {
    const WINDOWS: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
    ];
    match c {
        '\u{80}'..='\u{BF}' => Some(c as u8),
        '\u{152}'..='\u{2122}' => {
            let place = WINDOWS.iter().position(|it| *it == c)?;
            Some(0x80 + place as u8)
        }
        _ => None,
    }
}

/// Whether `lead` and `trails` hardly ever follow each other in what people write.
fn is_telling(lead: char, trails: &[char]) -> bool {
    let is_control = |c: char| ('\u{80}'..='\u{9F}').contains(&c);
    match lead {
        // Words in capitals end in them: what may follow a word says nothing.
        'Ã' => !matches!(
            trails[0],
            '…' | '‘'..='”' | '–' | '—' | '›' | '‹' | '«' | '»' | '\u{A0}' | '·' | '•' | '™'
        ),
        'Â' => !matches!(trails[0], '«' | '»' | '·'),
        // General punctuation, currencies, arrows, mathematics, symbols.
        'â' => matches!(trails[0], '€' | '‚' | '„' | '†' | 'ˆ' | '‰' | '˜' | 'œ') || is_control(trails[0]),
        'ð' => trails[0] == 'Ÿ' || is_control(trails[0]),
        // A byte order mark.
        'ï' if trails == ['»', '¿'] => true,
        _ => trails.iter().all(|c| {
            is_control(*c)
                || matches!(
                    c,
                    '¡' | '¢' | '£' | '¤' | '¥' | '¦' | '¬' | '¯' | '±' | 'µ' | '¶' | '¸' | '¿' | 'ƒ' | 'ˆ' | '‰'
                )
                || matches!(c, '˜' | '‚' | '„' | '€')
        }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::letters("cafÃ© Ã\u{A0} la crÃ¨me", "café à la crème")]
    #[case::quotes("itâ€™s â€œfineâ€\u{9D} â€“ really", "it’s “fine” – really")]
    #[case::latin_1("it\u{E2}\u{80}\u{99}s", "it’s")]
    #[case::signs("20Â°C, Â£5, â‚¬6, Â©, â„¢", "20°C, £5, €6, ©, ™")]
    #[case::no_break_space("5Â\u{A0}kg", "5\u{A0}kg")]
    #[case::german("GrÃ¼ÃŸe aus KÃ¶ln, Ãœbung", "Grüße aus Köln, Übung")]
    #[case::polish("zaÅ¼Ã³Å‚Ä‡", "zażółć")]
    #[case::cyrillic("ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Привет")]
    #[case::chinese("ä¸\u{AD}æ–‡ï¼Œä½\u{A0}å¥½", "中文，你好")]
    #[case::emoji("ðŸ˜€", "😀")]
    #[case::byte_order_mark("ï»¿Hello", "\u{FEFF}Hello")]
    #[case::broken_twice("cafÃƒÂ©", "café")]
    #[case::broken_thrice("ÃƒÆ’Ã‚Â©", "é")]
    #[case::one_speaks_for_others("Ã©tÃ© Ã“rgano", "été Órgano")]
    fn is_repaired(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(repair(text).as_deref(), Some(expected));
        assert!(expected.chars().count() < text.chars().count());
        assert_eq!(repair(expected), None);
    }

    #[rstest]
    #[case::ascii("cafe")]
    #[case::french("« Voilà\u{A0}», dit-elle… à côté : « été\u{A0}»")]
    #[case::capitals("CAFÉ» “FRANÇAIS” MÜßIG® É…")]
    #[case::portuguese("“AMANHÔ, IRMÃ… NÃO")]
    #[case::czech("vidíš… máš” říž")]
    #[case::footnotes("Maß² groß¹ café¹²")]
    #[case::turkish("hâlâ…”")]
    #[case::icelandic("Það er maður")]
    #[case::spanish("¿Español? ¡SEÑOR!")]
    #[case::vietnamese("Tiếng Việt là ngôn ngữ")]
    fn what_people_write_stays(#[case] text: &str) {
        assert_eq!(repair(text), None);
    }

    #[test]
    fn nested_ones_take_one_pass() {
        let text = "Â".repeat(200_000) + "©";
        assert_eq!(repair(&text).as_deref(), Some("©"));
        let text = "Ã".to_owned() + &"ƒ".repeat(200_000);
        assert_eq!(repair(&text).as_deref(), Some("Ã"));
    }
}
