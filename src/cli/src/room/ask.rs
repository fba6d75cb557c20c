//! `kubectl atelier room ask`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use http_body_util::BodyExt as _;
use protocol::rooms::ask::{Answer, Citation, Event as Told, Outcome};
use serde_json::json;

use super::{Room, search::place};
use crate::{
    caller::message,
    events::{Event, Events},
    text::{clean, clean_lines, print},
};

/// Asks, and prints the answer as it comes and then what it cites. The exit status is 0 for an answer and 2 where the
/// Room has none.
///
/// # Errors
/// When the answer does not come to its end.
pub async fn run(room: &Room, question: &str) -> Result<ExitCode> {
    let body = json!({"question": question, "stream": true});
    let mut response = room.caller.post(&room.at("/ask"), &body).await?;
    let (mut events, mut shown) = (Events::default(), String::new());
    while let Some(frame) = response.frame().await {
        let frame = frame.context("the answer broke off")?;
        for event in events.take(frame.data_ref().map_or(&[][..], AsRef::as_ref)) {
            let Event::Data(data) = event else { continue };
            match serde_json::from_slice(&data).context("the gateway sent an event that this program does not know")? {
                Told::Delta { text } => {
                    print(&clean_lines(&text))?;
                    shown += &text;
                }
                Told::Done { answer } => return end(&answer, &shown),
                Told::Error { error } => bail!("the answer ends here: {}", message(&error)),
            }
        }
    }
    bail!("the answer broke off")
}

fn end(answer: &Answer, shown: &str) -> Result<ExitCode> {
    print(&closing(answer, shown))?;
    Ok(match answer.outcome {
        Outcome::Answered => ExitCode::SUCCESS,
        Outcome::Unknown | Outcome::Refused => ExitCode::from(2),
    })
}

/// What of an answer was not shown yet.
fn closing(answer: &Answer, shown: &str) -> String {
    // What is refused may take back what was said before.
    let rest = answer
        .answer
        .strip_prefix(shown)
        .map_or_else(|| format!("\n{}", answer.answer), Into::into);
    let mut text = clean_lines(&rest) + "\n";
    if answer.outcome == Outcome::Refused {
        text += &format!(
            "refused: the documents do not support it ({})\n",
            answer.unsupported.join(", ")
        );
    } else if answer.quoted {
        text += "this is quoted: what the model said itself is not supported by the documents\n";
    } else if answer.withheld {
        let why = answer.unsupported.last().map_or("", |why| why);
        text += &format!("the rest is withheld: the documents do not support what comes next ({why})\n");
    } else if !answer.unsupported.is_empty() {
        text += &format!("not supported by the documents: {}\n", answer.unsupported.join(", "));
    }
    for citation in &answer.citations {
        text += &cited(citation);
    }
    text
}

fn cited(citation: &Citation) -> String {
    let Citation {
        number, source, name, ..
    } = citation;
    let name = format!("[{number}] {source}/{name}{}", place(&citation.place));
    format!("\n{}\n    {}\n", clean(&name), clean(&citation.quote))
}

#[cfg(test)]
mod tests {
    use protocol::rooms::Place;

    use super::*;

    #[test]
    fn an_answer_ends_with_what_it_cites() {
        let citation = Citation {
            number: 1,
            source: "hr".into(),
            name: "leave.pdf".into(),
            quote: "Twenty\ndays.".into(),
            place: Place {
                page: Some(3),
                headings: vec!["Leave".into()],
                ..Place::default()
            },
            ..Citation::default()
        };
        let answer = Answer {
            answer: "Twenty days [1].".into(),
            citations: vec![citation],
            ..Answer::default()
        };
        let expected = " [1].\n\n[1] hr/leave.pdf, page 3, Leave\n    Twenty days.\n";
        assert_eq!(closing(&answer, "Twenty days"), expected);
        let refused = Answer {
            outcome: Outcome::Refused,
            answer: "I cannot say.".into(),
            unsupported: vec!["Number".into()],
            ..Answer::default()
        };
        let expected = "\nI cannot say.\nrefused: the documents do not support it (Number)\n";
        assert_eq!(closing(&refused, "Thirty"), expected);
        let cut = Answer {
            outcome: Outcome::Answered,
            answer: "Twenty days.".into(),
            withheld: true,
            ..refused
        };
        let expected = "\nthe rest is withheld: the documents do not support what comes next (Number)\n";
        assert_eq!(closing(&cut, "Twenty days."), expected);
    }
}
