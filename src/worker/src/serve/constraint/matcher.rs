//! A compiled grammar at work.

use engine::{TokenConstraint, TokenMask};
use llguidance::{Matcher, ParserFactory};

use super::Grammar;

/// Follows one answer through a grammar.
pub struct GrammarMatcher(Matcher);

impl GrammarMatcher {
    /// Compiles a grammar, up to what may come first.
    ///
    /// # Errors
    /// Why it cannot be compiled, or that nothing matches it.
    pub fn compile(factory: &ParserFactory, grammar: &Grammar) -> Result<Self, String> {
        let parser = factory.create_parser(grammar.compiler_input());
        let mut matcher = Matcher::new(Ok(parser.map_err(reason)?));
        let first = matcher.compute_mask().map_err(reason)?;
        match first.is_zero() {
            true => Err("no text matches it".into()),
            false => Ok(Self(matcher)),
        }
    }
}

impl TokenConstraint for GrammarMatcher {
    fn mask(&mut self, allowed: &mut TokenMask) -> Result<(), String> {
        let tokens = self.0.compute_mask_or_eos().map_err(reason)?;
        allowed.allow_words(tokens.as_slice());
        Ok(())
    }

    fn accept(&mut self, token: u32) -> Result<(), String> {
        self.0.consume_token(token).map_err(reason)
    }

    fn is_complete(&self) -> bool {
        self.0.is_stopped()
    }

    fn duplicate(&self) -> Box<dyn TokenConstraint> {
        Box::new(Self(self.0.deep_clone()))
    }
}

/// The first lines of an error: what follows are the compiler's own affairs.
fn reason(error: impl ToString) -> String {
    let text = error.to_string();
    let text = text.split("<backtrace>").next().unwrap_or_default();
    text.trim().chars().take(500).collect()
}
