//! Writes a conversation down the way the model was trained on, by its Jinja template.

use anyhow::{Context, Result};
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;

const NAME: &str = "chat";

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What it says.
    pub content: String,
}

/// A compiled template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    begin: String,
    end: String,
}

impl ChatTemplate {
    /// Compiles `source`; `marks` are the names of the tokens that begin and end a text.
    ///
    /// # Errors
    /// When it is no Jinja.
    pub fn new(source: String, marks: [&str; 2]) -> Result<Self> {
        let mut environment = Environment::new();
        // As `transformers` sets Jinja up: templates are written for it.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |text: String| -> Result<(), Error> {
            Err(Error::new(ErrorKind::InvalidOperation, text))
        });
        environment
            .add_template_owned(NAME, source)
            .context("failed to read the chat template")?;
        let [begin, end] = marks.map(Into::into);
        Ok(Self {
            environment,
            begin,
            end,
        })
    }

    /// The text of a conversation up to where the model's answer begins.
    ///
    /// # Errors
    /// What the template says against the conversation, such as roles that do not alternate.
    pub fn render(&self, messages: &[Message]) -> Result<String, String> {
        let template = self.environment.get_template(NAME).map_err(reason)?;
        template
            .render(context! {
                messages,
                add_generation_prompt => true,
                bos_token => self.begin,
                eos_token => self.end,
            })
            .map_err(reason)
    }

    /// Checks that a conversation with this system message can be written.
    ///
    /// # Errors
    /// What the template says against it.
    pub fn check(&self, system: &str) -> Result<()> {
        let message = |role: &str, content: &str| Message {
            role: role.into(),
            content: content.into(),
        };
        let conversation = [message("system", system), message("user", "Hello.")];
        let rendered = self.render(&conversation).map_err(anyhow::Error::msg);
        rendered.map(drop).context("failed to set the system prompt")
    }
}

fn reason(error: Error) -> String {
    error.detail().map_or_else(|| error.to_string(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, content: &str) -> Message {
        Message {
            role: role.into(),
            content: content.into(),
        }
    }

    #[test]
    fn blocks_leave_no_lines_and_marks_are_known() {
        let source = "{% for m in messages %}\n{{ bos_token }}{{ m['role'] }}: {{ m.content.strip() }}\n  {% endfor %}\n{% if add_generation_prompt %}>{{ eos_token }}{% endif %}";
        let template = ChatTemplate::new(source.into(), ["<s>", "</s>"]).unwrap();
        let text = template
            .render(&[message("user", " a "), message("assistant", "b")])
            .unwrap();
        assert_eq!(text, "<s>user: a\n<s>assistant: b\n></s>");
    }

    #[test]
    fn what_a_template_refuses_is_said() {
        let source =
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}";
        let template = ChatTemplate::new(source.into(), ["", ""]).unwrap();
        let error = template.render(&[message("system", "x")]).unwrap_err();
        assert!(error.contains("System role not supported"), "{error}");
        assert!(template.check("x").is_err());
        assert!(template.render(&[message("user", "x")]).is_ok());
    }

    #[test]
    fn text_in_messages_is_never_a_template() {
        let template = ChatTemplate::new("{{ messages[0].content }}".into(), ["", ""]).unwrap();
        assert_eq!(
            template.render(&[message("user", "{{ 1 + 1 }} <b>")]).unwrap(),
            "{{ 1 + 1 }} <b>"
        );
        assert!(ChatTemplate::new("{% for %}".into(), ["", ""]).is_err());
    }
}
