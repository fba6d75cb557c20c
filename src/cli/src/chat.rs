//! `kubectl atelier chat`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

use crate::{
    args::Chat,
    caller::{Caller, message},
    cluster::Cluster,
    events::{Event, Events},
    text::print,
};

/// Talks to a model until there is nothing more to say.
///
/// # Errors
/// When a question is not answered.
pub async fn run(cluster: &Cluster, options: &Chat) -> Result<ExitCode> {
    let namespace = cluster.namespace_of(&options.model);
    let mut conversation = Conversation {
        caller: Caller::new(cluster, namespace, &options.caller).await?,
        model: format!("{namespace}/{}", options.model.name),
        temperature: options.temperature,
        messages: Vec::new(),
    };
    if let Some(prompt) = &options.prompt {
        conversation.say(prompt).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await.context("failed to read standard input")? {
        if !line.trim().is_empty() {
            conversation.say(&line).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What has been said so far.
struct Conversation {
    caller: Caller,
    model: String,
    temperature: Option<f64>,
    messages: Vec<Value>,
}

impl Conversation {
    /// Says something, and prints the answer as it comes.
    async fn say(&mut self, text: &str) -> Result<()> {
        self.messages.push(json!({"role": "user", "content": text}));
        let mut body = json!({"model": self.model, "messages": self.messages, "stream": true});
        if let Some(temperature) = self.temperature {
            body["temperature"] = json!(temperature);
        }
        let mut response = self.caller.post("/v1/chat/completions", &body).await?;
        let mut events = Events::default();
        let (mut answer, mut ended) = (String::new(), false);
        while let Some(frame) = response.frame().await {
            let frame = frame.context("the answer broke off")?;
            for event in events.take(frame.data_ref().map_or(&[][..], AsRef::as_ref)) {
                match event {
                    Event::Data(data) => {
                        let piece = piece(&data)?;
                        print(&piece)?;
                        answer += &piece;
                    }
                    Event::End => ended = true,
                }
            }
        }
        print("\n")?;
        ensure!(ended, "the answer broke off");
        self.messages.push(json!({"role": "assistant", "content": answer}));
        Ok(())
    }
}

/// What an event adds to the answer.
fn piece(data: &[u8]) -> Result<String> {
    let event: Value = serde_json::from_slice(data).context("the gateway sent an event that is not JSON")?;
    if let Some(error) = event.get("error") {
        bail!("the answer ends here: {}", message(error));
    }
    let text = event["choices"][0]["delta"]["content"].as_str();
    Ok(text.unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_made_of_pieces_and_an_error_is_told() {
        assert_eq!(piece(br#"{"choices":[{"delta":{"role":"assistant"}}]}"#).unwrap(), "");
        assert_eq!(piece(br#"{"choices":[{"delta":{"content":"!"}}]}"#).unwrap(), "!");
        assert_eq!(piece(br#"{"choices":[],"usage":{}}"#).unwrap(), "");
        let error = piece(br#"{"error":{"message":"the worker broke"}}"#).unwrap_err();
        assert!(error.to_string().contains("the worker broke"));
    }
}
