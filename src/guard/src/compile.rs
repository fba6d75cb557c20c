//! From what is asked for to what can be used.

use std::sync::Arc;

use crate::{
    check::{Action, Check, Scoring},
    detect::{injection, invisible, personal, secrets},
    guard::Guard,
    rule::Rule,
    spec::{CheckSpec, Detector, Spec},
};

/// What is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A field asks for what is not built.
    Unsupported(String),
    /// A field makes no sense.
    Invalid(String),
}

/// Checks of both directions, ready to be used.
#[derive(Clone, Debug)]
pub struct Guardrails {
    /// For requests.
    pub input: Arc<Guard>,
    /// For texts of a request that were looked at one by one, put together.
    pub joined: Arc<Guard>,
    /// For answers.
    pub output: Arc<Guard>,
    /// For what comes beside an answer, like arguments of tools: it has a form and a length of its own.
    pub aside: Arc<Guard>,
}

type Built = (Check, Detector, Vec<Arc<Rule>>);

impl Guardrails {
    /// Makes `spec` ready.
    ///
    /// # Errors
    /// Every fault, with its field.
    pub fn compile(spec: &Spec) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let input = direction("input", &spec.input, spec.on_violation, &mut faults);
        let output = direction("output", &spec.output, spec.on_violation, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let is_about_all = |it: &Detector| matches!(it, Detector::Length | Detector::Json);
        Ok(Self {
            joined: guard(&input, |it| !is_about_all(it)),
            input: guard(&input, |_| true),
            aside: guard(&output, |it| !is_about_all(it)),
            output: guard(&output, |_| true),
        })
    }
}

fn guard(built: &[Built], wanted: impl Fn(&Detector) -> bool) -> Arc<Guard> {
    let wanted = built.iter().filter(|(_, detector, _)| wanted(detector));
    let checks = wanted.map(|(check, _, rules)| (check.clone(), rules.clone()));
    Arc::new(Guard::new(checks.collect()))
}

fn direction(name: &str, specs: &[CheckSpec], default: Action, faults: &mut Vec<Fault>) -> Vec<Built> {
    let mut built = Vec::new();
    for spec in specs {
        let field = format!("spec.guardrails.{name}[{}]", spec.name);
        match check(spec, default, name == "input") {
            Ok(check) => built.push(check),
            Err(Fault::Unsupported(what)) => faults.push(Fault::Unsupported(format!("{field}.{what}"))),
            Err(Fault::Invalid(what)) => faults.push(Fault::Invalid(format!("{field}.{what}"))),
        }
    }
    built
}

fn check(spec: &CheckSpec, default: Action, is_input: bool) -> Result<Built, Fault> {
    let invalid = |what: String| Fault::Invalid(what);
    let detector = spec.detector;
    let action = spec.on_violation.unwrap_or(default);
    let rules = match detector {
        Detector::PersonalData => personal::rules(&spec.kinds, &spec.locales),
        Detector::Secrets => secrets::rules(),
        Detector::PromptInjection => injection::rules(),
        Detector::InvisibleUnicode => invisible::rules(),
        Detector::Pattern => {
            let pattern = spec.pattern.as_deref().unwrap_or_default();
            let rule = Rule::custom(pattern);
            vec![Arc::new(rule.map_err(|fault| invalid(format!("pattern: {fault}")))?)]
        }
        Detector::Length | Detector::Json => Vec::new(),
        Detector::Toxicity | Detector::Model => {
            return Err(Fault::Unsupported(format!(
                "detector {detector:?} (use PersonalData, Secrets, PromptInjection, Pattern, InvisibleUnicode, Length or Json)"
            )));
        }
    };
    if detector == Detector::Json && is_input {
        return Err(invalid(
            "detector Json is for answers: move it to spec.guardrails.output".into(),
        ));
    }
    if rules.is_empty() && action == Action::Redact {
        return Err(invalid(format!(
            "onViolation Redact means nothing with detector {detector:?}: set Refuse or Annotate"
        )));
    }
    if (detector == Detector::Length) != spec.max_length.is_some() {
        return Err(invalid(
            "maxLength belongs to detector Length, and the other way round".into(),
        ));
    }
    let threshold = match &spec.threshold {
        None => DEFAULT_THRESHOLD,
        Some(text) => {
            let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
            number.ok_or_else(|| invalid("threshold must be a number from 0 to 1".into()))?
        }
    };
    let check = Check {
        name: spec.name.clone(),
        action,
        threshold,
        scoring: match detector {
            Detector::PromptInjection => Scoring::Summed,
            _ => Scoring::Single,
        },
        max_length: spec.max_length,
        is_json: detector == Detector::Json,
    };
    Ok((check, detector, rules))
}

const DEFAULT_THRESHOLD: f64 = 0.5;
