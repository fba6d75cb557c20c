//! What the result is to be.

use std::path::PathBuf;

use serde::Serialize;

use crate::Error;

/// What weights become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Quantization {
    /// They keep their type. (Pruned block formats become bfloat16.)
    #[default]
    None,
    /// bfloat16.
    #[value(name = "bf16")]
    BF16,
    /// IEEE half precision.
    #[value(name = "fp16")]
    FP16,
    /// 8 bits, a scale for 32 weights.
    Int8,
    /// 4 bits, a scale and a minimum for 32 weights; the embedding and the head have 8 bits.
    Int4,
}

/// How 4-bit weights are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Method {
    /// Round to nearest between a group's minimum and maximum.
    #[value(name = "rtn")]
    #[serde(rename = "RTN")]
    Rtn,
    /// Half-quadratic: moves the zero point until few weights are far off. Needs no text.
    #[value(name = "hqq")]
    #[serde(rename = "HQQ")]
    Hqq,
    /// Activation-aware: gives the channels that carry much finer steps.
    #[value(name = "awq")]
    #[serde(rename = "AWQ")]
    Awq,
    /// Scales channels as AWQ does, then makes up for each weight's error in the weights that follow.
    #[value(name = "gptq")]
    #[serde(rename = "GPTQ")]
    Gptq,
}

/// What goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Pruning {
    /// The smallest weights of each row become zero. Makes nothing faster or smaller.
    Magnitude,
    /// The weights whose products are smallest on the calibration text become zero. Makes nothing
    /// faster or smaller.
    Wanda,
    /// Whole parts of the network go: the model becomes smaller and faster.
    Structured,
}

/// The parts of the network that structured pruning leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Structure {
    /// Feed-forward channels, as many in each layer; what stays is refitted.
    Channels,
    /// Whole layers: those that change what passes through them least.
    Layers,
}

/// Arguments of `prepare` that ask for compression.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(id = "compression")]
pub struct Args {
    /// What the weights become.
    #[arg(long, value_enum, default_value_t, requires = "store", ignore_case = true)]
    pub quantization: Quantization,
    /// How 4-bit weights are chosen. Default: gptq.
    #[arg(long, value_enum, ignore_case = true)]
    pub method: Option<Method>,
    /// Weights that share a scale and a minimum: 32, 64 or 128.
    #[arg(long, value_name = "WEIGHTS")]
    pub group_size: Option<u32>,
    /// What to leave out.
    #[arg(long, value_enum, requires = "sparsity", requires = "store", ignore_case = true)]
    pub pruning: Option<Pruning>,
    /// What structured pruning leaves out. Default: channels.
    #[arg(long, value_enum, requires = "pruning", ignore_case = true)]
    pub structure: Option<Structure>,
    /// How much to leave out: 0.5 is half.
    #[arg(long, value_name = "SHARE", requires = "pruning")]
    pub sparsity: Option<f64>,
    /// The most that perplexity may rise: 0.05 is 5 %. Default: no limit.
    #[arg(long, value_name = "SHARE")]
    pub max_perplexity_increase: Option<f64>,
    /// Text to calibrate on and to measure perplexity with: plain, or JSON lines with "text" (*.jsonl).
    /// Default: a sample of English prose and code.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
    /// Directory of compressed models; the result goes to a directory named after its digest.
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// Arguments that fit each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What weights become.
    pub quantization: Quantization,
    /// How, if that is [`Quantization::Int4`].
    pub method: Option<Method>,
    /// Weights that share a scale.
    pub group_size: usize,
    /// What goes, and the share of it.
    pub pruning: Option<(Pruning, f64)>,
    /// The parts that go, if that is [`Pruning::Structured`]; none for channels.
    pub structure: Option<Structure>,
    /// The most that perplexity may rise, as a share.
    pub max_increase: Option<f64>,
    /// The calibration text; none for the sample.
    pub calibration: Option<PathBuf>,
    /// Where results go.
    pub store: PathBuf,
}

impl Args {
    /// The options; `None` if no compression is asked for.
    ///
    /// # Errors
    /// When an argument makes no sense, alone or beside another.
    pub fn options(&self) -> Result<Option<Options>, Error> {
        let refuse = |message: &str| Err(Error::Options(message.into()));
        let int4 = self.quantization == Quantization::Int4;
        if !int4 && self.method.is_some() {
            return refuse("--method chooses 4-bit weights; leave it out or give --quantization int4");
        }
        if !int4 && self.group_size.is_some() {
            return refuse("--group-size is of 4-bit weights; leave it out or give --quantization int4");
        }
        let group_size = self.group_size.unwrap_or(32) as usize;
        if ![32, 64, 128].contains(&group_size) {
            return refuse("--group-size must be 32, 64 or 128");
        }
        if self.sparsity.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            return refuse("--sparsity must be above 0 and below 1: 0.5 leaves out half");
        }
        if self
            .max_perplexity_increase
            .is_some_and(|share| !(share >= 0.0 && share.is_finite()))
        {
            return refuse("--max-perplexity-increase must be 0 or more: 0.05 allows 5 %");
        }
        let pruning = match (self.pruning, self.sparsity) {
            (Some(pruning), Some(sparsity)) => Some((pruning, sparsity)),
            (None, None) => None,
            _ => return refuse("--pruning and --sparsity go together"),
        };
        if self.pruning != Some(Pruning::Structured) && self.structure.is_some() {
            return refuse("--structure is of structured pruning; leave it out or give --pruning structured");
        }
        if self.quantization == Quantization::None && pruning.is_none() {
            return Ok(None);
        }
        let Some(store) = self.store.clone() else {
            return refuse("a compressed model needs a place: give --store");
        };
        Ok(Some(Options {
            quantization: self.quantization,
            method: int4.then(|| self.method.unwrap_or(Method::Gptq)),
            group_size,
            pruning,
            structure: self.structure,
            max_increase: self.max_perplexity_increase,
            calibration: self.calibration.clone(),
            store,
        }))
    }
}

impl Options {
    /// The parts that structured pruning leaves out, and the share of them.
    pub(crate) fn structured(&self) -> Option<(Structure, f64)> {
        match self.pruning {
            Some((Pruning::Structured, share)) => Some((self.structure.unwrap_or(Structure::Channels), share)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Cli::try_parse_from(["prepare"].into_iter().chain(line.split_whitespace())).map(|cli| cli.args)
    }

    #[test]
    fn nothing_asked_for_is_nothing_to_do() {
        assert_eq!(parse("").unwrap().options().unwrap(), None);
        assert_eq!(
            parse("--quantization none --store /s").unwrap().options().unwrap(),
            None
        );
    }

    #[test]
    fn what_is_asked_for_is_understood() {
        let line = "--quantization int4 --method awq --pruning structured --sparsity 0.25 \
                    --max-perplexity-increase 0.05 --store /s";
        let options = parse(line).unwrap().options().unwrap().unwrap();
        assert_eq!(options.method, Some(Method::Awq));
        assert_eq!(options.pruning, Some((Pruning::Structured, 0.25)));
        assert_eq!(options.structured(), Some((Structure::Channels, 0.25)));
        assert_eq!((options.group_size, options.max_increase), (32, Some(0.05)));
        let eight = parse("--quantization Int8 --store /s")
            .unwrap()
            .options()
            .unwrap()
            .unwrap();
        assert_eq!((eight.quantization, eight.method), (Quantization::Int8, None));
        let line = "--pruning structured --structure Layers --sparsity 0.1 --store /s";
        let fewer = parse(line).unwrap().options().unwrap().unwrap();
        assert_eq!(fewer.structured(), Some((Structure::Layers, 0.1)));
    }

    #[rstest]
    #[case("--quantization int8 --method rtn --store /s", "--method")]
    #[case("--quantization int8 --group-size 64 --store /s", "--group-size")]
    #[case("--quantization int4 --group-size 48 --store /s", "--group-size")]
    #[case("--pruning wanda --sparsity 1 --store /s", "--sparsity")]
    #[case("--pruning wanda --sparsity NaN --store /s", "--sparsity")]
    #[case("--quantization int4 --max-perplexity-increase -1 --store /s", "unexpected argument")]
    #[case(
        "--quantization int4 --max-perplexity-increase=-1 --store /s",
        "--max-perplexity-increase"
    )]
    #[case("--quantization int4", "--store")]
    #[case("--pruning wanda --store /s", "--sparsity")]
    #[case("--sparsity 0.5 --store /s", "--pruning")]
    #[case("--structure layers --store /s", "--pruning")]
    #[case("--pruning wanda --sparsity 0.5 --structure layers --store /s", "--structure")]
    fn what_makes_no_sense_is_named(#[case] line: &str, #[case] says: &str) {
        let message = match parse(line) {
            Ok(args) => args.options().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(message.contains(says), "{message}");
    }
}
