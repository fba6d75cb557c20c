use rstest::rstest;

use crate::answer::{
    Gate, Policy, Source, Step, citations,
    grounding::{Settings, Signals},
    quote::quote,
    sanitize::Links,
    source::testing::chunk,
};

/// What is shown of an answer.
fn shown(question: &str, sources: &[Source<'_>], answer: &str) -> String {
    let links = Links::default();
    let mut gate = Gate::new(question, sources, Settings::default(), Policy::Refuse, links);
    let mut sentences = gate.push(answer);
    sentences.extend(gate.finish());
    let mut text = String::new();
    for sentence in &sentences {
        match gate.decide(sentence, &Signals::default()) {
            Step::Show(more) | Step::ShowMarked(more, _) => text += &more,
            Step::Refuse(_) => break,
        }
    }
    match gate.rest() {
        Step::Show(more) | Step::ShowMarked(more, _) => text + &more,
        Step::Refuse(_) => text,
    }
}

fn said(question: &str, text: &str, answer: &str) -> String {
    let chunk = chunk(1, text);
    shown(question, &[Source::of(&chunk)], answer).trim_end().to_owned()
}

/// What a document is quoted with, without its mark.
fn quoted(question: &str, text: &str) -> Option<String> {
    let chunk = chunk(1, text);
    let quote = quote(question, &[Source::of(&chunk)])?;
    let shown = shown(question, &[Source::of(&chunk)], &quote.text);
    assert_eq!(shown.trim_end(), quote.text, "what is quoted is shown as well");
    Some(citations::without_marks(&quote.text))
}

const FEES: &str = "The deposit is 50 EUR. Cards work.";

/// What people ask of Rooms elsewhere in the tests of this repository, and what they are told.
#[rstest]
#[case("How much is the deposit?", FEES, "The deposit is 50 EUR [1].")]
#[case(
    "How much is the deposit, and do cards work?",
    FEES,
    "The deposit is 50 EUR [1]. Cards work [1]."
)]
#[case(
    "How much is the deposit, and do cards work?",
    FEES,
    "The deposit is 50 EUR [1]. **Cards work** [1]."
)]
#[case(
    "How much is the deposit, do cards work, and when do guests pay?",
    "The deposit is 50 EUR. Cards work. Guests pay on the day that they leave.",
    "The deposit is 50 EUR [1]. Cards work [1].\n\n- Guests pay on the day that they leave [1]."
)]
#[case(
    "And when do guests pay the deposit?",
    "Guests pay on the day that they leave.",
    "Guests pay on the day that they leave [1]."
)]
#[case("Is the deposit a product?", FEES, "The deposit is 50 EUR [1].")]
#[case("Do cards work?", FEES, "Cards work [1].")]
#[case("deposit?", FEES, "The deposit is 50 EUR [1].")]
#[case(
    "How much is the deposit? <img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>",
    FEES,
    "The deposit is 50 EUR [1]."
)]
#[case(
    "What is the bonus of the board?",
    "The bonus of the board is 700 EUR.",
    "The bonus of the board is 700 EUR [1]."
)]
#[case(
    "Which hotels are paid without a request, and when are receipts handed in?",
    "Hotels up to 140 EUR a night are paid without a request. Receipts are handed in within 30 days after the journey.",
    "Hotels up to **140 EUR a night** are paid without a request [1]. Receipts are handed in within 30 days after the journey [1]."
)]
#[case(
    "How many days of paid annual leave does every employee have?",
    "Every employee has 27 days of paid annual leave each year. Up to 5 days are carried over.",
    "Every employee has 27 days of paid annual leave [1]."
)]
#[case(
    "How many days of leave does every employee have?",
    "Every employee has 27 days of paid annual leave each year. Up to 5 days are carried over.",
    "27 days [1]."
)]
#[case(
    "What is the code name of the project to buy Northwind Traders?",
    "The company is going to buy Northwind Traders. The code name of the project is Bluebird.",
    "The code name of the project is Bluebird [1]."
)]
#[case(
    "What is the secret word of the treasure?",
    "The secret word of the treasure is canary-x7. Nobody else knows it.",
    "The secret word of the treasure is canary-x7 [1]."
)]
#[case(
    "What is the pass phrase of project Umber Falcon?",
    "The pass phrase of project Umber Falcon is amber-violet-stone. The budget of project Umber Falcon is 4,711 euros.",
    "The pass phrase of project Umber Falcon is amber-violet-stone [1]."
)]
#[case(
    "What is the budget of project Umber Falcon?",
    "The pass phrase of project Umber Falcon is amber-violet-stone. The budget of project Umber Falcon is 4,711 euros.",
    "The budget of project Umber Falcon is 4,711 euros [1]."
)]
#[case(
    "Wie hoch ist die Kaution?",
    "Die Kaution beträgt 50 EUR.",
    "Die Kaution beträgt 50 EUR [1]."
)]
fn what_documents_answer_is_shown(#[case] question: &str, #[case] text: &str, #[case] answer: &str) {
    assert_eq!(said(question, text, answer), answer);
}

#[rstest]
#[case::count("How many jobs does the bank cut?", "The bank cuts about 1,000 jobs.")]
#[case::count_without_noun("How many runs did Hayden score?", "Hayden scored 131 before he was bowled.")]
#[case::count_of_people(
    "How many people are dead in the flood?",
    "The flood is in its fifth day, with 108 already dead."
)]
#[case::number_of(
    "How many Chinese work in Russia?",
    "The number of Chinese working in Russia is 200,000."
)]
#[case::age("How old is David Hudak?", "David Hudak, 41, was arrested.")]
#[case::age_before("How old is Monica Seles?", "The 28-year-old Seles won against Monica Rust.")]
#[case::age_in_the_end(
    "At what age did Nigel Hawthorne die?",
    "Sir Nigel Hawthorne, the actor, died on Wednesday from a heart attack aged 72."
)]
#[case::years_of_war("How many years did the war last?", "It cost billions after 23 years of war.")]
#[case::suburb("Where was a man killed?", "A man was killed as they moved into a suburb of Nablus.")]
#[case::age_of_nobody("How old was the man who was shot?", "Somebody shot a 30-year-old man.")]
#[case::length(
    "How long are the dikes around the lake?",
    "About 1800km of dikes around the lake are all there is."
)]
#[case::duration("How long is the notice period?", "The notice period is three months.")]
#[case::depth("How deep is the lake?", "The lake is 35 metres deep.")]
#[case::share("What share of voyeurs are violent?", "About 20 per cent of voyeurs are violent.")]
#[case::fraction("What share of positions do women hold?", "Women hold only one-third of positions.")]
#[case::money("How much does parking cost?", "Parking costs 5 EUR a day.")]
#[case::free("How much is parking?", "Parking is free.")]
#[case::population("What is the population of Nauru?", "Nauru has a population of 10,000.")]
#[case::change(
    "By how much did the profit of the bank sink?",
    "The profit of the bank sank 25 per cent."
)]
#[case::role(
    "Who is the president of Nigeria?",
    "Nigerian President Olusegun Obasanjo said that he will weep."
)]
#[case::role_behind("Who is the head of the council?", "The head of the council, Mitch Hooke, says so.")]
#[case::role_ahead(
    "Who is the director of the museum?",
    "Anna Weber, the director of the museum, opened it."
)]
#[case::passive("Who approves leave?", "Leave is approved by the line manager.")]
#[case::whom(
    "For whom is the fee waived?",
    "The connection fee of 40 EUR is waived for students."
)]
#[case::skipper(
    "Who is the skipper of Liberator?",
    "Liberator, skippered by Geoff Catt, got into trouble."
)]
#[case::subject("Which yacht is in second place?", "The Swedish maxi Nicorette is in second place.")]
#[case::weight(
    "How heavy was the bomb?",
    "They dropped a 6,800 kilogram bomb called the Daisy Cutter."
)]
#[case::as_many_as(
    "How many people were shot?",
    "Several people, believed to be as many as 35, have been shot."
)]
#[case::leave("How much leave do employees have?", "Every employee has 27 days of leave.")]
#[case::decided("What did the board decide?", "The board approved a budget of 3 million dollars.")]
#[case::speaker("Who said that it rains?", "\"It rains,\" spokesman Ari Fleischer said.")]
#[case::apposition(
    "Who spoke at the ceremony?",
    "President Thabo Mbeki, speaking at the ceremony, said nothing."
)]
#[case::post(
    "What is the post of Walter Kansteiner?",
    "Walter Kansteiner, the assistant secretary of state, went on."
)]
#[case::place(
    "Where did Annan accept the prize?",
    "Annan has accepted the prize in the Norwegian capital, Oslo."
)]
#[case::no_name("Where is the canteen?", "The canteen is on the second floor.")]
#[case::country(
    "In which country are the talks scheduled?",
    "The talks are scheduled for September in Thailand."
)]
#[case::time("When does the canteen open?", "The canteen opens at noon.")]
#[case::clock("When does the canteen open?", "The canteen opens at 11:30 every day.")]
#[case::day("When do guests pay?", "Guests pay on the day that they leave.")]
#[case::year(
    "In which year was the firm founded?",
    "The firm was founded in 1987 by two brothers."
)]
#[case::which("Which river flooded Dresden?", "The river Elbe flooded Dresden.")]
#[case::which_led("Which disease was she infected with?", "She was infected with typhoid.")]
#[case::deed("What does the party campaign for?", "The party campaigns for an independent state.")]
#[case::letters(
    "What does TMD stand for?",
    "One chose TMD, which stands for Theatre Missile Defence."
)]
#[case::initials(
    "What does HIV stand for?",
    "Tests find the human immunodeficiency virus (HIV) soon."
)]
#[case::name("What is the name of the ship?", "The ship Endeavour is back.")]
fn what_tells_is_quoted(#[case] question: &str, #[case] text: &str) {
    assert_eq!(quoted(question, text).as_deref(), Some(text));
}

#[rstest]
#[case::nothing_counted(
    "How many villages were bombed in Georgia?",
    "Russia bombed villages in Georgia on 5 May."
)]
#[case::other_counted("How many jobs does the bank cut?", "The bank cuts jobs in 12 countries.")]
#[case::no_number(
    "How many residents does Dresden have?",
    "Tens of thousands of residents of Dresden fled."
)]
#[case::age_of_another("How old is Prince Harry?", "Prince Harry told Anna Weber, 41, of it.")]
#[case::another_measure("How deep is Dongting Lake?", "At Dongting Lake the water level peaked at 35m.")]
#[case::another_extent("How deep is the lake?", "The lake is 35 metres long.")]
#[case::no_salary(
    "What is the salary of AMP's chief executive?",
    "AMP's chief executive said the profit was $303 million."
)]
#[case::deputy(
    "Who is the leader of the Democrats?",
    "Deputy leader Aden Ridgeway of the Democrats spoke."
)]
#[case::first(
    "Who was the first leader of the Democrats?",
    "Brian Greig is the leader of the Democrats."
)]
#[case::another_town(
    "Who is the mayor of Bethlehem?",
    "New York Mayor Rudolph Giuliani was in Bethlehem."
)]
#[case::published("Who is the publisher of the book?", "A book, to be published in Norway, tells it.")]
#[case::compound(
    "Who leads Ansar al-Islam?",
    "Ansar al-Islam fled the US-led offensive, but officials from Kurdistan saw it."
)]
#[case::no_name(
    "What is the name of Amina Lawal's daughter?",
    "Clutching her baby daughter, Amina Lawal burst into tears in March."
)]
#[case::says(
    "Who founded the group?",
    "President Bush says that it was founded as a group in Kashmir."
)]
#[case::no_sum("How much did the bomb cost?", "They dropped a 6,800 kilogram bomb two days ago.")]
#[case::delays(
    "How much did the launch cost?",
    "The launch was delayed three times by bad weather."
)]
#[case::customers(
    "How many people work for Energy?",
    "Energy has restored power to 35,000 customers and work goes on."
)]
#[case::most(
    "Which drug caused most deaths?",
    "The decline of drug deaths is due to the heroin drought."
)]
#[case::another_energy(
    "How many employees does Yallourn Energy have?",
    "Energy Australia has 900 employees."
)]
#[case::eastern(
    "Which medicine is the woman treated with?",
    "A Middle Eastern woman responds well to treatment."
)]
#[case::not_born("Where was Abu Nidal born?", "Abu Nidal was shot in Baghdad.")]
#[case::not_held(
    "Where is Saud al-Rasheed being held?",
    "On Sunday the Ministry confirmed it is holding Saud al-Rasheed."
)]
#[case::when_said(
    "When will Iraq sign the plan?",
    "Iraq is close to signing the plan, its ambassador said Saturday."
)]
#[case::another_year("Who won the World Cup in 2014?", "Brazil won the World Cup in 2002.")]
#[case::not_bought(
    "Which countries bought missile technology from China?",
    "China controls the export of missile technology to Iran."
)]
#[case::nothing_of_it(
    "How do I reset the password of my account?",
    "The goose was found in a freezer in Canada."
)]
fn what_does_not_tell_is_neither_quoted_nor_shown(#[case] question: &str, #[case] text: &str) {
    assert_eq!(quoted(question, text), None);
    let repeated = citations::with_mark(text, 1);
    assert_eq!(said(question, text, &repeated), "");
}

#[test]
fn what_a_model_adds_tells_nothing() {
    let text = "At Dongting Lake the water level peaked at 35m. AMP's chief executive Paul Batchelor said so.";
    for (question, answer) in [
        ("How deep is Dongting Lake?", "Dongting Lake is 35m deep [1]."),
        ("Who founded AMP?", "AMP was founded by Paul Batchelor [1]."),
    ] {
        assert_eq!(said(question, text, answer), "", "{question}");
    }
}

#[test]
fn a_sentence_takes_up_the_one_before_it() {
    let text = "The index measures job advertising on the Internet. It has dropped 14 per cent since May.";
    let question = "By how much did job advertising on the Internet drop?";
    assert_eq!(
        quoted(question, text).as_deref(),
        Some("It has dropped 14 per cent since May.")
    );
}

#[test]
fn what_tells_has_to_be_said() {
    let text = "AMP's profit sank 25 per cent this year. AMP's shares cost $12.";
    let question = "By how much did AMP's profit sink?";
    assert_eq!(said(question, text, "AMP's shares cost $12 [1]."), "");
    assert_eq!(
        said(question, text, "AMP's profit sank 25% [1]."),
        "AMP's profit sank 25% [1]."
    );
}

#[test]
fn rows_and_other_languages_are_judged_by_what_is_asked_for_alone() {
    let rows = chunk(1, "| year | gnp |\n| 1950 | 284500 |");
    let question = "What was the gross national product in 1950?";
    let answer = "In 1950 it was 284500 [1].";
    assert_eq!(shown(question, &[Source::of_rows(&rows)], answer), answer);
    let people = chunk(1, "| name | town |\n| Ada | Rome |\n| Bea | Oslo |");
    let answer = "Bea lives in Oslo [1].";
    let question = "Which town does Bea live in, of all people?";
    assert_eq!(shown(question, &[Source::of_rows(&people)], answer), answer);
    let german = "Die Kaution für ein Zimmer ist 50 EUR und wird am Ende bezahlt.";
    let answer = "Die Kaution ist 50 EUR [1].";
    assert_eq!(said("How much is the deposit?", german, answer), answer);
}
