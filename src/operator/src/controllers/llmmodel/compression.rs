//! How weights are made smaller, and whether the loss is within what the spec allows. Pure.

use api::llmmodel::{Compress, Pruning, PruningMethod, PruningStructure, Quantization, QuantizationMethod};
use protocol::{CompressionEstimate, CompressionReport, PrepareReport};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{canonical, quantity, source::Source};

/// `spec.compress` with all defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compression {
    /// Number format.
    pub quantization: Quantization,
    /// How integers are chosen; of Int4 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<QuantizationMethod>,
    /// Weights that share one scale, when the spec says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_size: Option<i32>,
    /// What to leave out of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruning: Option<Pruning>,
    /// Text to calibrate and to measure with, when it is not the worker's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Source>,
    /// The largest increase of the perplexity: `5%`.
    pub max_perplexity_increase: String,
}

/// The option of `prepare` and its value.
type Flag = (&'static str, String);

impl Compression {
    /// What the spec asks for; `None` when it leaves the weights as they are.
    pub fn new(spec: &Compress) -> Option<Self> {
        if spec.quantization == Quantization::None && spec.pruning.is_none() {
            return None;
        }
        let method = match spec.quantization {
            Quantization::Int4 => Some(spec.method.unwrap_or(QuantizationMethod::GPTQ)),
            Quantization::None | Quantization::BF16 | Quantization::FP16 | Quantization::Int8 => None,
        };
        let text = spec.calibration.as_ref().map(|calibration| &calibration.source);
        Some(Self {
            quantization: spec.quantization,
            method,
            group_size: spec.group_size,
            pruning: spec.pruning.clone().map(with_structure),
            calibration: text.and_then(Source::of_file),
            max_perplexity_increase: spec.max_perplexity_increase.clone(),
        })
    }

    /// `c-` and ten hex digits over what decides the result: it names the Job and the claim. The limit is
    /// no part of it, so that another one is judged by what was measured before.
    pub fn key(&self, source: &Source) -> String {
        let Self {
            quantization,
            method,
            group_size,
            pruning,
            calibration,
            max_perplexity_increase: _,
        } = self;
        let text = calibration.as_ref().map(Source::key);
        let result = json!([source.key(), quantization, method, group_size, pruning, text]);
        format!("c-{}", canonical::digest(&result, 10))
    }

    /// What `prepare` is told, in order.
    pub fn flags(&self) -> Vec<Flag> {
        let quantization = match self.quantization {
            Quantization::None => "none",
            Quantization::BF16 => "bf16",
            Quantization::FP16 => "fp16",
            Quantization::Int8 => "int8",
            Quantization::Int4 => "int4",
        };
        let mut flags: Vec<Flag> = vec![("--quantization", quantization.into())];
        if let Some(method) = self.method {
            let method = match method {
                QuantizationMethod::RTN => "rtn",
                QuantizationMethod::HQQ => "hqq",
                QuantizationMethod::AWQ => "awq",
                QuantizationMethod::GPTQ => "gptq",
            };
            flags.push(("--method", method.into()));
        }
        flags.extend(self.group_size.map(|size| ("--group-size", size.to_string())));
        if let Some(pruning) = &self.pruning {
            let method = match pruning.method {
                PruningMethod::Magnitude => "magnitude",
                PruningMethod::Wanda => "wanda",
                PruningMethod::Structured => "structured",
            };
            flags.push(("--pruning", method.into()));
            flags.extend(pruning.structure.map(|structure| {
                let structure = match structure {
                    PruningStructure::Channels => "channels",
                    PruningStructure::Layers => "layers",
                };
                ("--structure", structure.into())
            }));
            flags.push(("--sparsity", fraction(&pruning.sparsity)));
        }
        flags.push(("--max-perplexity-increase", fraction(&self.max_perplexity_increase)));
        flags
    }

    /// What the step takes, given what is known of the source.
    pub fn estimate(&self, source: &PrepareReport) -> CompressionEstimate {
        // With the scales of blocks of 32 weights.
        let bits = match self.quantization {
            Quantization::None => None,
            Quantization::BF16 | Quantization::FP16 => Some(16),
            Quantization::Int8 => Some(9),
            Quantization::Int4 => Some(5),
        };
        CompressionEstimate::new(&source.model, source.bytes, bits)
    }

    /// Whether a measured loss is within the limit. What cannot be read is not.
    pub fn allows(&self, measured: &CompressionReport) -> bool {
        if measured.increase.starts_with('-') {
            return true;
        }
        let percent = |text: &str| quantity::nanos(text.strip_suffix('%')?);
        match (percent(&measured.increase), percent(&self.max_perplexity_increase)) {
            (Some(increase), Some(limit)) => increase <= limit,
            _ => false,
        }
    }

    /// For messages: `Int4 by HQQ`.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if self.quantization != Quantization::None {
            let method = self.method.map(|method| format!(" by {method:?}")).unwrap_or_default();
            parts.push(format!("{:?}{method}", self.quantization));
        }
        if let Some(pruning) = &self.pruning {
            let Pruning { method, sparsity, .. } = pruning;
            parts.push(match (method, pruning.structure) {
                (PruningMethod::Structured, Some(PruningStructure::Layers)) => {
                    format!("{sparsity} of the layers pruned")
                }
                (PruningMethod::Structured, _) => format!("{sparsity} of the feed-forward channels pruned"),
                _ => format!("{sparsity} of the weights pruned by {method:?}"),
            });
        }
        parts.join(", ")
    }
}

/// With the default of structured pruning filled in.
fn with_structure(pruning: Pruning) -> Pruning {
    let structured = pruning.method == PruningMethod::Structured;
    let structure = structured.then(|| pruning.structure.unwrap_or(PruningStructure::Channels));
    Pruning { structure, ..pruning }
}

/// `5%` as `0.05`, digit by digit.
fn fraction(percent: &str) -> String {
    let number = percent.trim_end_matches('%');
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let whole = format!("{whole:0>3}");
    let (ones, hundredths) = whole.split_at(whole.len() - 2);
    let decimals = format!("{hundredths}{decimals}");
    let ones = ones.trim_start_matches('0');
    let ones = if ones.is_empty() { "0" } else { ones };
    match decimals.trim_end_matches('0') {
        "" => ones.into(),
        decimals => format!("{ones}.{decimals}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::Value;

    use super::*;
    use crate::controllers::llmmodel::testing::{compression_report, report, wanted};

    fn compression(spec: Value) -> Compression {
        wanted(json!({"compress": spec})).compress.unwrap()
    }

    fn source(image: &str) -> Source {
        serde_json::from_value(json!({"oci": {"image": image}})).unwrap()
    }

    #[rstest]
    #[case("5%", "0.05")]
    #[case("0.1%", "0.001")]
    #[case("12.5%", "0.125")]
    #[case("50%", "0.5")]
    #[case("100%", "1")]
    #[case("100.0%", "1")]
    #[case("0%", "0")]
    fn percent_become_fractions(#[case] percent: &str, #[case] expected: &str) {
        assert_eq!(fraction(percent), expected);
    }

    #[test]
    fn defaults_are_told_to_the_worker() {
        let flags = |spec| {
            let flags = compression(spec).flags();
            let words: Vec<_> = flags
                .into_iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            words.join(" ")
        };
        assert_eq!(
            flags(json!({"quantization": "Int4"})),
            "--quantization int4 --method gptq --max-perplexity-increase 0.05"
        );
        assert_eq!(
            flags(json!({
                "quantization": "Int4", "method": "RTN", "groupSize": 64, "maxPerplexityIncrease": "0.1%",
                "pruning": {"method": "Wanda", "sparsity": "50%"},
            })),
            "--quantization int4 --method rtn --group-size 64 --pruning wanda --sparsity 0.5 --max-perplexity-increase 0.001"
        );
        assert_eq!(
            flags(json!({"pruning": {"method": "Structured", "structure": "Layers", "sparsity": "10%"}})),
            "--quantization none --pruning structured --structure layers --sparsity 0.1 --max-perplexity-increase 0.05"
        );
        assert_eq!(
            flags(json!({"quantization": "BF16"})),
            "--quantization bf16 --max-perplexity-increase 0.05"
        );
    }

    #[test]
    fn the_key_follows_from_what_decides_the_result() {
        let source = source("a");
        let base = compression(json!({"quantization": "Int4"}));
        assert_eq!(base.key(&source).len(), 12);
        for (spec, same) in [
            (json!({"quantization": "Int4", "method": "GPTQ"}), true),
            (json!({"quantization": "Int4", "maxPerplexityIncrease": "1%"}), true),
            (json!({"quantization": "Int4", "method": "HQQ"}), false),
            (json!({"quantization": "Int4", "groupSize": 64}), false),
            (
                json!({"quantization": "Int4", "pruning": {"method": "Wanda", "sparsity": "50%"}}),
                false,
            ),
        ] {
            assert_eq!(
                compression(spec.clone()).key(&source) == base.key(&source),
                same,
                "{spec}"
            );
        }
        assert_ne!(base.key(&source), base.key(&self::source("b")));
        let pruned = |structure: Value| {
            let pruning = json!({"method": "Structured", "structure": structure, "sparsity": "10%"});
            compression(json!({"pruning": pruning}))
        };
        let [default, channels, layers] = [json!(null), json!("Channels"), json!("Layers")].map(pruned);
        assert_eq!(default.key(&source), channels.key(&source));
        assert_ne!(default.key(&source), layers.key(&source));
    }

    #[rstest]
    #[case(json!({"quantization": "Int4", "method": "HQQ"}), "Int4 by HQQ")]
    #[case(
        json!({"quantization": "Int8", "pruning": {"method": "Wanda", "sparsity": "50%"}}),
        "Int8, 50% of the weights pruned by Wanda"
    )]
    #[case(
        json!({"pruning": {"method": "Structured", "sparsity": "20%"}}),
        "20% of the feed-forward channels pruned"
    )]
    #[case(
        json!({"pruning": {"method": "Structured", "structure": "Layers", "sparsity": "10%"}}),
        "10% of the layers pruned"
    )]
    fn people_read_what_was_done(#[case] spec: Value, #[case] expected: &str) {
        assert_eq!(compression(spec).describe(), expected);
    }

    #[rstest]
    #[case("2.31%", "5%", true)]
    #[case("2.31%", "2.31%", true)]
    #[case("2.31%", "0.1%", false)]
    #[case("-0.40%", "0%", true)]
    #[case("lots", "5%", false)]
    fn a_loss_is_judged_by_the_limit(#[case] increase: &str, #[case] limit: &str, #[case] allowed: bool) {
        let compression = compression(json!({"quantization": "Int4", "maxPerplexityIncrease": limit}));
        let measured = CompressionReport {
            increase: increase.into(),
            ..compression_report()
        };
        assert_eq!(compression.allows(&measured), allowed);
    }

    #[test]
    fn four_bits_take_less_room_than_sixteen() {
        let disk = |format: &str| compression(json!({"quantization": format})).estimate(&report()).disk;
        assert!(disk("Int4") < disk("Int8") && disk("Int8") < disk("FP16"));
    }
}
