//! Data about people that is found, and numbers that are none.

mod common;

use common::redacted;
use rstest::rstest;
use serde_json::json;

fn people(text: &str) -> String {
    redacted(json!({"detector": "PersonalData"}), text)
}

/// A check of one locale's national ids.
fn ids(locale: &str, text: &str) -> String {
    let check = json!({"detector": "PersonalData", "kinds": ["NationalId"], "locales": [locale]});
    redacted(check, text)
}

#[rstest]
#[case::email("Write to jane.doe+x@mail.example.co.uk.", "Write to [EMAIL].")]
#[case::email_in_brackets("<a@b.de>", "<[EMAIL]>")]
#[case::iban("to DE89 3704 0044 0532 0130 00 and", "to [IBAN] and")]
#[case::iban_in_one("PL61109010140000071219812874", "[IBAN]")]
#[case::iban_of_letters("GB82-WEST-1234-5698-7654-32.", "[IBAN].")]
#[case::iban_in_lower_case("fr1420041010050500013m02606", "[IBAN]")]
#[case::shortest_iban("NO9386011117947", "[IBAN]")]
#[case::longest_iban("MT84MALT011000012345MTLCAST001S", "[IBAN]")]
#[case::iban_with_no_break_spaces("DE89\u{a0}3704\u{a0}0044\u{a0}0532\u{a0}0130\u{a0}00", "[IBAN]")]
#[case::visa("card 4111 1111 1111 1111, thanks", "card [PAYMENT_CARD], thanks")]
#[case::visa_and_code("4111111111111111 123", "[PAYMENT_CARD] 123")]
#[case::mastercard("5555-5555-5555-4444", "[PAYMENT_CARD]")]
#[case::new_mastercard("2223003122003222", "[PAYMENT_CARD]")]
#[case::amex("378282246310005", "[PAYMENT_CARD]")]
#[case::discover("6011111111111117", "[PAYMENT_CARD]")]
#[case::jcb("3530111333300000", "[PAYMENT_CARD]")]
#[case::diners("30569309025904", "[PAYMENT_CARD]")]
#[case::phone("call +49 (0)30 901820 now", "call [PHONE] now")]
#[case::american_phone("(212) 555-0123", "[PHONE]")]
#[case::french_phone("06 12 34 56 78", "[PHONE]")]
#[case::polish_phone("tel. 601234567", "tel. [PHONE]")]
#[case::several("a@b.de, c@d.fr", "[EMAIL], [EMAIL]")]
#[case::after_other_letters("é4111111111111111ü", "é[PAYMENT_CARD]ü")]
fn what_is_about_people_is_found(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(people(text), expected);
}

#[rstest]
#[case::iban_with_a_wrong_digit("DE89370400440532013001")]
#[case::iban_of_no_country("XX89370400440532013000")]
#[case::iban_that_is_too_long("NO93860111179470")]
#[case::card_with_a_wrong_digit("4111111111111112")]
#[case::card_of_no_issuer("9111111111111110")]
#[case::part_of_a_longer_number("94111111111111111234")]
#[case::email_without_top_level("jane@localhost")]
#[case::decorator("@property.setter x@")]
#[case::version("1.2.3 and 10.20.30.40")]
#[case::date("2026-11-26T12:45:00Z, 26.11.2026")]
#[case::prices("It costs 1 234 567 EUR, or 12,345.67 USD.")]
#[case::code("let x = 0x1234567890abcdef; // 1_000_000_000")]
#[case::numbers("Populations: 123456789, 1000000000, 331002651.")]
#[case::uuid("123e4567-e89b-12d3-a456-426614174000")]
#[case::services("call 911-911-0000")]
#[case::prose("Zażółć gęślą jaźń. The quick brown fox jumps over the lazy dog.")]
fn other_text_stays(#[case] text: &str) {
    assert_eq!(people(text), text);
}

#[rstest]
#[case("PL", "44051401359", "[PESEL]")]
#[case("PL", "123-456-32-18", "[NIP]")]
#[case("PL", "NIP: 5260001246", "NIP: [NIP]")]
#[case("PL", "REGON 123456785", "REGON [REGON]")]
#[case("PL", "regon: 12345678512347", "regon: [REGON]")]
#[case("US", "536-22-1234", "[SSN]")]
#[case("US", "SSN 536221234", "SSN [SSN]")]
#[case("DE", "36574261809", "[STEUER_ID]")]
#[case("DE", "86 095 742 719", "[STEUER_ID]")]
#[case("GB", "AB 12 34 56 C", "[NINO]")]
#[case("FR", "2 55 08 14 168 025 38", "[NIR]")]
#[case("ES", "12345678Z", "[DNI]")]
#[case("ES", "x1234567l", "[DNI]")]
#[case("IT", "RSSMRA85T10A562S", "[CODICE_FISCALE]")]
#[case("NL", "BSN 111222333", "BSN [BSN]")]
fn national_ids_are_found_by_their_checksums(#[case] locale: &str, #[case] text: &str, #[case] expected: &str) {
    assert_eq!(ids(locale, text), expected);
}

#[rstest]
#[case::pesel("PL", "44051401358")]
#[case::day_that_is_none("PL", "44053201353")]
#[case::nip("PL", "NIP 123-456-32-19")]
#[case::bare_nip("PL", "1234563218")]
#[case::bare_regon("PL", "123456785")]
#[case::area_666("US", "666-22-1234")]
#[case::no_serial("US", "536-22-0000")]
#[case::bare_ssn("US", "536221234")]
#[case::steuer_id("DE", "36574261808")]
#[case::all_digits_differ("DE", "12345678903")]
#[case::prefix("GB", "BG123456C")]
#[case::nir("FR", "2 55 08 14 168 025 39")]
#[case::dni("ES", "12345678A")]
#[case::codice("IT", "RSSMRA85T10A562T")]
#[case::bsn("NL", "BSN 111222334")]
#[case::of_another_country("DE", "44051401359")]
fn other_numbers_are_no_national_ids(#[case] locale: &str, #[case] text: &str) {
    assert_eq!(ids(locale, text), text);
}

#[test]
fn kinds_and_thresholds_choose() {
    let text = "a@b.de, DE89370400440532013000, 1234563218";
    let check = |more: serde_json::Value| {
        let mut check = json!({"detector": "PersonalData"});
        check.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        redacted(check, text)
    };
    assert_eq!(check(json!({"kinds": ["Iban"]})), "a@b.de, [IBAN], 1234563218");
    assert_eq!(check(json!({"threshold": "0.35"})), "[EMAIL], [IBAN], [NIP]");
    assert_eq!(check(json!({"threshold": "0.98"})), "a@b.de, [IBAN], 1234563218");
}
