//! `kubectl atelier chat`.

mod events;

use std::{io::Write as _, process::ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

use crate::{
    args::Chat,
    cluster::{Cluster, told},
    gateway::GatewayPod,
};
use events::{Event, Events};

/// Talks to a model until there is nothing more to say.
///
/// # Errors
/// When a question is not answered.
pub async fn run(cluster: &Cluster, options: &Chat) -> Result<ExitCode> {
    let gateway = GatewayPod::find(&cluster.client, &options.system_namespace).await?;
    ensure!(
        gateway.option("--tls-cert-file").is_none(),
        "this gateway speaks TLS, with a certificate for another name than its pod's: ask it at its own address"
    );
    let mut conversation = Conversation {
        token: token(cluster, options, &gateway).await?,
        model: format!("{}/{}", cluster.namespace_of(&options.model), options.model.name),
        gateway,
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

/// What shows the gateway who asks.
async fn token(cluster: &Cluster, options: &Chat, gateway: &GatewayPod) -> Result<String> {
    let Some(account) = &options.service_account else {
        let token = std::env::var("ATELIER_TOKEN").ok().filter(|token| !token.is_empty());
        return token
            .context("nobody asks: name a --service-account, or put a token or an API key into $ATELIER_TOKEN");
    };
    let namespace = cluster.namespace_of(&options.model);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(vec![
                gateway.option("--audience").unwrap_or(api::names::AUDIENCE).into(),
            ]),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let accounts = Api::<ServiceAccount>::namespaced(cluster.client.clone(), namespace);
    let made = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await;
    let made = made
        .map_err(told)
        .with_context(|| format!("failed to get a token of the ServiceAccount {namespace}/{account}"))?;
    let token = made.status.and_then(|status| status.token);
    token.context("the API server issued no token")
}

/// What has been said so far.
struct Conversation {
    gateway: GatewayPod,
    token: String,
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
        let mut response = self.post("/v1/chat/completions", &body).await?;
        let mut events = Events::default();
        let (mut answer, mut ended) = (String::new(), false);
        while let Some(frame) = response.frame().await {
            let frame = frame.context("the answer broke off")?;
            for event in events.take(frame.data_ref().map_or(&[][..], AsRef::as_ref)) {
                match event? {
                    Event::Text(piece) => {
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

    /// The body of a good answer.
    async fn post(&self, path: &str, body: &Value) -> Result<Incoming> {
        let stream = self.gateway.connect(protocol::ports::GATEWAY_API).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .context("failed to speak HTTP")?;
        // It ends with the answer, and says why there.
        tokio::spawn(connection);
        let request = Request::post(path)
            .header(header::HOST, api::names::GATEWAY)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())));
        let request = request.context("$ATELIER_TOKEN holds what is no token")?;
        let response = sender
            .send_request(request)
            .await
            .context("the gateway does not answer")?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response.into_body());
        }
        let told = response
            .into_body()
            .collect()
            .await
            .context("the answer broke off")?
            .to_bytes();
        let error = serde_json::from_slice::<Value>(&told).unwrap_or_default();
        bail!(
            "the gateway answers {status}: {}",
            error["error"]["message"].as_str().unwrap_or("no reason given")
        )
    }
}

fn print(text: &str) -> Result<()> {
    let mut output = std::io::stdout();
    let printed = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    printed.context("failed to write to standard output")
}
