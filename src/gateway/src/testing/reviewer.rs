//! A [`Reviewer`] with a script instead of a cluster.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures::{FutureExt, future::BoxFuture};

use crate::{
    cache::Unavailable,
    identity::Identity,
    review::{Access, Reviewer},
};

/// Knows some tokens and some permissions, and counts the questions.
#[derive(Default)]
pub struct ScriptedReviewer {
    users: BTreeMap<String, String>,
    rules: Vec<[String; 3]>,
    down: AtomicBool,
    token_reviews: AtomicUsize,
    access_reviews: AtomicUsize,
}

impl ScriptedReviewer {
    /// `token` is `user`'s.
    pub fn user(mut self, token: &str, user: &str) -> Self {
        self.users.insert(token.into(), user.into());
        self
    }

    /// `user` may infer on `name` in `namespace`; `*` is any, and only namespace `*` is everywhere.
    pub fn allow(mut self, user: &str, namespace: &str, name: &str) -> Self {
        self.rules.push([user.into(), namespace.into(), name.into()]);
        self
    }

    /// While down, nothing is answered.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    pub fn token_reviews(&self) -> usize {
        self.token_reviews.load(Ordering::Relaxed)
    }

    pub fn access_reviews(&self) -> usize {
        self.access_reviews.load(Ordering::Relaxed)
    }

    fn answer<T: Send + 'static>(&self, answer: T) -> BoxFuture<'static, Result<T, Unavailable>> {
        let down = self.down.load(Ordering::Relaxed);
        let answer = if down {
            Err(Unavailable("down".into()))
        } else {
            Ok(answer)
        };
        std::future::ready(answer).boxed()
    }
}

impl Reviewer for ScriptedReviewer {
    fn review_token(&self, token: String) -> BoxFuture<'static, Result<Option<Identity>, Unavailable>> {
        self.token_reviews.fetch_add(1, Ordering::Relaxed);
        let user = self.users.get(&token);
        let groups = vec!["system:authenticated".to_owned()];
        let identity = |user: &String| Identity::new(user.clone(), String::new(), groups, BTreeMap::new());
        self.answer(user.map(identity))
    }

    fn review_access(&self, identity: &Identity, access: &Access) -> BoxFuture<'static, Result<bool, Unavailable>> {
        self.access_reviews.fetch_add(1, Ordering::Relaxed);
        let matches = |pattern: &String, value: &str| pattern == "*" || pattern == value;
        let allowed = self.rules.iter().any(|[user, namespace, name]| {
            user == identity.user() && matches(namespace, &access.namespace) && matches(name, &access.name)
        });
        self.answer(allowed)
    }
}
