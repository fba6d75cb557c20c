use rstest::rstest;

use super::*;
use crate::answer::source::testing::chunk;

const HANDBOOK: &str = "Employees have 26 days of paid leave a year. In the first year they have 20 days. Leave must \
    be approved by the team lead, Anna Kowalska, at least two weeks before it begins. Unused leave is not paid out. \
    The policy is valid from 3 May 2024.\n\nThe deposit is 50 EUR; the yearly fee is 1,200 EUR.";
const OTHER: &str = "The Berlin office opens at 9:00 and closes at 18:00. Dogs are not allowed.";

fn verdict(sentence: &str, settings: &Settings, signals: &Signals) -> Verdict {
    let chunks = [chunk(1, HANDBOOK), chunk(2, OTHER)];
    let sources: Vec<_> = chunks.iter().map(Source::of).collect();
    let about = About::of("How much leave do I have?", &sources);
    check(sentence, &sources, &about, settings, signals)
}

#[rstest]
#[case::copied("Employees have 26 days of paid leave a year [1].")]
#[case::in_other_words("Each year an employee gets twenty-six days of paid leave [1].")]
#[case::number_as_word("Leave has to be approved 2 weeks before it begins [1].")]
#[case::date("The policy is valid from 2024-05-03 [1].")]
#[case::month("It is valid since May 2024 [1].")]
#[case::name("Anna Kowalska approves leave [1].")]
#[case::separators("The yearly fee is 1.200 € [1].")]
#[case::denied_alike("Leave that is unused is not paid out [1].")]
#[case::two("Leave must be approved by the team lead [1], and dogs are not allowed [2].")]
#[case::place("The office in Berlin opens at 9:00 [2].")]
fn is_supported(#[case] sentence: &str) {
    assert_eq!(
        verdict(sentence, &Settings::default(), &Signals::default()),
        Verdict::Supported
    );
}

#[rstest]
#[case::uncited("Employees have 26 days of paid leave a year.", "Uncited")]
#[case::dangling("Employees have 26 days of paid leave a year [3].", "Dangling")]
#[case::other_document("Employees have 26 days of paid leave a year [2].", "Number")]
#[case::number("Employees have 28 days of paid leave a year [1].", "Number")]
#[case::unit("Employees have 26 weeks of paid leave a year [1].", "Number")]
#[case::misplaced("The deposit is 1,200 EUR [1].", "Misplaced")]
#[case::date("The policy is valid from 4 May 2024 [1].", "Date")]
#[case::year("The policy is valid from 3 May 2023 [1].", "Date")]
#[case::name("Leave must be approved by the team lead, Anna Nowak [1].", "Name")]
#[case::place("The Munich office opens at 9:00 [2].", "Name")]
#[case::denial("Unused leave is paid out [1].", "Contradiction")]
#[case::denial_of_dogs("Dogs are allowed [2].", "Contradiction")]
#[case::opposite("Leave must be approved two weeks after it begins [1].", "Contradiction")]
#[case::foreign_matter("Employees may bring their families to the summer party [1].", "Overlap")]
fn is_not_supported(#[case] sentence: &str, #[case] code: &str) {
    match verdict(sentence, &Settings::default(), &Signals::default()) {
        Verdict::Unsupported(reason) => assert_eq!(reason.code(), code, "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case("Here is what the documents say:")]
#[case("# Leave")]
#[case("I do not know.")]
#[case("I hope this helps!")]
#[case("---")]
fn states_nothing(#[case] sentence: &str) {
    assert_eq!(
        verdict(sentence, &Settings::default(), &Signals::default()),
        Verdict::NoClaim
    );
}

#[test]
fn others_have_a_say() {
    let settings = Settings {
        entailment: Some(0.5),
        similarity: Some(0.8),
        most_uncertain: Some(2.0),
        ..Settings::default()
    };
    let say = |sentence: &str, entailment, similarity, uncertainty| {
        let signals = Signals {
            entailment,
            similarity,
            uncertainty,
        };
        verdict(sentence, &settings, &signals).may_pass()
    };
    let copied = "Employees have 26 days of paid leave a year [1].";
    let free = "Holidays that staff did not take are not remunerated [1].";
    let sure = Some(0.1);
    assert!(say(copied, None, None, sure) && !say(free, None, None, sure));
    assert!(!say(copied, Some(0.1), None, sure) && !say(copied, Some(f64::NAN), None, sure));
    assert!(!say(copied, None, None, Some(3.0)) && say(copied, None, None, Some(2.0)));
    // Of whose certainty nothing is known is not believed.
    assert!(!say(copied, None, None, None) && !say(copied, None, None, Some(f64::NAN)));
    let near = "Paid holiday entitlement for employees is 26 days each year [1].";
    assert!(say(near, None, Some(0.9), sure));
    // Whoever agrees, a wrong number is a wrong number.
    assert!(!say(
        "Employees have 27 days of paid leave a year [1].",
        Some(0.99),
        Some(0.99),
        Some(0.0)
    ));
}

#[test]
fn without_required_citations_all_chunks_count() {
    let settings = Settings {
        citations: false,
        ..Settings::default()
    };
    assert!(verdict("Dogs are not allowed.", &settings, &Signals::default()).may_pass());
    assert!(!verdict("Cats are not allowed in 12 rooms.", &settings, &Signals::default()).may_pass());
}
