//! The names that `transformers` gives to tensors, and those of GGUF files.

/// What becomes of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Its name in GGUF files.
    Known(String),
    /// It holds no weights that the network needs.
    Unused,
    /// The family as we know it has none.
    Stranger,
}

const DECODER_OUTER: [(&str, &str); 3] = [
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];
const DECODER_BLOCK: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];
const ENCODER_OUTER: [(&str, &str); 4] = [
    ("embeddings.word_embeddings", "token_embd"),
    ("embeddings.position_embeddings", "position_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.LayerNorm", "token_embd_norm"),
];
/// What a cross-encoder has besides.
const CROSS_ENCODER: [(&str, &str); 2] = [("pooler.dense", "cls"), ("classifier", "cls.output")];
const ENCODER_BLOCK: [(&str, &str); 8] = [
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.dense", "ffn_down"),
    ("output.LayerNorm", "layer_output_norm"),
];

/// The name of a tensor of Llama, Mistral and Qwen.
pub(crate) fn of_decoder(name: &str) -> Name {
    if let Some(known) = found(&DECODER_OUTER, name) {
        return Name::Known(known.into());
    }
    match in_block(name, "model.layers.") {
        // Old checkpoints keep the frequencies, which follow from the settings.
        Some((_, "self_attn.rotary_emb.inv_freq")) => Name::Unused,
        Some((layer, rest)) => in_table(&DECODER_BLOCK, rest, &format!("blk.{layer}.")),
        None => Name::Stranger,
    }
}

/// The name of a tensor of BERT; `cross` keeps what scores a pair of texts.
pub(crate) fn of_encoder(name: &str, cross: bool) -> Name {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    if name == "embeddings.position_ids" {
        return Name::Unused;
    }
    if let Some((layer, rest)) = in_block(name, "encoder.layer.") {
        return in_table(&ENCODER_BLOCK, rest, &format!("blk.{layer}."));
    }
    match (in_table(&ENCODER_OUTER, name, ""), cross) {
        (Name::Stranger, true) => in_table(&CROSS_ENCODER, name, ""),
        // The pooler is trained on another task; embeddings are pooled without it. Neither are the
        // heads used with which models were trained to guess words.
        (Name::Stranger, false) if name.starts_with("pooler.dense.") || name.starts_with("cls.") => Name::Unused,
        (found, _) => found,
    }
}

/// Splits `model.layers.3.mlp.up_proj.weight` into number and rest.
fn in_block<'a>(name: &'a str, prefix: &str) -> Option<(u32, &'a str)> {
    let (layer, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    let number: u32 = layer.parse().ok()?;
    // No second spelling of a number: two tensors would get one name.
    (number.to_string() == layer).then_some((number, rest))
}

/// Looks up a name without its `.weight` or `.bias`.
fn in_table(table: &[(&str, &'static str)], name: &str, prefix: &str) -> Name {
    let Some((stem, kind)) = name.rsplit_once('.') else {
        return Name::Stranger;
    };
    match found(table, stem).filter(|_| matches!(kind, "weight" | "bias")) {
        Some(known) => Name::Known(format!("{prefix}{known}.{kind}")),
        None => Name::Stranger,
    }
}

fn found(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("lm_head.weight", Some("output.weight"))]
    #[case("model.layers.11.self_attn.q_proj.bias", Some("blk.11.attn_q.bias"))]
    #[case("model.layers.0.self_attn.k_norm.weight", Some("blk.0.attn_k_norm.weight"))]
    #[case("model.layers.00.mlp.up_proj.weight", None)]
    #[case("model.layers.0.mlp.experts.0.up_proj.weight", None)]
    #[case("model.layers.0.mlp.up_proj.qweight", None)]
    #[case("score.weight", None)]
    fn tensors_of_decoders(#[case] name: &str, #[case] expected: Option<&str>) {
        let expected = expected.map_or(Name::Stranger, |known| Name::Known(known.into()));
        assert_eq!(of_decoder(name), expected);
    }

    #[rstest]
    #[case("embeddings.LayerNorm.bias", false, Name::Known("token_embd_norm.bias".into()))]
    #[case("bert.encoder.layer.5.output.dense.weight", true, Name::Known("blk.5.ffn_down.weight".into()))]
    #[case("bert.pooler.dense.weight", true, Name::Known("cls.weight".into()))]
    #[case("classifier.bias", true, Name::Known("cls.output.bias".into()))]
    #[case("pooler.dense.weight", false, Name::Unused)]
    #[case("embeddings.position_ids", false, Name::Unused)]
    #[case("classifier.weight", false, Name::Stranger)]
    fn tensors_of_encoders(#[case] name: &str, #[case] cross: bool, #[case] expected: Name) {
        assert_eq!(of_encoder(name, cross), expected);
    }
}
