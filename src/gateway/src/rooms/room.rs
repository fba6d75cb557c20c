//! A Room as the gateway sees it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ::rooms::{
    Clearance, RoomKey, search,
    sql::{Allowed, Column, Table},
};
use api::{
    conditions::types,
    names::room_redteam,
    room::{MemberKind, RoomSpec, SqlSource},
};
use kube::{ResourceExt, core::Object};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::units::{Cidr, duration, quantity};
use crate::identity::Identity;

/// A Room as the API server has it. What this release does not know in it makes it unusable, and does not end the watch.
pub type WatchedRoom = Object<Value, Value>;

/// Chunks that a model is given at most, if the Room does not say.
const CONTEXT_TOKENS: u32 = 2048;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A source of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Clearance that all of its documents need at least.
    pub clearance: Clearance,
    /// How much people may upload; none where they may not.
    pub upload: Option<UploadLimits>,
    /// Whether documents come from it: a database is asked, not read.
    pub has_documents: bool,
}

/// How much people may upload to a source, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// Of the largest document.
    pub document: u64,
    /// Of all that are kept.
    pub total: u64,
}

/// Whether adversarial tests let a Room answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They passed, or nobody asks for any.
    Open,
    /// They found a leak.
    Failed,
    /// They are asked for, and nothing is known yet.
    Untested,
}

/// A source that is a database, which is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The source's name.
    pub source: String,
    /// Clearance that all of its rows need.
    pub clearance: Clearance,
    /// Where it is, and what of it may be asked.
    pub sql: SqlSource,
}

impl Database {
    /// What of it may be asked, with so many rows of an answer.
    pub fn allowed(&self, max_rows: u64) -> Allowed {
        let column = |column: &api::room::SqlColumn| Column {
            name: column.name.clone(),
            description: column.description.clone(),
        };
        let table = |table: &api::room::SqlTable| {
            let columns = table.columns.iter().map(column).collect();
            let description = table.description.clone();
            (table.name.clone(), Table { description, columns })
        };
        Allowed::new(self.sql.tables.iter().map(table), max_rows)
    }
}

/// A Room.
#[derive(Debug)]
pub struct Room {
    /// What it is known by.
    pub key: RoomKey,
    /// What people ask for; none where this release does not understand it.
    pub spec: Option<RoomSpec>,
    /// Its sources.
    pub sources: Vec<Source>,
    /// From where it may be entered; none is from everywhere.
    networks: Option<Vec<Cidr>>,
    /// Age of rights past which it refuses.
    pub max_staleness: Duration,
    /// How long questions and answers are kept.
    pub texts: Duration,
    /// How long it is kept what answers were made of.
    pub metadata: Duration,
    /// Whether it is being deleted.
    pub is_going: bool,
    /// Whether its adversarial tests let it answer.
    pub standing: Standing,
    /// Whether the database knows it as it is.
    pub opened: Arc<OnceCell<()>>,
}

impl From<WatchedRoom> for Room {
    fn from(object: WatchedRoom) -> Self {
        let key = RoomKey {
            uid: object.uid().unwrap_or_default(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        };
        let spec = RoomSpec::deserialize(&object.spec).ok();
        let access = spec.as_ref().and_then(|spec| spec.access.as_ref());
        let retention = spec.as_ref().and_then(|spec| spec.retention.as_ref());
        // The schema lets nothing else through; what is no duration is none at all, and nobody waits for it.
        let read = |text: Option<&String>, default| text.map_or(default, |text| duration(text).unwrap_or_default());
        let networks = access.and_then(|access| access.network.as_ref());
        let conditions = object
            .status
            .as_ref()
            .and_then(|status| status["conditions"].as_array());
        let passed = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == types::RED_TEAM_PASSED);
        let passed = passed.and_then(|condition| condition["status"].as_str());
        let is_asked_for = spec.as_ref().is_some_and(|spec| spec.red_team.is_some());
        Self {
            sources: sources(spec.as_ref()),
            // A network that is none admits nobody.
            networks: networks.map(|it| it.cidrs.iter().filter_map(|cidr| cidr.parse().ok()).collect()),
            max_staleness: read(access.and_then(|access| access.max_staleness.as_ref()), DAY),
            texts: read(retention.and_then(|it| it.content.as_ref()), 30 * DAY),
            metadata: read(retention.and_then(|it| it.metadata.as_ref()), 365 * DAY),
            is_going: object.metadata.deletion_timestamp.is_some(),
            standing: match passed {
                // Also while its spec does not ask any more: who is in doubt waits for the operator.
                Some("False") => Standing::Failed,
                Some("True") => Standing::Open,
                _ if is_asked_for => Standing::Untested,
                _ => Standing::Open,
            },
            opened: Arc::default(),
            key,
            spec,
        }
    }
}

fn sources(spec: Option<&RoomSpec>) -> Vec<Source> {
    let of = |source: &api::room::RoomSource| Source {
        name: source.name.clone(),
        clearance: clearance(source.clearance),
        upload: source.upload.as_ref().map(|upload| UploadLimits {
            document: quantity(&upload.max_size).unwrap_or_default(),
            total: quantity(&upload.max_total_size).unwrap_or_default(),
        }),
        has_documents: source.sql.is_none(),
    };
    spec.iter().flat_map(|spec| &spec.sources).map(of).collect()
}

/// What the schema does not let through is the highest.
fn clearance(value: i32) -> Clearance {
    Clearance(u8::try_from(value).ok().filter(|value| *value <= 100).unwrap_or(100))
}

impl Room {
    /// Whether it may be entered from an address. One that is not known is nowhere.
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        match (&self.networks, address) {
            (None, _) => true,
            (Some(networks), Some(address)) => networks.iter().any(|network| network.has(address)),
            (Some(_), None) => false,
        }
    }

    /// The highest clearance of all members that somebody is. Whom RBAC lets in beside them has none.
    pub fn clearance_of(&self, identity: &Identity) -> Clearance {
        let members = self.spec.iter().flat_map(|spec| &spec.members);
        let is_one = |member: &&api::room::Member| match member.kind {
            MemberKind::User => member.name == identity.user(),
            MemberKind::Group => identity.groups().contains(&member.name),
            MemberKind::ServiceAccount => {
                let (namespace, name) = member
                    .name
                    .split_once('/')
                    .unwrap_or((&self.key.namespace, &member.name));
                let account = identity.user().strip_prefix("system:serviceaccount:");
                account.and_then(|account| account.split_once(':')) == Some((namespace, name))
            }
        };
        let clearances = members.filter(is_one).map(|member| match member.clearance {
            0..=100 => Clearance(member.clearance as u8),
            _ => Clearance(0),
        });
        clearances.max().unwrap_or_default()
    }

    /// Whether somebody is the Room's own red team: the Job that its operator makes.
    pub fn is_red_team(&self, identity: &Identity) -> bool {
        let account = identity.user().strip_prefix("system:serviceaccount:");
        let account = account.and_then(|account| account.split_once(':'));
        account == Some((&self.key.namespace, &room_redteam(&self.key.name)))
    }

    /// A source by its name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Whether documents come from any of its sources.
    pub fn has_documents(&self) -> bool {
        self.sources.iter().any(|source| source.has_documents)
    }

    /// The databases that somebody of this clearance may have asked.
    pub fn databases(&self, clearance: Clearance) -> Vec<Database> {
        let sources = self.spec.iter().flat_map(|spec| &spec.sources);
        let databases = sources.filter_map(|source| {
            Some(Database {
                source: source.name.clone(),
                clearance: self::clearance(source.clearance),
                sql: source.sql.clone()?,
            })
        });
        databases.filter(|database| database.clearance <= clearance).collect()
    }

    /// How chunks are found.
    pub fn search_options(&self) -> search::Options {
        let retrieval = self.spec.as_ref().and_then(|spec| spec.retrieval.as_ref());
        let least = retrieval
            .and_then(|it| it.min_score.as_ref())
            .and_then(|text| text.parse().ok());
        search::Options {
            top_k: retrieval.map_or(8, |it| usize::try_from(it.top_k).unwrap_or(1)),
            hybrid: retrieval.is_none_or(|it| it.hybrid),
            min_score: least.unwrap_or(0.0),
            max_context_tokens: retrieval
                .and_then(|it| it.max_context_tokens)
                .and_then(|tokens| u32::try_from(tokens).ok())
                .unwrap_or(CONTEXT_TOKENS),
        }
    }

    /// Whether `other` needs nothing else of the database.
    pub fn is_kept_like(&self, other: &Self) -> bool {
        self.key == other.key && self.sources == other.sources
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use serde_json::json;

    use super::*;

    /// A Room with this spec, as the API server has it.
    pub fn watched(name: &str, uid: &str, spec: Value) -> WatchedRoom {
        serde_json::from_value(json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "Room", "spec": spec,
            "metadata": {"name": name, "namespace": "ns", "uid": uid, "resourceVersion": "5"},
        }))
        .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn room(spec: Value) -> Room {
        testing::watched("hr", "1", spec).into()
    }

    fn named(user: &str, groups: &[&str]) -> Identity {
        let groups = groups.iter().map(ToString::to_string).collect();
        Identity::new(user.into(), String::new(), groups, Default::default())
    }

    #[rstest]
    #[case("jane", &[], 2)]
    #[case("jane", &["hr"], 3)]
    #[case("joe", &["hr"], 3)]
    #[case("joe", &["jane"], 0)]
    #[case("hr", &[], 0)]
    #[case("system:serviceaccount:ns:bot", &[], 5)]
    #[case("system:serviceaccount:other:bot", &[], 0)]
    #[case("system:serviceaccount:far:away", &[], 7)]
    #[case("bot", &[], 0)]
    fn a_member_has_the_highest_of_their_clearances(#[case] user: &str, #[case] groups: &[&str], #[case] expected: u8) {
        let member = |kind: &str, name: &str, clearance: u8| json!({"kind": kind, "name": name, "role": "Reader", "clearance": clearance});
        let room = room(json!({
            "embedding": {"name": "e"},
            "members": [
                member("User", "jane", 2), member("User", "jane", 1), member("Group", "hr", 3),
                member("ServiceAccount", "bot", 5), member("ServiceAccount", "far/away", 7),
            ],
        }));
        assert_eq!(room.clearance_of(&named(user, groups)), Clearance(expected));
    }

    #[rstest]
    #[case(false, None, Standing::Open)]
    #[case(false, Some("False"), Standing::Failed)]
    #[case(true, None, Standing::Untested)]
    #[case(true, Some("Unknown"), Standing::Untested)]
    #[case(true, Some("True"), Standing::Open)]
    #[case(true, Some("False"), Standing::Failed)]
    fn it_answers_as_its_tests_say(#[case] asks: bool, #[case] passed: Option<&str>, #[case] expected: Standing) {
        let mut spec = json!({"embedding": {"name": "e"}});
        if asks {
            spec["redTeam"] = json!({"schedule": "@daily"});
        }
        let mut watched = testing::watched("hr", "1", spec);
        watched.status = passed.map(|status| json!({"conditions": [{"type": "RedTeamPassed", "status": status}]}));
        assert_eq!(Room::from(watched).standing, expected);
    }

    #[test]
    fn its_red_team_is_one_account() {
        let room = room(json!({"embedding": {"name": "e"}}));
        assert!(room.is_red_team(&named("system:serviceaccount:ns:hr-room-redteam", &[])));
        for other in [
            "hr-room-redteam",
            "system:serviceaccount:other:hr-room-redteam",
            "system:serviceaccount:ns:law-room-redteam",
            "system:serviceaccount:ns:hr-room-ingest",
        ] {
            assert!(!room.is_red_team(&named(other, &[])), "{other}");
        }
    }

    #[test]
    fn suites_are_those_that_there_are() {
        let all = ::rooms::redteam::Class::ALL.map(|class| class.as_str().to_owned());
        let named = api::room::RedTeamSuite::ALL.map(|suite| suite.as_str().to_owned());
        assert_eq!(all, named);
    }

    #[test]
    fn it_is_entered_from_its_networks() {
        let open = room(json!({"embedding": {"name": "e"}}));
        assert!(open.admits(None) && open.admits("1.2.3.4".parse().ok()));
        let network = |cidrs: Value| room(json!({"embedding": {"name": "e"}, "access": {"network": {"cidrs": cidrs}}}));
        let closed = network(json!(["10.0.0.0/8"]));
        assert!(closed.admits("10.1.1.1".parse().ok()));
        assert!(!closed.admits("11.1.1.1".parse().ok()) && !closed.admits(None));
        assert!(!network(json!(["nonsense"])).admits("10.1.1.1".parse().ok()));
    }

    #[test]
    fn what_is_not_understood_is_no_spec() {
        let room = room(json!({"embedding": {"name": "e"}, "answer": {"ungrounded": "Pray"}}));
        assert!(room.spec.is_none() && room.sources.is_empty());
    }

    #[test]
    fn limits_and_their_defaults_are_read() {
        let plain = room(json!({"embedding": {"name": "e"}}));
        assert_eq!(
            (plain.max_staleness, plain.texts, plain.metadata),
            (DAY, 30 * DAY, 365 * DAY)
        );
        assert_eq!(plain.search_options().top_k, 8);
        let set = room(json!({
            "embedding": {"name": "e"},
            "access": {"maxStaleness": "1h"}, "retention": {"content": "0s"},
            "retrieval": {"topK": 3, "hybrid": false, "minScore": "0.25", "maxContextTokens": 99},
            "sources": [{"name": "up", "upload": {"maxSize": "1Ki", "maxTotalSize": "4Ki"}, "clearance": 4}],
        }));
        assert_eq!((set.max_staleness, set.texts), (DAY / 24, Duration::ZERO));
        let options = set.search_options();
        assert_eq!(
            (
                options.top_k,
                options.hybrid,
                options.min_score,
                options.max_context_tokens
            ),
            (3, false, 0.25, 99)
        );
        let source = set.source("up").unwrap();
        let limits = UploadLimits {
            document: 1024,
            total: 4096,
        };
        assert_eq!((source.clearance, source.upload), (Clearance(4), Some(limits)));
    }
}
