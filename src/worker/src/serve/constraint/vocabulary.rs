//! The model's vocabulary as the grammar compiler needs it: the bytes of each token.

use std::sync::Arc;

use engine::text::Tokenizer;
use llguidance::{
    ParserFactory,
    toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv},
};

struct Vocabulary {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        if !self.tokenize_is_canonical() {
            return self.trie.greedy_tokenize(bytes);
        }
        // As the model would have been shown them; broken UTF-8 is put together from what fits.
        self.trie.tokenize_with_greedy_fallback(bytes, |text| {
            let tokens = self.tokenizer.encode(text, false);
            tokens.unwrap_or_else(|_| self.trie.greedy_tokenize(text.as_bytes()))
        })
    }

    /// Whether a part of a text becomes the tokens that it has within the text. A space that is put in
    /// front of everything is not part of it.
    fn tokenize_is_canonical(&self) -> bool {
        !self.tokenizer.leading_space()
    }
}

/// A compiler for the model's vocabulary.
///
/// # Errors
/// When the model has no way to end an answer.
pub fn factory(tokenizer: Arc<Tokenizer>) -> Result<ParserFactory, String> {
    let ends = tokenizer.ends().to_vec();
    let end = *ends
        .first()
        .ok_or("the model names no token that ends its answers, so that they cannot be constrained")?;
    let tokens = u32::try_from(tokenizer.len()).map_err(|error| error.to_string())?;
    let words: Vec<Vec<u8>> = (0..tokens).map(|token| word(&tokenizer, token)).collect();
    let trie = TokTrie::from(&TokRxInfo::new(tokens, end), &words).with_eos_tokens(&ends);
    let environment: TokEnv = Arc::new(Vocabulary { tokenizer, trie });
    let mut factory = ParserFactory::new_simple(&environment).map_err(|error| error.to_string())?;
    factory.quiet().limits_mut().verbose_errors = false;
    Ok(factory)
}

/// Control tokens are marked as such, so that no text of a grammar can be one.
fn word(tokenizer: &Tokenizer, token: u32) -> Vec<u8> {
    match tokenizer.bytes(token) {
        [] if tokenizer.name(token).is_empty() => Vec::new(),
        [] => [&[TokTrie::SPECIAL_TOKEN_MARKER], tokenizer.name(token).as_bytes()].concat(),
        bytes => bytes.into(),
    }
}
