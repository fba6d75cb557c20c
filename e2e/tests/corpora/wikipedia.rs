//! 106 articles of the English Wikipedia, and their sections as things that somebody looks for.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use atelier_e2e::room;
use half::f16;
use serde_json::json;

use crate::measure::{mean, nearest, recall};
use crate::reader::{Reader, vectors};

const DUMP: &str = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2";
/// Sections that are looked for.
const QUERIES: usize = 200;
const FIRST: usize = 10;

struct Article {
    title: String,
    text: String,
}

/// The articles of the dump, without markup as far as searching goes.
fn articles() -> Result<Vec<Article>> {
    let program = "import bz2, sys; sys.stdout.buffer.write(bz2.open(sys.argv[1]).read())";
    let unpacked = Command::new("python3")
        .args(["-c", program])
        .arg(crate::file(DUMP)?)
        .output()
        .context("failed to unpack the dump")?;
    ensure!(
        unpacked.status.success(),
        "{}",
        String::from_utf8_lossy(&unpacked.stderr)
    );
    let dump = String::from_utf8(unpacked.stdout)?;
    let pages = dump.split("<page>").skip(1).filter(|page| !page.contains("<redirect"));
    let articles = pages.filter_map(|page| {
        let title = between(page, "<title>", "</title>")?;
        let text = page.split_once("<text")?.1.split_once('>')?.1.split_once("</text>")?.0;
        Some(Article {
            title: unescaped(title),
            text: plain(&unescaped(text)),
        })
    });
    Ok(articles.collect())
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(start)?.1.split_once(end)?.0)
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

/// Wikitext as Markdown: headings stay, links become their words, templates, tables and notes go.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let (mut depth, mut rest) = (0_usize, text);
    while let Some(next) = rest.chars().next() {
        let opens = ["{{", "{|"].iter().any(|mark| rest.starts_with(mark));
        let closes = ["}}", "|}"].iter().any(|mark| rest.starts_with(mark));
        if opens {
            depth += 1;
            rest = &rest[2..];
        } else if closes && depth > 0 {
            depth -= 1;
            rest = &rest[2..];
        } else if depth == 0 && rest.starts_with("<ref") {
            let is_empty = rest.split_once('>').is_some_and(|(tag, _)| tag.ends_with('/'));
            let end = if is_empty { "/>" } else { "</ref>" };
            rest = rest.split_once(end).map_or("", |(_, after)| after);
        } else {
            if depth == 0 {
                plain.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    let lines = plain
        .lines()
        .filter(|line| !line.starts_with("[[File:") && !line.starts_with("[[Category:"));
    let lines = lines.map(|line| match heading(line) {
        Some((level, words)) => format!("\n{} {words}\n", "#".repeat(level)),
        None => linkless(line).replace("'''", "").replace("''", ""),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Level and words of `== words ==`.
fn heading(line: &str) -> Option<(usize, &str)> {
    let line = line.trim();
    let level = line.chars().take_while(|one| *one == '=').count();
    let is_one = (2..=6).contains(&level) && line.len() > 2 * level && line.ends_with(&"=".repeat(level));
    is_one.then(|| (level, line.trim_matches('=').trim()))
}

fn linkless(line: &str) -> String {
    let mut words = String::new();
    let mut rest = line;
    while let Some((before, link)) = rest.split_once("[[") {
        words.push_str(before);
        let (inside, after) = link.split_once("]]").unwrap_or((link, ""));
        words.push_str(inside.rsplit('|').next().unwrap_or_default());
        rest = after;
    }
    words + rest
}

/// Sections with some text, as `article: section` and the article's place; every so many of them.
fn sections(articles: &[Article]) -> Vec<(usize, String)> {
    let mut sections = Vec::new();
    for (place, article) in articles.iter().enumerate() {
        for part in article.text.split("\n## ").skip(1) {
            let (words, text) = part.split_once('\n').unwrap_or((part, ""));
            let is_list = [
                "See also",
                "References",
                "External links",
                "Further reading",
                "Notes",
                "Bibliography",
            ];
            if text.len() > 500 && !is_list.contains(&words.trim()) {
                sections.push((place, format!("{}: {}", article.title, words.trim())));
            }
        }
    }
    let step = sections.len().div_ceil(QUERIES);
    sections.into_iter().step_by(step.max(1)).collect()
}

#[tokio::test]
#[ignore = "fetches texts: cargo xtask e2e corpora"]
async fn a_section_is_found_by_its_heading() -> Result<()> {
    room::with_encoder("wikipedia", async |namespace| {
        let namespace = &namespace;
        let articles = articles()?;
        ensure!(articles.len() == 106, "the dump has {} articles", articles.len());
        let texts: Vec<_> = articles
            .iter()
            .zip(0..)
            .map(|(article, number)| {
                (
                    format!("{number:03}.md"),
                    format!("# {}\n\n{}", article.title, article.text),
                )
            })
            .collect();
        let reader = Reader::with(namespace, "vectors", json!({"retrieval": {"hybrid": false}}), &texts).await?;
        let hybrid = Reader::with(namespace, "hybrid", json!({}), &texts).await?;
        let queries = sections(&articles);
        let chunks = chunks().await?;
        let only: Vec<String> = queries.iter().map(|(_, query)| query.clone()).collect();
        let asked = vectors(namespace, &only).await?;
        let (ids, stored): (Vec<i64>, Vec<Vec<f64>>) = chunks.into_iter().unzip();
        let (mut recalls, mut ranks) = (Vec::new(), [const { Vec::new() }; 2]);
        for (vector, (article, query)) in asked.iter().zip(&queries) {
            let brute = nearest(vector, &stored);
            let brute: Vec<i64> = brute.iter().take(FIRST).map(|place| ids[*place]).collect();
            let hits = reader.hits(query, FIRST).await?;
            let ours: Vec<i64> = hits.iter().filter_map(|hit| hit["chunk"].as_i64()).collect();
            recalls.push(recall(&ours, &brute, FIRST));
            for (ranks, reader) in ranks.iter_mut().zip([&reader, &hybrid]) {
                let names = reader.documents(query, FIRST).await?;
                let wanted = format!("{article:03}.md");
                let rank = names.iter().position(|name| name.ends_with(&wanted));
                ranks.push(rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0)));
            }
        }
        let recall = mean(&recalls);
        println!(
            "| Wikipedia, {} headings, 106 articles, {} chunks | vectors | vectors and words |",
            queries.len(),
            ids.len()
        );
        println!("|---|---|---|");
        let [vectors, both] = &ranks;
        let found = |ranks: &[f64]| mean(&ranks.iter().map(|rank| f64::from(*rank > 0.0)).collect::<Vec<_>>());
        println!("| recall@10 of chunks against brute force in 64 bits | {recall:.4} | |");
        println!(
            "| the article is found (10 chunks) | {:.3} | {:.3} |",
            found(vectors),
            found(both)
        );
        println!(
            "| mean reciprocal rank of the article | {:.3} | {:.3} |",
            mean(vectors),
            mean(both)
        );
        ensure!(recall >= 0.98, "the Room misses what brute force finds: {recall}");
        Ok(())
    })
    .await
}

/// What stands before the components of a vector that is kept: its version, dimension and scale.
const HEADER: usize = 7;

/// Numbers and vectors of all chunks that the Room `vectors` has, from the database: what was embedded is more than the text,
/// for headings stand before it.
async fn chunks() -> Result<Vec<(i64, Vec<f64>)>> {
    let statement = "SELECT json_build_array(c.id, encode(c.embedding, 'hex')) FROM room_chunk c JOIN room r ON r.id = c.room \
                     AND r.live = c.generation WHERE r.name = 'vectors' AND r.namespace LIKE '%wikipedia%'";
    let rows = atelier_e2e::installation::sql(statement).await?;
    let read = |row: &str| {
        let (id, bytes): (i64, String) = serde_json::from_str(row).context("a chunk cannot be read")?;
        let bytes = hex::decode(bytes).context("a vector is not hexadecimal")?;
        let components = bytes.get(HEADER..).context("a vector is too short")?;
        // A byte for each, and then a half.
        let halves = &components[components.len() / 3..];
        let (pairs, _) = halves.as_chunks();
        let vector = pairs.iter().map(|pair| f16::from_le_bytes(*pair).to_f64());
        Ok((id, vector.collect()))
    };
    rows.lines().map(read).collect()
}
