//! How likely each model finds the other's answer.

use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, Finish, Outcome},
    copy::{self, Target},
    metric::MAX_NLL,
};

/// Fields of a chat that its prompt is written from, beside the messages.
const PROMPT: [&str; 3] = ["tools", "tool_choice", "parallel_tool_calls"];

/// Mean negative log likelihoods of answers, in nats for each token *as the serving model counts them*, given what was
/// asked: models that cut texts into other tokens are compared all the same. `None` where nobody was asked or could tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Likelihoods {
    /// Of the primary's answer, under the primary.
    pub primary_of_primary: Option<f64>,
    /// Of the primary's answer, under the candidate.
    pub candidate_of_primary: Option<f64>,
    /// Of the candidate's answer, under the primary.
    pub primary_of_candidate: Option<f64>,
}

impl Likelihoods {
    /// What the serving model finds of its own answer and of the candidate's. Answers of equal models come from one
    /// distribution, so the serving model finds them equally likely in the mean, however they are drawn.
    ///
    /// This alone would let a candidate pass that repeats a word for ever, which any model soon finds likely:
    /// [`Self::back`] sees that.
    pub fn forth(&self) -> Option<(f64, f64)> {
        Some((cap(self.primary_of_primary?)?, cap(self.primary_of_candidate?)?))
    }

    /// What the serving model and the candidate find of the serving model's answer. The difference, over many answers
    /// drawn at temperature 1, is the Kullback-Leibler divergence of the candidate from the primary for each token
    /// (Kullback and Leibler 1951), and 0 for equal models; the exponential of the candidate's mean is the
    /// cross-perplexity.
    pub fn back(&self) -> Option<(f64, f64)> {
        Some((cap(self.primary_of_primary?)?, cap(self.candidate_of_primary?)?))
    }
}

fn cap(nll: f64) -> Option<f64> {
    // Infinitely unlikely is at the cap; what is no number was never measured.
    (!nll.is_nan()).then(|| nll.clamp(0.0, MAX_NLL))
}

/// What a worker that calls a model `called` is asked, to say how likely it finds `answer` to `request`; `None` where
/// the answer does not stand behind its request: a completion of several prompts, or one that repeats its prompt.
pub fn request(called: &str, request: &Value, answer: &Answer) -> Option<Value> {
    let target = Target {
        model: called.to_owned(),
        logprobs: false,
    };
    // Without anything that says who asked.
    let asked = copy::copy(request, &target).ok()?;
    let mut body = Map::from_iter([
        ("model".to_owned(), Value::from(called)),
        ("ended".to_owned(), has_ended(&asked, answer).into()),
    ]);
    match asked.get("messages") {
        Some(Value::Array(messages)) if asked.get("continue_final_message") != Some(&Value::Bool(true)) => {
            let mut messages = messages.clone();
            messages.push(message(answer));
            body.insert("messages".into(), messages.into());
            let fields = PROMPT.iter().filter_map(|name| Some((*name, asked.get(*name)?)));
            body.extend(fields.map(|(name, value)| (name.to_owned(), value.clone())));
        }
        Some(_) => return None,
        None => {
            if asked.get("echo") == Some(&Value::Bool(true)) {
                return None;
            }
            body.insert("prompt".into(), asked.get("prompt")?.as_str()?.into());
            body.insert("completion".into(), answer.text.as_str().into());
        }
    }
    Some(body.into())
}

/// Whether the model itself ended the answer. With strings that end it nobody knows.
fn has_ended(asked: &Value, answer: &Answer) -> bool {
    let is_cut = ["stop", "stop_token_ids"].iter().any(|name| asked.get(*name).is_some());
    !is_cut && matches!(answer.outcome, Outcome::Finished(Finish::Stop | Finish::ToolCalls))
}

fn message(answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.text});
    if !answer.tool_calls.is_empty() {
        let calls = answer.tool_calls.iter().enumerate().map(|(index, call)| {
            // As long as some templates insist on.
            let id = format!("call{index:05}");
            json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
        });
        message["tool_calls"] = calls.collect();
    }
    message
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::answer::testing::{called, said};

    #[test]
    fn identical_models_differ_in_nothing() {
        let same = Likelihoods {
            primary_of_primary: Some(1.5),
            candidate_of_primary: Some(1.5),
            primary_of_candidate: Some(1.5),
        };
        assert_eq!((same.forth(), same.back()), (Some((1.5, 1.5)), Some((1.5, 1.5))));
    }

    #[test]
    fn what_is_impossible_is_at_the_cap_and_what_is_unknown_is_none() {
        let odd = Likelihoods {
            primary_of_primary: Some(-1.0),
            candidate_of_primary: Some(f64::INFINITY),
            primary_of_candidate: Some(f64::NAN),
        };
        assert_eq!((odd.back(), odd.forth()), (Some((0.0, MAX_NLL)), None));
        assert_eq!(Likelihoods::default().forth(), None);
    }

    #[test]
    fn an_answer_stands_behind_its_conversation() {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let asked = json!({
            "model": "support", "messages": [{"role": "user", "content": "2 + 3?", "id": "m-1"}], "user": "jane",
            "temperature": 0.7, "max_tokens": 9, "tools": tools,
        });
        let expected = json!({
            "model": "m", "ended": true, "tools": tools,
            "messages": [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "5"}],
        });
        assert_eq!(request("m", &asked, &said("5")), Some(expected));
        let call = request("m", &asked, &called("f", "{\"a\":1}")).unwrap();
        let function = &call["messages"][1]["tool_calls"][0]["function"];
        assert_eq!(function, &json!({"name": "f", "arguments": "{\"a\":1}"}));
        assert_eq!(call["ended"], true);
        let completion = json!({"prompt": "2 + 3 =", "stop": ["\n"]});
        let expected = json!({"model": "m", "ended": false, "prompt": "2 + 3 =", "completion": " 5"});
        assert_eq!(request("m", &completion, &said(" 5")), Some(expected));
    }

    #[test]
    fn an_answer_that_was_cut_off_has_no_end() {
        let cut = Answer {
            outcome: Outcome::Finished(Finish::Length),
            ..said("5")
        };
        let body = request("m", &json!({"messages": []}), &cut).unwrap();
        assert_eq!(body["ended"], false);
    }

    #[rstest]
    #[case(json!({"prompt": ["a", "b"]}))]
    #[case(json!({"prompt": "a", "echo": true}))]
    #[case(json!({"messages": [{"role": "assistant", "content": "a"}], "continue_final_message": true}))]
    #[case(json!({"input": "a"}))]
    fn what_has_no_prompt_of_its_own_is_not_asked_for(#[case] body: Value) {
        assert_eq!(request("m", &body, &said("5")), None);
    }
}
