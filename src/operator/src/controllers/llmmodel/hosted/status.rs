//! What the status says of a hosted model. Pure.

use api::{
    LlmModel, LlmModelStatus,
    common::SecretKeyRef,
    conditions::{self, Finding, types},
    llmmodel::Provider,
    names, reasons,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::controllers::llmmodel::{trouble::Trouble, validate::Owner};

/// What is known of a model that is elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// It.
    pub model: &'a LlmModel,
    /// The same as the owner of what is left of workers.
    pub owner: &'a Owner,
    /// Who hosts it.
    pub provider: &'a Provider,
    /// What is wrong with its spec.
    pub trouble: Option<&'a Trouble>,
    /// Whether an HTTPRoute is left from the time when it had workers.
    pub has_route: bool,
    /// Where gateways run.
    pub gateway_namespace: &'a str,
}

/// The status that follows.
pub fn compute(facts: &Facts<'_>, now: &Time) -> LlmModelStatus {
    let Facts {
        model,
        gateway_namespace,
        ..
    } = *facts;
    let before = model.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = model.metadata.generation;
    LlmModelStatus {
        observed_generation: generation,
        conditions: conditions::merge(before, findings(facts), generation, now),
        replicas: Some(0),
        ready_replicas: Some(0),
        url: Some(format!("http://{}.{gateway_namespace}.svc/v1", names::GATEWAY)),
        ..LlmModelStatus::default()
    }
}

fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let Facts {
        owner,
        provider,
        trouble,
        has_route,
        ..
    } = *facts;
    let all = |ready: bool, reason: &str, message: &str, progress: &str, progress_message: &str| {
        vec![
            Finding::new(types::READY, ready, reason, message),
            Finding::new(types::SERVING, ready, reason, message),
            Finding::new(types::PROGRESSING, false, progress, progress_message),
        ]
    };
    let mut list = match trouble {
        Some(Trouble { reason, message }) => all(false, reason, message, reason, message),
        None => {
            let nothing = "a hosted model has nothing to roll out";
            all(true, reasons::SERVING, &serves(provider), reasons::UP_TO_DATE, nothing)
        }
    };
    list.push(match trouble {
        Some(Trouble { reason, message }) => Finding::new(types::DEGRADED, true, reason, message),
        None => Finding::new(types::DEGRADED, false, reasons::AS_EXPECTED, ""),
    });
    // As long as this is said, the route is looked for.
    if has_route {
        let message = "the HTTPRoute of the workers before is about to go";
        list.push(Finding::new(
            types::ROUTE_ACCEPTED,
            false,
            reasons::ROUTE_PENDING,
            message,
        ));
    }
    if owner.paused {
        let message = "the annotation atelier.dev/paused is set: what is left of workers stays; remove it to go on";
        list.push(Finding::new(types::PAUSED, true, reasons::PAUSED, message));
    }
    list
}

/// Who answers, and what is not known of that.
fn serves(provider: &Provider) -> String {
    let (service, key) = service(provider);
    let key = match key {
        Some(SecretKeyRef { name, key }) => {
            format!("it reads key {key} of Secret {name} of this namespace when it is asked, and says if it may not")
        }
        None => "it shows no key".into(),
    };
    format!("{service} answers; the gateway asks it: {key}")
}

fn service(provider: &Provider) -> (String, Option<&SecretKeyRef>) {
    let Provider {
        open_ai,
        azure_open_ai,
        anthropic,
        gemini,
        open_ai_compatible,
        pricing: _,
    } = provider;
    if let Some(model) = open_ai {
        return (
            format!("{} of OpenAI", model.model),
            Some(&model.credentials_secret_ref),
        );
    }
    if let Some(model) = azure_open_ai {
        let service = format!("deployment {} at {}", model.deployment, model.endpoint);
        return (service, model.credentials_secret_ref.as_ref());
    }
    if let Some(model) = anthropic {
        return (
            format!("{} of Anthropic", model.model),
            Some(&model.credentials_secret_ref),
        );
    }
    if let Some(model) = gemini {
        return (
            format!("{} of Gemini", model.model),
            Some(&model.credentials_secret_ref),
        );
    }
    match open_ai_compatible {
        Some(model) => {
            let service = format!("{} at {}", model.model, model.url);
            (service, model.credentials_secret_ref.as_ref())
        }
        // The schema does not let it through.
        None => ("nobody".into(), None),
    }
}
