//! A [`Reviewer`] with a script instead of a cluster.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures::{FutureExt, future::BoxFuture};

use crate::{
    cache::Unavailable,
    identity::Identity,
    review::{Access, Resource, Reviewer},
};

/// Knows some tokens and some permissions, and counts the questions.
#[derive(Default)]
pub struct ScriptedReviewer {
    users: Mutex<BTreeMap<String, String>>,
    groups: Mutex<BTreeMap<String, Vec<String>>>,
    rules: Vec<[String; 3]>,
    /// Users, verbs, namespaces and names of Rooms and ShadowDeployments.
    rooms: Mutex<Vec<[String; 4]>>,
    down: AtomicBool,
    token_reviews: AtomicUsize,
    access_reviews: AtomicUsize,
}

impl ScriptedReviewer {
    /// `token` is `user`'s.
    pub fn user(self, token: &str, user: &str) -> Self {
        self.know(token, user);
        self
    }

    /// The same, from now on.
    pub fn know(&self, token: &str, user: &str) {
        self.users.lock().unwrap().insert(token.into(), user.into());
    }

    /// `user` may infer on `name` in `namespace`; `*` is any, and only namespace `*` is everywhere.
    pub fn allow(mut self, user: &str, namespace: &str, name: &str) -> Self {
        self.rules.push([user.into(), namespace.into(), name.into()]);
        self
    }

    /// `user` may do `verb` in the Room, or with the ShadowDeployment, `name` of `namespace`; `*` is any verb.
    pub fn allow_in(&self, user: &str, verb: &str, namespace: &str, name: &str) {
        let rule = [user, verb, namespace, name].map(Into::into);
        self.rooms.lock().unwrap().push(rule);
    }

    /// `user` may do nothing in Rooms any more.
    pub fn revoke(&self, user: &str) {
        self.rooms.lock().unwrap().retain(|rule| rule[0] != user);
    }

    /// `user` is in `group` besides.
    pub fn join(&self, user: &str, group: &str) {
        let mut groups = self.groups.lock().unwrap();
        groups.entry(user.into()).or_default().push(group.into());
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
        let user = self.users.lock().unwrap().get(&token).cloned();
        let identity = |user: String| {
            let mut groups = vec!["system:authenticated".to_owned()];
            groups.extend(self.groups.lock().unwrap().get(&user).into_iter().flatten().cloned());
            Identity::new(user, String::new(), groups, BTreeMap::new())
        };
        self.answer(user.map(identity))
    }

    fn review_access(&self, identity: &Identity, access: &Access) -> BoxFuture<'static, Result<bool, Unavailable>> {
        self.access_reviews.fetch_add(1, Ordering::Relaxed);
        let matches = |pattern: &String, value: &str| pattern == "*" || pattern == value;
        let allowed = match access.resource {
            Resource::LlmModels => self.rules.iter().any(|[user, namespace, name]| {
                user == identity.user() && matches(namespace, &access.namespace) && matches(name, &access.name)
            }),
            Resource::Rooms | Resource::ShadowDeployments => {
                self.rooms.lock().unwrap().iter().any(|[user, verb, namespace, name]| {
                    user == identity.user()
                        && matches(verb, access.verb)
                        && (namespace, name) == (&access.namespace, &access.name)
                })
            }
        };
        self.answer(allowed)
    }
}
