//! What is learned, on the tokenizer and the template of the bundled model and on templates of other families.

use std::{path::PathBuf, sync::OnceLock};

use checkpoint::Checkpoint;
use engine::text::Tokenizer;
use protocol::tune::Objective;
use rstest::rstest;

use super::{
    masked::Masked,
    records::Record,
    render::{Rendered, Renderer, Skip},
};
use crate::serve::chat_template::{ChatTemplate, Message};

const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + \
    '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
/// As Llama 3 writes them, with marks of the bundled vocabulary.
const HEADERS: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|endoftext|>\n\n' + \
    message['content'] | trim + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}\
    {{ '<|im_start|>assistant<|endoftext|>\n\n' }}{% endif %}";
/// As Zephyr writes them: roles are words, and the end of a text ends turns.
const ZEPHYR: &str = "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + \
    message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n' + \
    message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n\
    {{ '<|assistant|>\n' }}{% endif %}\n{% endfor %}";
/// No token ends a turn.
const PLAIN: &str = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";
/// Earlier answers lose what the model thought.
const FORGETS: &str = "{% for message in messages %}{% if message['role'] == 'assistant' and not loop.last %}\
    {{ '<|im_start|>assistant\n<|im_end|>\n' }}{% else %}{{'<|im_start|>' + message['role'] + '\n' + \
    message['content'] + '<|im_end|>' + '\n'}}{% endif %}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fn tokenizer() -> &'static Tokenizer {
    static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| {
        let dir = std::env::var_os("ATELIER_MODEL_DIR").expect("ATELIER_MODEL_DIR is set");
        let path = PathBuf::from(dir).join("SmolLM2-135M-Instruct.Q4_1.gguf");
        Tokenizer::from_metadata(&Checkpoint::open(&path).unwrap().header().metadata).unwrap()
    })
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source.into(), ["<|im_start|>", "<|im_end|>"]).unwrap()
}

fn renderer(template: Option<&ChatTemplate>, objective: Objective, length: usize) -> Renderer<'_> {
    Renderer {
        tokenizer: tokenizer(),
        template,
        objective,
        length,
    }
}

/// The text of what is learned and of what is not, in turn; control tokens by their names.
fn spans(masked: &Masked) -> Vec<(String, bool)> {
    let mut spans: Vec<(Vec<u8>, bool)> = Vec::new();
    for (token, learned) in masked.tokens.iter().zip(&masked.learned) {
        let bytes = match tokenizer().bytes(*token) {
            [] => tokenizer().name(*token).as_bytes(),
            bytes => bytes,
        };
        match spans.last_mut() {
            Some((text, same)) if same == learned => text.extend_from_slice(bytes),
            _ => spans.push((bytes.to_vec(), *learned)),
        }
    }
    let text = |(bytes, learned)| (String::from_utf8(bytes).unwrap(), learned);
    spans.into_iter().map(text).collect()
}

fn conversation(source: &str, turns: &[(&str, &str)]) -> Result<Vec<(String, bool)>, String> {
    let template = template(source);
    let messages = turns.iter().map(|(role, text)| Message::new(role, text)).collect();
    let rendered = renderer(Some(&template), Objective::SFT, 1000).render(Record::Chat(messages))?;
    match rendered {
        (Rendered::One(masked), false) => Ok(spans(&masked)),
        other => panic!("{other:?}"),
    }
}

const TURNS: [(&str, &str); 4] = [
    ("user", "Hi!"),
    ("assistant", "Hello."),
    ("user", "And?"),
    ("assistant", "\nSo."),
];

#[rstest]
#[case::chatml(CHATML, &[
    ("<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\n", false),
    ("Hello.<|im_end|>", true),
    ("\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n", false),
    ("\nSo.<|im_end|>", true),
])]
#[case::headers(HEADERS, &[
    ("<|im_start|>user<|endoftext|>\n\nHi!<|im_end|><|im_start|>assistant<|endoftext|>\n\n", false),
    ("Hello.<|im_end|>", true),
    ("<|im_start|>user<|endoftext|>\n\nAnd?<|im_end|><|im_start|>assistant<|endoftext|>\n\n", false),
    ("So.<|im_end|>", true),
])]
#[case::zephyr(ZEPHYR, &[
    ("<|user|>\nHi!<|im_end|>\n<|assistant|>\n", false),
    ("Hello.<|im_end|>", true),
    ("\n<|user|>\nAnd?<|im_end|>\n<|assistant|>\n", false),
    ("\nSo.<|im_end|>", true),
])]
#[case::no_ends(PLAIN, &[
    ("user: Hi!\nassistant: ", false),
    ("Hello.\n", true),
    ("user: And?\nassistant: ", false),
    ("\nSo.\n<|im_end|>", true),
])]
fn answers_are_learned(#[case] source: &str, #[case] expected: &[(&str, bool)]) {
    let found = conversation(source, &TURNS).unwrap();
    let found: Vec<(&str, bool)> = found.iter().map(|(text, learned)| (text.as_str(), *learned)).collect();
    assert_eq!(found, expected);
}

#[test]
fn prompts_have_the_tokens_that_are_served() {
    let template = template(CHATML);
    let renderer = renderer(Some(&template), Objective::SFT, 1000);
    let messages: Vec<Message> = TURNS.iter().map(|(role, text)| Message::new(role, text)).collect();
    let (Rendered::One(masked), _) = renderer.render(Record::Chat(messages.clone())).unwrap() else {
        panic!("it is one text")
    };
    let (prompt, asked, expected) = renderer.question(Record::Chat(messages)).unwrap().unwrap();
    assert!(masked.tokens.starts_with(&prompt), "{:?} {prompt:?}", masked.tokens);
    assert_eq!((asked.as_str(), expected.as_str()), ("And?", "\nSo."));
}

#[test]
fn what_comes_before_and_after_is_not_learned() {
    let turns = [
        ("system", "Be."),
        ("assistant", "Welcome."),
        ("user", "Hi!"),
        ("assistant", "Hello."),
        ("user", "Bye."),
    ];
    let found = conversation(CHATML, &turns).unwrap();
    // A greeting after a system message answers it.
    let learned: Vec<&str> = found.iter().filter(|it| it.1).map(|it| it.0.as_str()).collect();
    assert_eq!(learned, ["Welcome.<|im_end|>", "Hello.<|im_end|>"]);
    assert!(!found.iter().any(|(text, _)| text.contains("Bye")));
    let found = conversation(CHATML, &turns[1..]).unwrap();
    let learned: Vec<&str> = found.iter().filter(|it| it.1).map(|it| it.0.as_str()).collect();
    assert_eq!(learned, ["Hello.<|im_end|>"]);
}

#[test]
fn templates_that_write_differently_later_are_refused() {
    let error = conversation(FORGETS, &TURNS).unwrap_err();
    assert!(
        error.contains("message 2 of 4") && error.contains("only adds"),
        "{error}"
    );
    // One answer is no trouble.
    conversation(FORGETS, &TURNS[..2]).unwrap();
}

#[test]
fn the_own_template_of_the_bundled_model_fits() {
    let source = tokenizer().chat_template().unwrap();
    let found = conversation(source, &TURNS[..2]).unwrap();
    assert_eq!(found.last().unwrap(), &("Hello.<|im_end|>".to_owned(), true));
    assert!(
        found[0]
            .0
            .ends_with("<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\n"),
        "{found:?}"
    );
}

#[test]
fn without_a_template_the_completion_follows_the_prompt() {
    let renderer = renderer(None, Objective::SFT, 1000);
    let answer = Record::Answer {
        prompt: "Two and two is".into(),
        completion: " four.".into(),
    };
    let (Rendered::One(masked), false) = renderer.render(answer).unwrap() else {
        panic!("it is one text")
    };
    let expected = [
        ("Two and two is".to_owned(), false),
        (" four.<|im_end|>".to_owned(), true),
    ];
    assert_eq!(spans(&masked), expected);
    let chat = Record::Chat(vec![Message::new("user", "a"), Message::new("assistant", "b")]);
    let error = renderer.render(chat).unwrap_err();
    assert!(error.contains("no chat template"), "{error}");
}

#[test]
fn long_prompts_are_skipped_and_long_answers_cut() {
    let template = template(CHATML);
    let answer = |prompt: &str, completion: &str| Record::Answer {
        prompt: prompt.into(),
        completion: completion.into(),
    };
    let renderer = renderer(Some(&template), Objective::SFT, 20);
    let skipped = renderer.render(answer(&"word ".repeat(30), "yes")).unwrap();
    assert_eq!(skipped, (Rendered::Skipped(Skip::PromptTooLong), false));
    let (Rendered::One(masked), true) = renderer.render(answer("word", &"yes ".repeat(30))).unwrap() else {
        panic!("the answer is cut")
    };
    assert_eq!(masked.inputs(), 20);
    let nothing = Record::Chat(vec![Message::new("user", "a")]);
    assert_eq!(
        renderer.render(nothing).unwrap(),
        (Rendered::Skipped(Skip::NothingToLearn), false)
    );
}

#[test]
fn pairs_share_their_prompt() {
    let template = template(CHATML);
    let record = Record::Preference {
        prompt: "Well?".into(),
        chosen: "Yes.".into(),
        rejected: "No way.".into(),
    };
    let renderer = renderer(Some(&template), Objective::DPO, 100);
    let (Rendered::Pair(chosen, rejected), false) = renderer.render(record).unwrap() else {
        panic!("it is a pair")
    };
    let (chosen, rejected) = (spans(&chosen), spans(&rejected));
    assert_eq!(chosen[0], rejected[0]);
    assert_eq!(
        (chosen[1].0.as_str(), rejected[1].0.as_str()),
        ("Yes.<|im_end|>", "No way.<|im_end|>")
    );
}

#[rstest]
#[case(Objective::SFT, Record::Text("a".into()), "CausalLM")]
#[case(Objective::DPO, Record::Text("a".into()), "chosen and rejected")]
#[case(Objective::SFT, Record::Preference { prompt: "a".into(), chosen: "b".into(), rejected: "c".into() }, "DPO")]
fn records_that_do_not_fit_the_objective_are_refused(
    #[case] objective: Objective,
    #[case] record: Record,
    #[case] expected: &str,
) {
    let error = renderer(None, objective, 10).render(record).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

mod on_disk {
    use std::{fs, path::Path};

    use super::*;
    use crate::train::data::{Lengths as _, Tokens, prepare};
    use protocol::tune::{DataReport, DatasetManifest, SplitCounts, TrainFailure};

    fn dataset(directory: &Path, train: &[&str], validation: &[&str]) {
        let lines = |records: &[&str]| records.iter().map(|line| format!("{line}\n")).collect::<String>();
        fs::write(directory.join("train.jsonl"), lines(train)).unwrap();
        fs::write(directory.join("validation.jsonl"), lines(validation)).unwrap();
        let manifest = DatasetManifest {
            report: DataReport {
                digest: "sha256:1".into(),
                parts: SplitCounts {
                    train: train.len() as u64,
                    validation: validation.len() as u64,
                    test: 0,
                },
                ..DataReport::default()
            },
            ..DatasetManifest::default()
        };
        fs::write(
            directory.join("manifest.json"),
            serde_json::to_string(&manifest).unwrap(),
        )
        .unwrap();
    }

    fn prepared(directory: &Path, objective: Objective, length: usize) -> Result<super::super::Dataset, TrainFailure> {
        let template = template(CHATML);
        let renderer = renderer(Some(&template), objective, length);
        let key = format!("{objective:?}");
        prepare(directory, directory, &key, &renderer, &|| false).map(Option::unwrap)
    }

    fn texts(tokens: &Tokens) -> Vec<Vec<i64>> {
        (0..tokens.count())
            .map(|number| match tokens.read(number).unwrap() {
                super::super::Example::One(text) => text.tokens,
                super::super::Example::Two(pair) => pair.chosen.tokens,
            })
            .collect()
    }

    #[test]
    fn documents_are_cut_into_windows_that_miss_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = ("one two three four five six", "seven eight");
        let line = |text: &str| serde_json::json!({ "text": text }).to_string();
        dataset(dir.path(), &[&line(first), &line(second)], &[]);
        let found = prepared(dir.path(), Objective::CausalLM, 4).unwrap();
        assert!(found.validation.is_none());
        let end = tokenizer().end().unwrap();
        let encode = |text: &str| tokenizer().encode(text, true).unwrap();
        let all = [encode(first), vec![end], encode(second), vec![end]].concat();
        let all: Vec<i64> = all.into_iter().map(i64::from).collect();
        // The last token is a target only.
        assert_eq!(texts(&found.train).concat(), all[..all.len() - 1]);
        assert!(texts(&found.train).iter().all(|text| text.len() <= 4));
        assert_eq!(found.summary.parts["train"].records, 2);
    }

    #[test]
    fn tokens_are_made_once_and_made_again_when_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let records = [
            r#"{"prompt": "a", "completion": "b"}"#,
            r#"{"prompt": "c", "completion": "d"}"#,
        ];
        dataset(dir.path(), &records, &records[..1]);
        let first = texts(&prepared(dir.path(), Objective::SFT, 50).unwrap().train);
        let file = dir.path().join(".tokens/SFT/train.tokens");
        let made = fs::metadata(&file).unwrap().modified().unwrap();
        let again = prepared(dir.path(), Objective::SFT, 50).unwrap();
        assert_eq!(texts(&again.train), first);
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), made);
        assert_eq!(again.validation.unwrap().count(), 1);
    }

    #[test]
    fn the_test_part_is_there_to_be_measured_on() {
        let dir = tempfile::tempdir().unwrap();
        let records = [r#"{"prompt": "a", "completion": "b"}"#];
        dataset(dir.path(), &records, &[]);
        assert!(prepared(dir.path(), Objective::SFT, 50).unwrap().test.is_none());
        fs::write(dir.path().join("test.jsonl"), format!("{}\n", records[0])).unwrap();
        let path = dir.path().join("manifest.json");
        let manifest = fs::read_to_string(&path).unwrap();
        fs::write(&path, manifest.replace("\"test\":0", "\"test\":1")).unwrap();
        fs::remove_dir_all(dir.path().join(".tokens")).unwrap();
        let found = prepared(dir.path(), Objective::SFT, 50).unwrap();
        assert_eq!(found.test.map(|test| test.count()), Some(1));
        assert_eq!(found.summary.parts["test"].records, 1);
    }

    #[test]
    fn what_cannot_be_learned_from_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        dataset(
            dir.path(),
            &[r#"{"prompt": "a", "completion": "b"}"#, r#"{"prompt": "a"}"#],
            &[],
        );
        let failure = prepared(dir.path(), Objective::SFT, 50).unwrap_err();
        assert!(failure.message.contains("train.jsonl:2: "), "{failure}");
        assert!(!dir.path().join(".tokens/SFT").exists());

        dataset(dir.path(), &[], &[]);
        let failure = prepared(dir.path(), Objective::SFT, 50).unwrap_err();
        assert!(
            failure.reason == "NoData" && failure.message.contains("is empty"),
            "{failure}"
        );
    }

    #[test]
    fn data_without_a_manifest_or_with_another_one_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let failure = prepared(dir.path(), Objective::SFT, 50).unwrap_err();
        assert!(failure.message.contains("no complete data set"), "{failure}");
        let record = r#"{"prompt": "a", "completion": "b"}"#;
        dataset(dir.path(), &[record, record], &[]);
        fs::write(dir.path().join("train.jsonl"), format!("{record}\n")).unwrap();
        let failure = prepared(dir.path(), Objective::SFT, 50).unwrap_err();
        assert!(
            failure.message.contains("has 1 records, its manifest says 2"),
            "{failure}"
        );
    }
}
