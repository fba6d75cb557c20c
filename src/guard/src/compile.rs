//! From what is asked for to what can be used.

use std::sync::Arc;

use crate::{
    check::{Action, Check, Scoring},
    detect::{injection, invisible, personal, secrets},
    guard::Guard,
    rule::Rule,
    spec::{CheckSpec, Detector, Spec, Webhook},
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
    /// Who is asked about requests after that.
    pub input_webhooks: Arc<[NamedWebhook]>,
    /// Who is asked about answers.
    pub output_webhooks: Arc<[NamedWebhook]>,
}

/// A webhook and the check that asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedWebhook {
    /// Name of the check.
    pub check: String,
    /// The webhook.
    pub webhook: Webhook,
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
            input_webhooks: webhooks(&spec.input),
            output_webhooks: webhooks(&spec.output),
        })
    }

    /// Whether anything looks at requests.
    pub fn look_at_requests(&self) -> bool {
        !(self.input.is_empty() && self.input_webhooks.is_empty())
    }

    /// Whether anything looks at answers.
    pub fn look_at_answers(&self) -> bool {
        !(self.output.is_empty() && self.output_webhooks.is_empty())
    }
}

fn webhooks(specs: &[CheckSpec]) -> Arc<[NamedWebhook]> {
    let named = specs.iter().filter_map(|spec| {
        let webhook = spec.webhook.clone()?;
        let check = spec.name.clone();
        Some(NamedWebhook { check, webhook })
    });
    named.collect()
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
        if let Err(fault) = webhook(spec) {
            faults.push(Fault::Invalid(format!("{field}.{fault}")));
            continue;
        }
        if spec.webhook.is_some() {
            continue;
        }
        match check(spec, default, name == "input") {
            Ok(check) => built.push(check),
            Err(Fault::Unsupported(what)) => faults.push(Fault::Unsupported(format!("{field}.{what}"))),
            Err(Fault::Invalid(what)) => faults.push(Fault::Invalid(format!("{field}.{what}"))),
        }
    }
    built
}

/// Whether a check that is a webhook, or is none, says so consistently.
fn webhook(spec: &CheckSpec) -> Result<(), &'static str> {
    let Some(webhook) = &spec.webhook else {
        return match spec.detector {
            Detector::Webhook => Err("webhook is required with detector Webhook"),
            _ => Ok(()),
        };
    };
    if spec.detector != Detector::Webhook {
        return Err("webhook must be left out with any detector but Webhook");
    }
    if spec.on_violation.is_some() || spec.threshold.is_some() {
        return Err("onViolation and threshold must be left out with detector Webhook: its verdict says what happens");
    }
    let has_scheme = ["http://", "https://"]
        .iter()
        .any(|scheme| webhook.url.starts_with(scheme));
    if !has_scheme {
        return Err("webhook.url must begin with http:// or https://");
    }
    if webhook.ca_secret_ref.is_some() && !webhook.url.starts_with("https://") {
        return Err("webhook.caSecretRef means nothing without https:// in webhook.url");
    }
    match webhook.timeout_seconds {
        1..=30 => Ok(()),
        _ => Err("webhook.timeoutSeconds must be 1 to 30"),
    }
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
        // Webhooks have no rules, and do not come here.
        Detector::Length | Detector::Json | Detector::Webhook => Vec::new(),
        Detector::Toxicity | Detector::Model => {
            return Err(Fault::Unsupported(format!(
                "detector {detector:?} (use PersonalData, Secrets, PromptInjection, Pattern, InvisibleUnicode, Length, Json \
                 or Webhook)"
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
