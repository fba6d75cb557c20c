//! Writes a conversation down the way the model was trained on, by its Jinja template.

use anyhow::{Context, Result, bail};
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;
use serde_json::Value;

use super::tools::{Style, Tool, knows_tools, without_tools};

mod json;
mod limits;

const NAME: &str = "chat";

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What it says.
    pub content: String,
    /// Calls that the assistant made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Call>,
    /// The call whose result this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message of text.
    pub fn new(role: &str, content: &str) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }
}

/// A call of a tool, as templates expect it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// Names it in its result.
    pub id: String,
    /// `function`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What is called.
    pub function: Function,
}

/// What a call calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Function {
    /// The tool.
    pub name: String,
    /// An object, not its text.
    pub arguments: Value,
}

/// A compiled template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    begin: String,
    end: String,
    knows_tools: bool,
    style: Option<Style>,
}

impl ChatTemplate {
    /// Compiles `source`; `marks` are the names of the tokens that begin and end a text.
    ///
    /// # Errors
    /// When it is no Jinja, or longer than any real one.
    pub fn new(source: String, marks: [&str; 2]) -> Result<Self> {
        if source.len() > limits::SOURCE {
            bail!(
                "the chat template has {} bytes, at most {} are supported",
                source.len(),
                limits::SOURCE
            );
        }
        let (knows_tools, style) = (knows_tools(&source), Style::of_template(&source));
        let mut environment = Environment::new();
        // As `transformers` sets Jinja up: templates are written for it.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        limits::set(&mut environment);
        environment.add_function("raise_exception", |text: String| -> Result<(), Error> {
            Err(Error::new(ErrorKind::InvalidOperation, text))
        });
        environment.add_filter("tojson", json::dump);
        let compiled = limits::with_stack(|| environment.add_template_owned(NAME, source));
        compiled
            .map_err(anyhow::Error::msg)
            .and_then(|compiled| Ok(compiled?))
            .context("failed to read the chat template")?;
        let [begin, end] = marks.map(Into::into);
        Ok(Self {
            environment,
            begin,
            end,
            knows_tools,
            style,
        })
    }

    /// How the model writes calls of tools down; `None` if we cannot read it.
    pub fn style(&self) -> Option<Style> {
        self.style
    }

    /// The text of a conversation up to where the model's answer begins.
    ///
    /// # Errors
    /// What the template says against the conversation, such as roles that do not alternate.
    pub fn render(&self, messages: Vec<Message>, tools: &[Tool]) -> Result<String, String> {
        let (messages, tools) = self.prepared(messages, tools);
        self.written(&messages, tools.as_deref(), true)
    }

    /// The text of a conversation up to where its last message begins, which is the model's answer, and the text of that.
    ///
    /// # Errors
    /// As [`Self::render`], and where the template writes an answer otherwise than after its prompt.
    pub fn render_answer(&self, messages: Vec<Message>, tools: &[Tool]) -> Result<(String, String), String> {
        let (mut messages, tools) = self.prepared(messages, tools);
        let whole = self.written(&messages, tools.as_deref(), false)?;
        messages.pop();
        let prompt = self.written(&messages, tools.as_deref(), true)?;
        let Some(answer) = whole.strip_prefix(&prompt) else {
            return Err("it writes what comes before an answer differently when the answer is there".into());
        };
        Ok((prompt, answer.to_owned()))
    }

    /// What the template is given.
    fn prepared(&self, messages: Vec<Message>, tools: &[Tool]) -> (Vec<Message>, Option<Vec<Value>>) {
        let messages = match self.knows_tools {
            true => messages,
            false => without_tools(messages, tools),
        };
        let tools = match tools {
            [] => None,
            tools => Some(tools.iter().map(Tool::for_template).collect()),
        };
        (messages, tools)
    }

    /// The text of some messages without tools; with `prompt` up to where the model's answer begins, otherwise up to
    /// the end of the last one.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_turns(&self, messages: &[Message], prompt: bool) -> Result<String, String> {
        self.written(messages, None, prompt)
    }

    fn written(&self, messages: &[Message], tools: Option<&[Value]>, prompt: bool) -> Result<String, String> {
        limits::with_stack(|| {
            self.write(messages, tools, prompt)
                .map_err(|error| limits::reason(&error))
        })
        .and_then(|written| written)
    }

    fn write(&self, messages: &[Message], tools: Option<&[Value]>, prompt: bool) -> Result<String, Error> {
        let context = context! {
            messages,
            tools,
            add_generation_prompt => prompt,
            bos_token => self.begin,
            eos_token => self.end,
        };
        let mut output = limits::Output::default();
        let template = self.environment.get_template(NAME)?;
        template.render_captured_to(context, &mut output)?;
        output.into_text()
    }

    /// Checks that a conversation with this system message can be written.
    ///
    /// # Errors
    /// What the template says against it.
    pub fn check(&self, system: &str) -> Result<()> {
        let conversation = vec![Message::new("system", system), Message::new("user", "Hello.")];
        let rendered = self.render(conversation, &[]).map_err(anyhow::Error::msg);
        rendered.map(drop).context("failed to set the system prompt")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn blocks_leave_no_lines_and_marks_are_known() {
        let source = "{% for m in messages %}\n{{ bos_token }}{{ m['role'] }}: {{ m.content.strip() }}\n  {% endfor %}\n{% if add_generation_prompt %}>{{ eos_token }}{% endif %}";
        let template = ChatTemplate::new(source.into(), ["<s>", "</s>"]).unwrap();
        let text = template
            .render(vec![Message::new("user", " a "), Message::new("assistant", "b")], &[])
            .unwrap();
        assert_eq!(text, "<s>user: a\n<s>assistant: b\n></s>");
    }

    #[test]
    fn an_answer_is_cut_from_its_prompt() {
        let source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}\n{% endfor %}\
            {% if add_generation_prompt %}<assistant>{% endif %}";
        let conversation = || vec![Message::new("user", "a"), Message::new("assistant", "b")];
        let template = ChatTemplate::new(source.into(), ["", "</s>"]).unwrap();
        let (prompt, answer) = template.render_answer(conversation(), &[]).unwrap();
        assert_eq!((&*prompt, &*answer), ("<user>a</s>\n<assistant>", "b</s>\n"));
        let source = "{{ messages|length }}";
        let template = ChatTemplate::new(source.into(), ["", ""]).unwrap();
        assert!(template.render_answer(conversation(), &[]).is_err());
    }

    #[test]
    fn what_a_template_refuses_is_said() {
        let source =
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}";
        let template = ChatTemplate::new(source.into(), ["", ""]).unwrap();
        let error = template.render(vec![Message::new("system", "x")], &[]).unwrap_err();
        assert!(error.contains("System role not supported"), "{error}");
        assert!(template.check("x").is_err());
        assert!(template.render(vec![Message::new("user", "x")], &[]).is_ok());
    }

    #[test]
    fn tools_are_written_as_python_would() {
        let source = "{% if tools is not none %}{% for t in tools %}{{ t | tojson }}\n{% endfor %}{% endif %}\
            {% for m in messages %}{% if 'tool_calls' in m %}{{ m.tool_calls[0].function.arguments | tojson }}\
            {% else %}{{ m.content }}{% endif %}{% endfor %}";
        let template = ChatTemplate::new(source.into(), ["", ""]).unwrap();
        let tool = Tool {
            name: "z".into(),
            description: Some("<é> & 'a'".into()),
            parameters: serde_json::json!({"type": "object", "properties": {}}),
            strict: false,
        };
        let mut call = Message::new("assistant", "");
        call.tool_calls.push(Call {
            id: "1".into(),
            kind: "function",
            function: Function {
                name: "z".into(),
                arguments: serde_json::json!({"b": [1, 2.5], "a": null}),
            },
        });
        assert_eq!(
            template.render(vec![call, Message::new("user", "x")], &[tool]).unwrap(),
            "{\"type\": \"function\", \"function\": {\"name\": \"z\", \"description\": \"<é> & 'a'\", \
             \"parameters\": {\"type\": \"object\", \"properties\": {}}}}\n{\"b\": [1, 2.5], \"a\": null}x"
        );
        assert_eq!(template.render(vec![Message::new("user", "x")], &[]).unwrap(), "x");
    }

    #[rstest]
    #[case(
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "more than 2000000 steps"
    )]
    #[case("{% for i in range(9999) %}{{ 'x' * 9999 }}{% endfor %}", "more than 33554432 bytes")]
    #[case("{{ 'x'|indent(1001, true) }}", "wider than 1000")]
    #[case("{{ 'x'|indent(width=9999999999) }}", "wider than 1000")]
    #[case("{{ '%1001s'|format(1) }}", "wider than 1000")]
    #[case("{{ '{:.99999}'.format(1.5) }}", "wider than 1000")]
    fn what_would_take_forever_is_refused(#[case] source: &str, #[case] expected: &str) {
        let template = ChatTemplate::new(source.into(), ["", ""]).unwrap();
        let error = template.render(vec![Message::new("user", "x")], &[]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[rstest]
    #[case("{{ 1", "|d", " }}")]
    #[case("{{ ", "not ", "1 }}")]
    #[case("{{ 1", " if 0 else 1", " }}")]
    #[case("{% if 0 %}", "{% elif 0 %}", "{% endif %}")]
    fn long_chains_are_compiled(#[case] begin: &str, #[case] link: &str, #[case] end: &str) {
        let links = (limits::SOURCE - begin.len() - end.len()) / link.len();
        let source = format!("{begin}{}{end}", link.repeat(links));
        let template = ChatTemplate::new(source.clone(), ["", ""]).unwrap();
        assert!(template.render(vec![Message::new("user", "x")], &[]).is_ok());
        assert!(ChatTemplate::new(source + &" ".repeat(64), ["", ""]).is_err());
    }

    #[test]
    fn deep_values_are_written() {
        let source = "{% set ns = namespace(x=[]) %}{% for i in range(50000) %}{% set ns.x = [ns.x] %}{% endfor %}\
            {{ ns.x|tojson|length }} {{ ns.x|string|length }}";
        let template = ChatTemplate::new(source.into(), ["", ""]).unwrap();
        let text = template.render(vec![Message::new("user", "x")], &[]).unwrap();
        assert_eq!(text, "100002 100002");
    }

    #[test]
    fn small_fields_and_indentations_are_filled() {
        let source = "{{ '%3s|'|format(1) }}{{ 'a\nb'|indent(2, true) }}{{ 'a\nb'|indent(first=true) }}";
        let template = ChatTemplate::new(source.into(), ["", ""]).unwrap();
        let text = template.render(vec![Message::new("user", "x")], &[]).unwrap();
        assert_eq!(text, "  1|  a\n  b    a\n    b");
    }

    #[test]
    fn text_in_messages_is_never_a_template() {
        let template = ChatTemplate::new("{{ messages[0].content }}".into(), ["", ""]).unwrap();
        assert_eq!(
            template
                .render(vec![Message::new("user", "{{ 1 + 1 }} <b>")], &[])
                .unwrap(),
            "{{ 1 + 1 }} <b>"
        );
        assert!(ChatTemplate::new("{% for %}".into(), ["", ""]).is_err());
    }
}
