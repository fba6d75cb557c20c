//! The one choke point: who may do what in which Room.
//!
//! Nothing of a Room is read or written without a [`Grant`], and grants are issued here alone: once Kubernetes' authorizers
//! have allowed the verb, to whom and as of when they did. A grant ends ten seconds after the question went out, however
//! often it is used; whatever takes longer asks again. While the API server does not answer, nobody enters.
//!
//! What somebody may not do and what is not there give the same answer after the same work.
//!
//! A Room that asks for adversarial tests answers once they have passed, and not while they have failed. Who may test it may
//! say for a request whom they play ([`Role`]): somebody with less rights than they have, or with those of the canaries,
//! which nobody else has. The Room's own red team alone begins with all clearance that there is.

use std::{net::IpAddr, sync::Arc, time::Instant};

use ::rooms::{Clearance, Grant, Principal, Verb, grant::LIFETIME, redteam::Role};

use super::{
    Service,
    room::{Room, Standing},
};
use crate::{
    authz::Decision,
    error::Error,
    identity::Identity,
    review::{Access, Resource},
};

/// Whoever knocks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub identity: Arc<Identity>,
    /// From where.
    pub address: Option<IpAddr>,
    /// Whom they want to play, who may test Rooms.
    pub plays: Option<Role>,
}

/// Somebody inside.
#[derive(Debug)]
pub struct Admitted {
    /// The Room.
    pub room: Arc<Room>,
    /// What they may do, until it expires.
    pub grant: Grant,
    /// Whom they play.
    pub plays: Option<Role>,
}

/// The name by which the gateway itself fills in what specs say.
const OWN: &str = "atelier:gateway";
/// Kubernetes' longest names.
const LONGEST: usize = 253;

impl Service {
    /// Lets `caller` in to do `verb`.
    ///
    /// # Errors
    /// [`Error::RoomNotFound`] where there is no such Room, it may not be entered from there, or the caller may not do
    /// this; and whatever keeps the gateway from knowing.
    pub async fn authorize(&self, caller: &Caller, namespace: &str, name: &str, verb: Verb) -> Result<Admitted, Error> {
        let started = Instant::now();
        let admitted = self.admit(caller, namespace, name, verb).await;
        let result = match &admitted {
            Ok(_) => "allowed",
            Err(Error::RoomNotFound { .. }) => "denied",
            Err(_) => "unavailable",
        };
        self.metrics.authorized(result, started.elapsed());
        let admitted = admitted?;
        // A Room that is being deleted is not opened any more: it would come back.
        if !admitted.room.is_going {
            self.open(&admitted.room).await?;
        }
        Ok(admitted)
    }

    async fn admit(&self, caller: &Caller, namespace: &str, name: &str, verb: Verb) -> Result<Admitted, Error> {
        let not_found = || Error::RoomNotFound {
            room: format!("{namespace}/{name}"),
        };
        // Empty names would ask for a permission on all.
        if !is_name(namespace) || !is_name(name) {
            return Err(not_found());
        }
        let (verb, is_for) = played(caller.plays, verb);
        let decision = self.decide(&caller.identity, namespace, name, verb).await?;
        let allowed = decision.allowed && is_for;
        let room = self.catalog.get(namespace, name);
        if room.is_none() && allowed && !self.catalog.is_complete() {
            return Err(Error::RoomsUnavailable);
        }
        let principal = Principal::of(caller.identity.user(), caller.identity.groups().iter().cloned());
        let (Some(room), Some(principal)) = (room.filter(|_| allowed), principal) else {
            return Err(not_found());
        };
        // Jobs are in the cluster, wherever people have to come from.
        let is_filled = verb == Verb::Ingest;
        let is_tested = caller.plays.is_some() && room.is_red_team(&caller.identity);
        let is_near = is_filled || is_tested || room.admits(caller.address);
        if !is_near || (room.is_going && !is_filled) {
            return Err(not_found());
        }
        if room.spec.is_none() && !room.is_going {
            tracing::error!(
                room = name,
                namespace,
                "the spec of a Room is not understood by this release"
            );
            return Err(Error::RoomsUnavailable);
        }
        if matches!(verb, Verb::Search | Verb::Ask) {
            match room.standing {
                Standing::Open => {}
                Standing::Failed => return Err(Error::RoomClosed),
                Standing::Untested => return Err(Error::RoomUntested),
            }
        }
        let clearance = match is_tested {
            // All that it plays is less.
            true => Clearance(100),
            false => room.clearance_of(&caller.identity),
        };
        let (principal, clearance) = match caller.plays {
            Some(role) => (role.principal(principal.groups), role.clearance(clearance)),
            None => (principal, clearance),
        };
        let grant = Grant::issue(room.key.clone(), verb, principal, clearance, decision.asked);
        let plays = caller.plays;
        Ok(Admitted { room, grant, plays })
    }

    /// What the API server has decided, not longer ago than it may be acted upon.
    async fn decide(&self, identity: &Identity, namespace: &str, name: &str, verb: Verb) -> Result<Decision, Error> {
        let access = Access {
            resource: Resource::Rooms,
            verb: verb.as_str(),
            namespace: namespace.into(),
            name: name.into(),
        };
        let decision = self.authorizer.decide(identity, access).await?;
        match decision.asked.elapsed() < LIFETIME {
            true => Ok(decision),
            // What is known from before an outage.
            false => Err(Error::AuthorizationUnavailable),
        }
    }

    /// Of these verbs, those that `caller` may do in a Room.
    ///
    /// # Errors
    /// When nobody can tell.
    pub async fn verbs(&self, caller: &Caller, room: &Room, verbs: &[Verb]) -> Result<Vec<Verb>, Error> {
        let mut allowed = Vec::new();
        for verb in verbs {
            let key = &room.key;
            if self
                .decide(&caller.identity, &key.namespace, &key.name, *verb)
                .await?
                .allowed
            {
                allowed.push(*verb);
            }
        }
        Ok(allowed)
    }
}

/// What has to be allowed for `verb`, and whether anything makes it so. Who plays somebody reads, and does nothing else.
fn played(plays: Option<Role>, verb: Verb) -> (Verb, bool) {
    match (plays, verb) {
        (None, verb) => (verb, true),
        (Some(_), Verb::Search | Verb::Ask | Verb::RedTeam) => (Verb::RedTeam, true),
        (Some(_), _) => (Verb::RedTeam, false),
    }
}

/// A grant of the gateway's own, for what specs say and what time does. It sees everything and gives nothing to anybody.
pub(super) fn own(room: &Room) -> Grant {
    let principal = Principal {
        user: OWN.into(),
        groups: Default::default(),
    };
    Grant::issue(
        room.key.clone(),
        Verb::Ingest,
        principal,
        Clearance(100),
        Instant::now(),
    )
}

/// What Kubernetes takes for a name, more or less.
fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_letter)
}
