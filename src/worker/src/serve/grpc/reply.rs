//! Answers as messages.

use engine::{TokenLogprob, TokenLogprobs, text::Tokenizer};
use rpc::v1;

use crate::serve::{
    api::{CallDelta, Delta, Embeddings, Finish, Model, Ranking, Reply, Usage, Whole},
    generation::Output,
};

/// What a request took.
pub fn usage(usage: Usage) -> v1::Usage {
    v1::Usage {
        prompt_tokens: count(usage.prompt),
        completion_tokens: count(usage.spent.tokens),
        mean_nll: usage.spent.mean_nll().map(|mean| mean as f32),
        cached_tokens: count(usage.cached),
    }
}

/// A model that can be asked for.
pub fn model(model: Model) -> v1::Model {
    v1::Model {
        id: model.id,
        created: model.created,
        max_model_len: count(model.max_model_len),
    }
}

/// The vectors of texts.
pub fn embeddings(model: Model, embeddings: Embeddings) -> v1::EmbedResponse {
    let rows = embeddings.rows.into_iter();
    v1::EmbedResponse {
        model: model.id,
        embeddings: rows.map(|values| v1::Embedding { values }).collect(),
        usage: Some(read(embeddings.tokens)),
    }
}

/// Documents in order.
pub fn ranking(model: Model, ranking: Ranking) -> v1::RerankResponse {
    let result = |(index, relevance_score)| v1::RerankResult {
        index: count(index),
        relevance_score,
    };
    v1::RerankResponse {
        model: model.id,
        results: ranking.results.into_iter().map(result).collect(),
        usage: Some(read(ranking.tokens)),
    }
}

/// What a request took that only read.
fn read(tokens: usize) -> v1::Usage {
    v1::Usage {
        prompt_tokens: count(tokens),
        ..Default::default()
    }
}

/// A whole continuation.
pub fn completion(tokenizer: &Tokenizer, index: usize, answer: Whole) -> v1::Completion {
    v1::Completion {
        index: count(index),
        text: answer.text,
        finish_reason: finish(answer.reason.into()),
        logprobs: logprobs(tokenizer, &answer.logprobs),
    }
}

/// More of a continuation, if there is anything to show.
pub fn completion_piece(tokenizer: &Tokenizer, index: usize, output: Output) -> Option<v1::Completion> {
    let index = count(index);
    match output {
        Output::Text { text, logprobs: entry } if !text.is_empty() || entry.is_some() => Some(v1::Completion {
            index,
            text,
            logprobs: logprobs(tokenizer, entry.as_slice()),
            ..Default::default()
        }),
        Output::End(reason) => Some(v1::Completion {
            index,
            finish_reason: finish(reason.into()),
            ..Default::default()
        }),
        Output::Prompt(_) | Output::Text { .. } => None,
    }
}

/// A whole message of the assistant.
pub fn choice(tokenizer: &Tokenizer, index: usize, reply: Reply) -> v1::ChatChoice {
    v1::ChatChoice {
        index: count(index),
        message: Some(v1::Message {
            role: "assistant".into(),
            content: reply.content,
            tool_calls: reply.calls.into_iter().map(call).collect(),
            tool_call_id: String::new(),
        }),
        finish_reason: finish(reply.finish),
        logprobs: logprobs(tokenizer, &reply.logprobs),
    }
}

/// More of a message, if there is anything to show.
pub fn delta(tokenizer: &Tokenizer, index: usize, delta: Delta) -> Option<v1::ChatDelta> {
    let mut message = v1::ChatDelta {
        index: count(index),
        ..Default::default()
    };
    match delta {
        Delta::Begin => return None,
        Delta::Text(text, entry) => {
            message.content = text;
            message.logprobs = logprobs(tokenizer, entry.as_slice());
        }
        Delta::Call(one) => message.tool_calls.push(call(one)),
        Delta::End(reason) => message.finish_reason = finish(reason),
    }
    Some(message)
}

fn call(delta: CallDelta) -> v1::ToolCall {
    v1::ToolCall {
        id: delta.id,
        name: delta.call.name,
        arguments: delta.call.arguments,
    }
}

fn finish(finish: Finish) -> i32 {
    let reason = match finish {
        Finish::Stop => v1::FinishReason::Stop,
        Finish::Length => v1::FinishReason::Length,
        Finish::ToolCalls => v1::FinishReason::ToolCalls,
    };
    reason.into()
}

fn logprobs(tokenizer: &Tokenizer, entries: &[TokenLogprobs]) -> Vec<v1::TokenLogprobs> {
    let one = |entry: &TokenLogprob| v1::Logprob {
        id: entry.token,
        token: tokenizer.bytes(entry.token).into(),
        logprob: entry.logprob,
    };
    let all = |entry: &TokenLogprobs| v1::TokenLogprobs {
        chosen: Some(one(&entry.chosen)),
        top: entry.top.iter().map(one).collect(),
    };
    entries.iter().map(all).collect()
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
