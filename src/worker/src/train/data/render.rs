//! Records as tokens: written down as the model expects it, with marks at what is learned.
//!
//! Of a conversation the turns of the assistant are learned, with the token that ends each. Where a turn begins and
//! ends is found by writing the conversation down up to it, and up to its end: what is learned is exactly what
//! comes after the prompt that the model will be served with. A template that writes earlier turns differently when
//! others follow leaves no such place, and is refused.

use engine::text::Tokenizer;
use protocol::tune::Objective;

use super::{masked::Masked, records::Record};
use crate::serve::chat_template::{ChatTemplate, Message};

/// Turns records into tokens.
pub struct Renderer<'a> {
    /// The base's.
    pub tokenizer: &'a Tokenizer,
    /// How the base wants conversations written down.
    pub template: Option<&'a ChatTemplate>,
    /// What is learned.
    pub objective: Objective,
    /// Most tokens of input of one text.
    pub length: usize,
}

/// What a record becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendered {
    /// A text of its own.
    One(Masked),
    /// Two answers to a prompt.
    Pair(Masked, Masked),
    /// A piece of one long text.
    Piece(Vec<u32>),
    /// Nothing is left to learn from.
    Skipped(Skip),
}

/// Why a record is not learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// The prompt alone fills the sequence.
    PromptTooLong,
    /// No token of it is learned.
    NothingToLearn,
}

impl Skip {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::PromptTooLong => "promptTooLong",
            Self::NothingToLearn => "nothingToLearn",
        }
    }
}

impl Renderer<'_> {
    /// The tokens of a record, and whether answers had to be cut.
    ///
    /// # Errors
    /// Why it cannot be written down, or does not fit the objective.
    pub fn render(&self, record: Record) -> Result<(Rendered, bool), String> {
        match (self.objective, record) {
            (Objective::SFT, Record::Chat(messages)) => self.conversation(messages).map(|it| self.fitted(it)),
            (Objective::SFT, Record::Answer { prompt, completion }) => {
                self.answer(&prompt, &completion).map(|it| self.fitted(it))
            }
            (
                Objective::DPO,
                Record::Preference {
                    prompt,
                    chosen,
                    rejected,
                },
            ) => {
                let (chosen, rejected) = (self.answer(&prompt, &chosen)?, self.answer(&prompt, &rejected)?);
                Ok(self.fitted_pair(chosen, rejected))
            }
            (Objective::CausalLM, record) => Ok((Rendered::Piece(self.document(record)?), false)),
            (Objective::SFT, Record::Text(_)) => {
                Err("a text has no answers to learn: use the objective CausalLM, or data with prompts".into())
            }
            (Objective::SFT, Record::Preference { .. }) => {
                Err("two answers to a prompt are for the objective DPO: give prompt and completion for SFT".into())
            }
            (Objective::DPO, _) => Err("the objective DPO needs prompt, chosen and rejected".into()),
        }
    }

    /// The prompt that the model would be served with for a record, and what the data answer.
    pub fn question(&self, record: Record) -> Result<Option<(Vec<u32>, String, String)>, String> {
        let (messages, expected) = match record {
            Record::Chat(mut messages) => {
                let Some(last) = messages.iter().rposition(|it| it.role == "assistant") else {
                    return Ok(None);
                };
                let expected = messages[last].content.clone();
                messages.truncate(last);
                (messages, expected)
            }
            Record::Answer { prompt, completion } => (vec![Message::new("user", &prompt)], completion),
            Record::Preference { prompt, chosen, .. } => (vec![Message::new("user", &prompt)], chosen),
            Record::Text(_) => return Ok(None),
        };
        let Some(asked) = messages.last().map(|it| it.content.clone()) else {
            return Ok(None);
        };
        let tokens = match self.template {
            Some(template) => self.encode(&template.render_turns(&messages, true)?, false)?,
            None => self.encode(&asked, true)?,
        };
        Ok(Some((tokens, asked, expected)))
    }

    fn encode(&self, text: &str, begin: bool) -> Result<Vec<u32>, String> {
        self.tokenizer.encode(text, begin)
    }

    fn fitted(&self, mut masked: Masked) -> (Rendered, bool) {
        match masked.first_learned() {
            None => (Rendered::Skipped(Skip::NothingToLearn), false),
            Some(first) if first > self.length => (Rendered::Skipped(Skip::PromptTooLong), false),
            Some(_) => {
                let cut = masked.cut(self.length);
                (Rendered::One(masked), cut)
            }
        }
    }

    fn fitted_pair(&self, chosen: Masked, rejected: Masked) -> (Rendered, bool) {
        match (self.fitted(chosen), self.fitted(rejected)) {
            ((Rendered::One(chosen), first), (Rendered::One(rejected), second)) => {
                (Rendered::Pair(chosen, rejected), first || second)
            }
            ((Rendered::Skipped(skip), _), _) | (_, (Rendered::Skipped(skip), _)) => (Rendered::Skipped(skip), false),
            // Texts that fit are one each.
            _ => (Rendered::Skipped(Skip::NothingToLearn), false),
        }
    }

    /// All of a record, with the token that ends texts.
    fn document(&self, record: Record) -> Result<Vec<u32>, String> {
        let mut tokens = match record {
            Record::Text(text) => self.encode(&text, true)?,
            Record::Chat(messages) => {
                let text = self.template()?.render_turns(&messages, false)?;
                self.encode(&text, false)?
            }
            Record::Answer { prompt, completion } => self.answer(&prompt, &completion)?.tokens,
            Record::Preference { .. } => {
                return Err("two answers to a prompt are for the objective DPO".into());
            }
        };
        if let Some(end) = self.tokenizer.end()
            && tokens.last().is_some_and(|last| *last != end)
        {
            tokens.push(end);
        }
        Ok(tokens)
    }

    fn template(&self) -> Result<&ChatTemplate, String> {
        self.template
            .ok_or_else(|| "the base has no chat template to write conversations with: give one as `template`".into())
    }

    fn answer(&self, prompt: &str, completion: &str) -> Result<Masked, String> {
        if self.template.is_some() {
            let messages = vec![Message::new("user", prompt), Message::new("assistant", completion)];
            return self.conversation(messages);
        }
        let mut masked = Masked::default();
        masked.push(&self.encode(prompt, true)?, false);
        masked.push(&self.encode(completion, false)?, true);
        if let Some(end) = self.tokenizer.end() {
            masked.push(&[end], true);
        }
        Ok(masked)
    }

    fn conversation(&self, mut messages: Vec<Message>) -> Result<Masked, String> {
        let template = self.template()?;
        // Nothing is learned of what comes after the last answer. A greeting has no prompt that it answers.
        let learned = |messages: &[Message], at: usize| at > 0 && messages[at].role == "assistant";
        let Some(last) = (0..messages.len()).rev().find(|at| learned(&messages, *at)) else {
            return Ok(Masked::default());
        };
        messages.truncate(last + 1);
        let whole = template.render_turns(&messages, false)?;
        let mut spans = Vec::new();
        let mut at = 0;
        for turn in (0..=last).filter(|turn| learned(&messages, *turn)) {
            let prompt = template.render_turns(&messages[..turn], true)?;
            let answered = template.render_turns(&messages[..=turn], false)?;
            if !whole.starts_with(&answered) || !answered.starts_with(&prompt) || prompt.len() < at {
                return Err(format!(
                    "the chat template writes message {} of {} differently when it is followed by an answer: what is to \
                     be learned cannot be told; give a template that only adds to what it wrote before",
                    turn + 1,
                    messages.len()
                ));
            }
            spans.push((prompt.len(), answered.len()));
            at = answered.len();
        }
        let mut masked = match self.tokenizer.leading_space() {
            false => self.pieces(&whole, &spans)?,
            true => self.prefixes(&whole, &spans)?,
        };
        // Templates that end no turn by a token: the model has to learn where to end all the same.
        if let (Some(end), Some(token)) = (self.tokenizer.end(), masked.tokens.last())
            && masked.learned.last() == Some(&true)
            && !self.tokenizer.ends().contains(token)
        {
            masked.push(&[end], true);
        }
        Ok(masked)
    }

    /// Tokens of each part by itself, as answers come after the tokens of their prompt when the model is served.
    fn pieces(&self, whole: &str, spans: &[(usize, usize)]) -> Result<Masked, String> {
        let mut masked = Masked::default();
        let mut at = 0;
        for (begin, end) in spans {
            masked.push(&self.encode(&whole[at..*begin], false)?, false);
            self.push_answer(&mut masked, &self.encode(&whole[*begin..*end], false)?);
            at = *end;
        }
        Ok(masked)
    }

    /// The same for tokenizers that put a space in front of every text: parts have no tokens of their own, so those
    /// of all beginnings must agree.
    fn prefixes(&self, whole: &str, spans: &[(usize, usize)]) -> Result<Masked, String> {
        let all = self.encode(whole, false)?;
        let until = |end: usize| {
            let tokens = self.encode(&whole[..end], false)?;
            match all.starts_with(&tokens) {
                true => Ok(tokens.len()),
                false => Err(
                    "a token of the text lies over the border of an answer: what is to be learned cannot be told; \
                     give a template that writes a line feed or a mark between prompt and answer"
                        .to_owned(),
                ),
            }
        };
        let mut masked = Masked::default();
        let mut at = 0;
        for (begin, end) in spans {
            let (begin, end) = (until(*begin)?, until(*end)?);
            masked.push(&all[at..begin], false);
            self.push_answer(&mut masked, &all[begin..end]);
            at = end;
        }
        Ok(masked)
    }

    /// Templates put line feeds behind the token that ends a turn: nobody generates those.
    fn push_answer(&self, masked: &mut Masked, tokens: &[u32]) {
        let ends = self.tokenizer.ends();
        let end = tokens.iter().rposition(|token| ends.contains(token));
        let (answer, rest) = tokens.split_at(end.map_or(tokens.len(), |end| end + 1));
        masked.push(answer, true);
        masked.push(rest, false);
    }
}
