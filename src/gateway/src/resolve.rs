//! From the name a caller wrote to the model they may use.
//!
//! Nothing here may tell a caller about a model they may not use: neither an answer, nor the time it
//! takes. Permission is therefore asked for by name before existence is looked at, and an unknown
//! name costs the same reviews as a forbidden one.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future, stream};

use crate::{
    authz::Authorizer,
    catalog::{Catalog, Model},
    error::Error,
    identity::Identity,
    name::ModelName,
};

/// Reviews one request may have under way at once.
const CONCURRENT_REVIEWS: usize = 16;

/// Finds the models that a caller may use.
pub struct Resolver {
    catalog: Arc<Catalog>,
    authorizer: Arc<Authorizer>,
}

impl Resolver {
    /// A resolver over `catalog`.
    pub fn new(catalog: Arc<Catalog>, authorizer: Arc<Authorizer>) -> Self {
        Self { catalog, authorizer }
    }

    /// The one model that `name` means for `caller`.
    ///
    /// # Errors
    /// As Kubernetes does it: what one may not use is forbidden whether it exists or not, and only
    /// who could use it hears that it does not exist. Several usable models of an unqualified name
    /// are [`Error::ModelAmbiguous`], with the names that this caller may use.
    pub async fn resolve(&self, caller: &Identity, name: &ModelName) -> Result<Arc<Model>, Error> {
        match &name.namespace {
            Some(namespace) => self.qualified(caller, namespace, name).await,
            None => self.unqualified(caller, name).await,
        }
    }

    async fn qualified(&self, caller: &Identity, namespace: &str, name: &ModelName) -> Result<Arc<Model>, Error> {
        if !self.authorizer.may_infer(caller, namespace, &name.model).await? {
            return Err(forbidden(name));
        }
        self.catalog
            .model(namespace, &name.model)
            .ok_or_else(|| Error::ModelNotFound {
                model: name.unversioned(),
            })
    }

    /// A model by its own name, if it is there and `caller` may use it.
    ///
    /// # Errors
    /// When the permission cannot be reviewed.
    pub async fn permitted(&self, caller: &Identity, namespace: &str, name: &str) -> Result<Option<Arc<Model>>, Error> {
        let may = self.authorizer.may_infer(caller, namespace, name).await?;
        Ok(self.catalog.model(namespace, name).filter(|_| may))
    }

    async fn unqualified(&self, caller: &Identity, name: &ModelName) -> Result<Arc<Model>, Error> {
        let candidates = self.catalog.models_named(&name.model);
        // Asked for every name, known or not, at the same time as the rest.
        let everywhere = self.authorizer.may_infer(caller, "", &name.model);
        let (everywhere, mut usable) = future::try_join(everywhere, self.usable(caller, candidates)).await?;
        match usable.len() {
            0 if everywhere => Err(Error::ModelNotFound {
                model: name.unversioned(),
            }),
            0 => Err(forbidden(name)),
            1 => Ok(usable.remove(0)),
            _ => Err(Error::ModelAmbiguous {
                model: name.model.clone(),
                candidates: usable.iter().map(|model| model.qualified()).collect(),
            }),
        }
    }

    /// All models that `caller` may use, each with the shortest name that means it and only it.
    ///
    /// # Errors
    /// When permissions cannot be reviewed.
    pub async fn list(&self, caller: &Identity) -> Result<Vec<(String, Arc<Model>)>, Error> {
        let usable = self.usable(caller, self.catalog.models()).await?;
        let shared = |i: usize, name: &str| {
            // Ordered by name: equal names are neighbours.
            let before = i.checked_sub(1).and_then(|before| usable.get(before));
            [before, usable.get(i + 1)]
                .into_iter()
                .flatten()
                .any(|other| other.name == name)
        };
        let named = usable.iter().enumerate().map(|(i, model)| {
            let id = if shared(i, &model.name) {
                model.qualified()
            } else {
                model.name.clone()
            };
            (id, model.clone())
        });
        Ok(named.collect())
    }

    /// Those of `models` that `caller` may use, in the same order.
    async fn usable(&self, caller: &Identity, models: Vec<Arc<Model>>) -> Result<Vec<Arc<Model>>, Error> {
        let reviews = models.into_iter().map(|model| async move {
            let allowed = self.authorizer.may_infer(caller, &model.namespace, &model.name).await?;
            Ok(allowed.then_some(model))
        });
        let usable: Vec<_> = stream::iter(reviews)
            .buffered(CONCURRENT_REVIEWS)
            .try_filter_map(future::ok)
            .try_collect()
            .await?;
        Ok(usable)
    }
}

fn forbidden(name: &ModelName) -> Error {
    Error::ModelForbidden {
        model: name.unversioned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::*;
    use crate::{
        metrics::Metrics,
        testing::{ScriptedReviewer, model},
    };

    /// `both` exists in two namespaces, `one` in one.
    fn resolver(reviewer: ScriptedReviewer) -> (Resolver, Arc<ScriptedReviewer>) {
        let catalog = Arc::new(Catalog::default());
        for (namespace, name) in [("a", "both"), ("b", "both"), ("a", "one")] {
            catalog.apply_model(model(namespace, name));
        }
        let reviewer = Arc::new(reviewer);
        let authorizer = Authorizer::new(reviewer.clone(), Metrics::default().cache_lookups.clone());
        (Resolver::new(catalog, Arc::new(authorizer)), reviewer)
    }

    fn caller(user: &str) -> Identity {
        Identity::new(user.into(), String::new(), Vec::new(), BTreeMap::new())
    }

    /// `root` may use everything, `jane` what is in namespace `a` (named or not), `joe` nothing.
    fn rules() -> ScriptedReviewer {
        ScriptedReviewer::default()
            .allow("root", "*", "*")
            .allow("jane", "a", "*")
    }

    #[rstest]
    #[case("root", "a/one", Ok("a/one"))]
    #[case("root", "one", Ok("a/one"))]
    #[case("root", "both", Err("model_ambiguous"))]
    #[case("root", "b/both", Ok("b/both"))]
    #[case("root", "none", Err("model_not_found"))]
    #[case("root", "b/one", Err("model_not_found"))]
    #[case("jane", "one", Ok("a/one"))]
    #[case("jane", "both", Ok("a/both"))]
    #[case("jane", "b/both", Err("model_forbidden"))]
    #[case("jane", "b/none", Err("model_forbidden"))]
    #[case("jane", "a/none", Err("model_not_found"))]
    #[case("jane", "none", Err("model_forbidden"))]
    #[case("joe", "one", Err("model_forbidden"))]
    #[case("joe", "none", Err("model_forbidden"))]
    #[case("joe", "a/one", Err("model_forbidden"))]
    #[tokio::test]
    async fn names_mean_what_the_caller_may_use(
        #[case] user: &str,
        #[case] name: &str,
        #[case] expected: Result<&str, &str>,
    ) {
        let (resolver, _) = resolver(rules());
        let outcome = resolver.resolve(&caller(user), &ModelName::parse(name).unwrap()).await;
        match expected {
            Ok(qualified) => assert_eq!(outcome.unwrap().qualified(), qualified),
            Err(code) => assert_eq!(outcome.unwrap_err().code(), code),
        }
    }

    #[tokio::test]
    async fn an_ambiguous_name_lists_only_what_the_caller_may_use() {
        let (resolver, _) = resolver(rules().allow("pat", "a", "both").allow("pat", "b", "both"));
        let name = ModelName::parse("both").unwrap();
        let error = resolver.resolve(&caller("pat"), &name).await.unwrap_err();
        let Error::ModelAmbiguous { candidates, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(candidates, ["a/both", "b/both"]);
    }

    #[rstest]
    #[case("one", "non")]
    #[case("a/one", "a/non")]
    #[tokio::test]
    async fn forbidden_and_unknown_look_the_same(#[case] known: &str, #[case] unknown: &str) {
        let (resolver, _) = resolver(rules());
        let told = |name: &str| {
            let (resolver, name) = (&resolver, name.to_owned());
            async move {
                let error = resolver
                    .resolve(&caller("joe"), &ModelName::parse(&name).unwrap())
                    .await
                    .unwrap_err();
                error.body().to_string().replace(&name, "NAME")
            }
        };
        assert_eq!(told(known).await, told(unknown).await);
    }

    #[rstest]
    #[case("root", &["a/both", "b/both", "one"])]
    #[case("jane", &["both", "one"])]
    #[case("joe", &[])]
    #[tokio::test]
    async fn the_list_holds_what_the_caller_may_use(#[case] user: &str, #[case] ids: &[&str]) {
        let (resolver, _) = resolver(rules());
        let listed = resolver.list(&caller(user)).await.unwrap();
        assert_eq!(listed.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ids);
        for (id, model) in listed {
            let meant = resolver.resolve(&caller(user), &ModelName::parse(&id).unwrap()).await;
            assert_eq!(meant.unwrap(), model, "{id} must mean what it lists");
        }
    }

    #[tokio::test]
    async fn an_unknown_name_is_reviewed_as_often_each_time_as_a_known_one() {
        let (resolver, reviewer) = resolver(rules());
        for name in ["one", "none"] {
            for first in [true, false] {
                let before = reviewer.access_reviews();
                let _ = resolver.resolve(&caller("joe"), &ModelName::parse(name).unwrap()).await;
                assert_eq!(reviewer.access_reviews() > before, first, "{name}");
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_resolved_without_a_review() {
        let (resolver, reviewer) = resolver(rules());
        reviewer.set_down(true);
        for name in ["one", "a/one", "none"] {
            let outcome = resolver
                .resolve(&caller("root"), &ModelName::parse(name).unwrap())
                .await;
            assert_eq!(outcome.unwrap_err(), Error::AuthorizationUnavailable);
        }
        assert_eq!(
            resolver.list(&caller("root")).await.unwrap_err(),
            Error::AuthorizationUnavailable
        );
    }
}
