//! 50 pieces of news, of which people said how alike they are (Lee, Pincombe and Welsh 2005), and questions about them.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use atelier_e2e::{Model, Namespace, model, room};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::measure::{mean, ndcg, nearest, recall, share};
use crate::reader::{Reader, vectors};

const FIRST: usize = 10;

#[derive(Deserialize)]
struct Labelled {
    answerable: Vec<Answerable>,
    unanswerable: Vec<String>,
}

#[derive(Deserialize)]
struct Answerable {
    /// The line of the document that answers, from 1.
    document: usize,
    question: String,
    /// One of them stands in a right answer.
    answer: Vec<String>,
}

/// The documents, a line each.
fn texts() -> Result<Vec<(String, String)>> {
    let bytes = crate::read("lee.cor")?;
    let lines = String::from_utf8_lossy(&bytes).into_owned();
    let named = lines
        .lines()
        .zip(1..)
        .map(|(line, number)| (name(number), line.to_owned()));
    Ok(named.collect())
}

fn name(number: usize) -> String {
    format!("{number:03}.txt")
}

/// How alike people found each two, from 0 to 1.
fn likeness() -> Result<Vec<Vec<f64>>> {
    let text = String::from_utf8(crate::read("similarities0-1.txt")?)?;
    let mut rows = Vec::new();
    for line in text.lines() {
        let row: Result<Vec<f64>, _> = line.split('\t').map(str::parse).collect();
        rows.push(row.context("a similarity is no number")?);
    }
    // Only one half of them is there.
    let of = |one: usize, other: usize| rows[one.min(other)][one.max(other)];
    let all = 0..rows.len();
    Ok(all
        .clone()
        .map(|one| all.clone().map(|other| of(one, other)).collect())
        .collect())
}

/// Where a document stands among all; its name ends with its number.
fn place(name: &str) -> Result<usize> {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    let number = digits.get(digits.len().saturating_sub(3)..).unwrap_or_default();
    Ok(number
        .parse::<usize>()
        .with_context(|| format!("{name} has no number"))?
        - 1)
}

#[tokio::test]
#[ignore = "fetches texts: cargo xtask e2e corpora"]
async fn likes_are_found_as_brute_force_and_people_find_them() -> Result<()> {
    room::with_encoder("lee", async |namespace| {
        let namespace = &namespace;
        let texts = texts()?;
        let likeness = likeness()?;
        let only: Vec<String> = texts.iter().map(|(_, text)| text.clone()).collect();
        let vectors = vectors(namespace, &only).await?;
        let by_vectors = Reader::with(namespace, "vectors", json!({"retrieval": {"hybrid": false}}), &texts).await?;
        let hybrid = Reader::with(namespace, "hybrid", json!({}), &texts).await?;
        let (mut recalls, mut gains) = (Vec::new(), [const { Vec::new() }; 3]);
        for query in 0..texts.len() {
            let others = |order: Vec<usize>| -> Vec<usize> { order.into_iter().filter(|one| *one != query).collect() };
            let found = async |reader: &Reader| -> Result<Vec<usize>> {
                let names = reader.documents(&only[query], 2 * FIRST).await?;
                Ok(others(names.iter().map(|name| place(name)).collect::<Result<_>>()?))
            };
            let brute = others(nearest(&vectors[query], &vectors));
            let ours = found(&by_vectors).await?;
            recalls.push(recall(&ours, &brute[..FIRST], FIRST));
            for (gains, order) in gains.iter_mut().zip([&brute, &ours, &found(&hybrid).await?]) {
                let mut likeness = likeness[query].clone();
                likeness[query] = 0.0;
                gains.push(ndcg(order, &likeness, FIRST));
            }
        }
        let [brute, ours, hybrid] = gains.map(|gains| mean(&gains));
        let recall = mean(&recalls);
        println!("| Lee, 50 queries among 50 documents | |\n|---|---|");
        println!("| recall@10 of the Room against brute force in 64 bits | {recall:.4} |");
        println!("| nDCG@10 against people: brute force | {brute:.4} |");
        println!("| nDCG@10 against people: the Room, vectors | {ours:.4} |");
        println!("| nDCG@10 against people: the Room, vectors and words | {hybrid:.4} |");
        ensure!(recall >= 0.98, "the Room misses what brute force finds: {recall}");
        ensure!(
            ours >= brute - 0.01,
            "the Room's order is worse than brute force's: {ours}, {brute}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "fetches texts: cargo xtask e2e corpora"]
async fn questions_that_the_texts_do_not_answer_are_not_answered() -> Result<()> {
    room::with_encoder("questions", async |namespace| {
        let namespace = &namespace;
        let labelled: Labelled = serde_json::from_str(include_str!("lee.json"))?;
        let reader = asked(namespace).await?;
        let mut table = String::new();
        let (mut answered, mut right) = (0, 0);
        for Answerable {
            document,
            question,
            answer: words,
        } in &labelled.answerable
        {
            let answer = reader.room.ask(&reader.gateway, question).await?;
            let text = answer["answer"].as_str().unwrap_or_default();
            let is_answered = answer["outcome"] == "answered";
            let is_right = is_answered && words.iter().any(|word| text.contains(word.as_str()));
            answered += usize::from(is_answered);
            right += usize::from(is_right);
            if !is_right {
                told(&mut table, &format!("{document}: {question}"), &answer);
            }
        }
        let mut refused = 0;
        for question in &labelled.unanswerable {
            let answer = reader.room.ask(&reader.gateway, question).await?;
            let is_refused = answer["outcome"] != "answered";
            refused += usize::from(is_refused);
            if !is_refused {
                told(&mut table, question, &answer);
            }
        }
        let (all, none) = (labelled.answerable.len(), labelled.unanswerable.len());
        println!("{table}");
        println!("| Lee, {all} questions with and {none} without an answer, SmolLM2-135M | | goal |\n|---|---|---|");
        println!(
            "| answered, of those with an answer | {:.3} | 0.90 |",
            share(answered, all)
        );
        println!(
            "| right, of those that were answered | {:.3} | |",
            share(right, answered)
        );
        println!(
            "| refused, of those without an answer | {:.3} | 0.95 |",
            share(refused, none)
        );
        let precision = share(refused, refused + all - answered);
        println!("| precision of refusals | {precision:.3} | |");
        ensure!(right > 0 && refused > 0, "nothing was answered, or nothing refused");
        Ok(())
    })
    .await
}

/// A line about an answer that should have been another one.
fn told(table: &mut String, question: &str, answer: &Value) {
    let said = answer["answer"].as_str().unwrap_or_default().replace('\n', " ");
    let _ = writeln!(
        table,
        "{} {} | {question} | {said}",
        answer["outcome"], answer["unsupported"]
    );
}

/// A Room with a model.
async fn asked(namespace: &Namespace) -> Result<Reader> {
    let mut chat = model::bundled();
    chat["engine"]["atelier"]["contextLength"] = json!(4096);
    let chat = Model::create(namespace, "chat", chat).await?;
    let reader = Reader::with(namespace, "lee", json!({"model": {"name": "chat"}}), &texts()?).await?;
    chat.ready().await?;
    Ok(reader)
}
