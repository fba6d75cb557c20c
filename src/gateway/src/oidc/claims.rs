//! Who it is that verified claims speak of. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::settings::IssuerSettings;
use crate::identity::Identity;

/// The group of all whom Kubernetes has authenticated.
const AUTHENTICATED: &str = "system:authenticated";
/// Names that Kubernetes keeps for itself.
const RESERVED: &str = "system:";
/// Providers give people thousands of groups at times; a review carries them all.
const MOST_GROUPS: usize = 1024;
/// Who issued the token, for authorizers and audits.
const EXTRA: &str = "atelier.dev/oidc-issuer";

/// The identity, or why there is none.
pub fn identity(settings: &IssuerSettings, claims: &Map<String, Value>) -> Result<Identity, String> {
    let claim = &settings.username_claim;
    let name = claims.get(claim).and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(format!("claim {claim} is no text"));
    }
    // As Kubernetes has it: anybody can tell a provider an address that is not theirs.
    if claim == "email" && claims.get("email_verified").is_some_and(|it| *it != Value::Bool(true)) {
        return Err("claim email_verified is not true".into());
    }
    let user = format!("{}{name}", settings.username_prefix);
    if user.starts_with(RESERVED) {
        return Err(format!(
            "claim {claim} makes the user {user}: {RESERVED} is kept for Kubernetes' own"
        ));
    }
    let mut groups: Vec<String> = listed(claims.get(&settings.groups_claim))
        .map(|group| format!("{}{group}", settings.groups_prefix))
        .filter(|group| !group.starts_with(RESERVED))
        .collect();
    if groups.len() > MOST_GROUPS {
        return Err(format!("{} groups are more than {MOST_GROUPS}", groups.len()));
    }
    groups.push(AUTHENTICATED.into());
    let extra = BTreeMap::from([(EXTRA.to_owned(), vec![settings.issuer.clone()])]);
    Ok(Identity::new(user, String::new(), groups, extra))
}

/// The texts of a list, or a single one.
fn listed(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match claim {
        Some(Value::String(one)) => (Some(one.as_str()), None),
        Some(Value::Array(many)) => (None, Some(many)),
        _ => (None, None),
    };
    one.into_iter()
        .chain(many.into_iter().flatten().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn settings(fields: Value) -> IssuerSettings {
        let mut all = json!({"issuer": "https://id.example.com", "audience": "atelier"});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn of(fields: Value, claims: Value) -> Result<Identity, String> {
        identity(&settings(fields), claims.as_object().unwrap())
    }

    #[test]
    fn names_have_their_prefixes() {
        let found = of(json!({}), json!({"sub": "42", "groups": ["a", 7, "b"]})).unwrap();
        assert_eq!(found.user(), "oidc:42");
        assert_eq!(found.groups(), ["oidc:a", "oidc:b", AUTHENTICATED]);
        assert_eq!(found.extra()[EXTRA], ["https://id.example.com"]);
    }

    #[test]
    fn claims_and_prefixes_can_be_chosen() {
        let fields =
            json!({"usernameClaim": "upn", "usernamePrefix": "", "groupsClaim": "roles", "groupsPrefix": "r-"});
        let found = of(fields, json!({"sub": "42", "upn": "jane", "roles": "admin"})).unwrap();
        assert_eq!(found.user(), "jane");
        assert_eq!(found.groups(), ["r-admin", AUTHENTICATED]);
    }

    #[rstest]
    #[case::no_name(json!({}), json!({"groups": ["a"]}), "claim sub is no text")]
    #[case::number(json!({}), json!({"sub": 42}), "claim sub is no text")]
    #[case::not_verified(json!({"usernameClaim": "email"}), json!({"email": "a@b.c", "email_verified": false}), "email_verified")]
    #[case::reserved(json!({"usernamePrefix": ""}), json!({"sub": "system:admin"}), "system:")]
    fn nobody_is_named(#[case] fields: Value, #[case] claims: Value, #[case] expected: &str) {
        let why = of(fields, claims).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }

    #[test]
    fn groups_of_kubernetes_cannot_be_claimed() {
        let found = of(
            json!({"groupsPrefix": ""}),
            json!({"sub": "42", "groups": ["system:masters", "a"]}),
        )
        .unwrap();
        assert_eq!(found.groups(), ["a", AUTHENTICATED]);
    }
}
