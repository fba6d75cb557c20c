//! Tools: how models are told of them, how they write their calls down, and how those are read.
//!
//! Each family of models has a style of its own, which its chat template shows. A template that does
//! not know tools gets them told in the system message, in the style of Hermes.

mod call;
mod grammar;
mod hermes;
mod llama;
mod mistral;
mod parser;
mod preamble;

pub use self::{
    call::{Tool, ToolCall},
    grammar::Calls,
    parser::{Parser, Piece},
    preamble::without_tools,
};

/// How a model writes its calls down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`: Hermes, Qwen and many more.
    Hermes,
    /// `[TOOL_CALLS][{"name": …, "arguments": …}]` or `[TOOL_CALLS]name[ARGS]{…}`: Mistral.
    Mistral,
    /// The whole answer is `{"name": …, "parameters": …}`, maybe after `<|python_tag|>`: Llama 3.
    Llama,
}

impl Style {
    /// The style that a chat template shows; `None` for one that we cannot read. Templates that do
    /// not know tools at all are told of them by us, in our own style.
    pub fn of_template(source: &str) -> Option<Self> {
        let shows = |text| source.contains(text);
        match () {
            () if !knows_tools(source) || shows(hermes::OPEN) => Some(Self::Hermes),
            () if shows(mistral::OPEN) => Some(Self::Mistral),
            () if shows(llama::OPEN) || (shows("\"parameters\"") && shows("<|start_header_id|>")) => Some(Self::Llama),
            () => None,
        }
    }

    /// Names of tokens that are part of a call, though they are no text in some vocabularies.
    pub fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Hermes => &[hermes::OPEN, hermes::CLOSE],
            Self::Mistral => &[mistral::OPEN, mistral::ID, mistral::ARGUMENTS],
            Self::Llama => &[llama::OPEN],
        }
    }
}

/// Whether a chat template writes tools down itself.
pub fn knows_tools(source: &str) -> bool {
    source.contains("tools")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("{% for m in messages %}{{ m.content }}{% endfor %}", Some(Style::Hermes))]
    #[case("{% if tools %}<tool_call>{% endif %}", Some(Style::Hermes))]
    #[case("{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]", Some(Style::Mistral))]
    #[case("{% if tools %}<|python_tag|>", Some(Style::Llama))]
    #[case(
        "{% if tools %}<|start_header_id|>{\"name\": x, \"parameters\": y}",
        Some(Style::Llama)
    )]
    #[case("{% if tools %}<|tool▁calls▁begin|>", None)]
    fn templates_show_their_style(#[case] source: &str, #[case] style: Option<Style>) {
        assert_eq!(Style::of_template(source), style);
    }
}
