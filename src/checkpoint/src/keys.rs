//! Metadata keys of a virtual header that GGUF files of other programs do not have.

/// The whole of `tokenizer.json`, under the name that the GGUF specification gives it.
pub const TOKENIZER: &str = "tokenizer.huggingface.json";
/// All tokens that end an answer; `tokenizer.ggml.eos_token_id` is the one that templates write.
pub const END_TOKENS: &str = "tokenizer.end_token_ids";
/// How an encoder's token vectors become one: `mean`, `cls` or `max`.
pub const POOLING: &str = "sentence_transformers.pooling";
/// Longest text of an encoder in tokens, its marks included, where that is less than its context.
pub const MAX_SEQUENCE_LENGTH: &str = "sentence_transformers.max_sequence_length";
