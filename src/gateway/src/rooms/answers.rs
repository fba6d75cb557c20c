//! What is kept of answers: feedback, the caller's own history, and the audit of a Room.

use std::collections::BTreeMap;

use ::rooms::Verb;
use axum::{body::Body, http::Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use k8s_openapi::jiff::Timestamp;
use protocol::rooms::answers as wire;
use store::{
    audit::Place,
    rooms::{self as kept, Asked, Said},
};

use super::{
    Admitted,
    request::{Knock, answer},
};
use crate::{error::Error, feedback};

/// Entries on a page, unless the caller wants fewer or more, and at most.
const PAGE: usize = 50;
const MOST: usize = 200;

/// `POST /feedback`
///
/// # Errors
/// See [`Error`]. Another one's answer and none look the same.
pub async fn give_feedback(knock: Knock, body: Body) -> Result<Response<Body>, Error> {
    let rooms = &knock.gateway.rooms;
    let body = knock.bytes(body).await?;
    let work = async |admitted: Admitted| {
        let database = knock.gateway.audit.database().ok_or(Error::FeedbackOff)?;
        let given = feedback::parse(&body)?;
        let place = kept::mine(rooms.database()?, &admitted.grant, &given.id).await;
        let place = place.map_err(|error| rooms.told(error))?;
        answer(&feedback::keep_at(database, &knock.caller.identity, place.as_ref(), given).await?)
    };
    knock.recorded("room_feedback", knock.admit(Verb::Feedback), work).await
}

/// `GET /history`
///
/// # Errors
/// See [`Error`].
pub async fn history(knock: Knock) -> Result<Response<Body>, Error> {
    let (after, limit) = (after(&knock)?, knock.number("limit", PAGE, MOST)?);
    let work = async |admitted: Admitted| {
        let asked = asked(&knock, &admitted, after.as_ref(), limit).await?;
        let is_kept = |age: i64| micros_since(age) <= admitted.room.texts.as_micros();
        let entries = asked.iter().filter(|one| one.is_shown).map(|one| wire::Entry {
            id: one.request.clone(),
            at: time(one.at),
            question: one.question.clone().filter(|_| is_kept(one.at)),
            answer: one.answer.clone().filter(|_| is_kept(one.at)),
            clearance: one.clearance.0,
        });
        answer(&wire::History {
            object: "list".into(),
            entries: entries.collect(),
            next: next(&asked, limit),
        })
    };
    knock
        .recorded("room_history", knock.admit_to_read(Verb::Ask), work)
        .await
}

/// `GET /audit`
///
/// # Errors
/// See [`Error`].
pub async fn audit(knock: Knock) -> Result<Response<Body>, Error> {
    let (after, limit) = (after(&knock)?, knock.number("limit", PAGE, MOST)?);
    let rooms = &knock.gateway.rooms;
    let work = async |admitted: Admitted| {
        let asked = asked(&knock, &admitted, after.as_ref(), limit).await?;
        let places: Vec<&Place> = asked.iter().filter(|one| one.is_shown).map(|one| &one.place).collect();
        let said = kept::said_of(rooms.database()?, &admitted.grant, &places).await;
        let mut of_place: BTreeMap<(String, i64), Vec<wire::Feedback>> = BTreeMap::new();
        for said in said.map_err(|error| rooms.told(error))? {
            let place = (said.place.chain.clone(), said.place.seq);
            of_place.entry(place).or_default().push(feedback_of(said));
        }
        let is_kept = |age: i64| micros_since(age) <= admitted.room.texts.as_micros();
        let entries = asked.iter().map(|one| wire::Audited {
            chain: one.place.chain.clone(),
            seq: one.place.seq,
            id: one.request.clone(),
            at: time(one.at),
            user: one.author.clone(),
            clearance: one.clearance.0,
            generation: one.generation,
            chunks: one.chunks.clone(),
            statements: (one.statements.iter()).filter(|_| is_kept(one.at)).cloned().collect(),
            question: one.question.clone().filter(|_| is_kept(one.at)),
            answer: one.answer.clone().filter(|_| is_kept(one.at)),
            feedback: of_place
                .remove(&(one.place.chain.clone(), one.place.seq))
                .unwrap_or_default(),
        });
        answer(&wire::Audit {
            object: "list".into(),
            entries: entries.collect(),
            next: next(&asked, limit),
        })
    };
    knock
        .recorded("room_audit", knock.admit_to_read(Verb::Audit), work)
        .await
}

fn feedback_of(said: Said) -> wire::Feedback {
    wire::Feedback {
        user: said.author,
        kind: said.kind,
        value: said.value,
        comment: said.comment,
    }
}

async fn asked(
    knock: &Knock,
    admitted: &Admitted,
    after: Option<&(i64, Place)>,
    limit: usize,
) -> Result<Vec<Asked>, Error> {
    let rooms = &knock.gateway.rooms;
    let after = after.map(|(at, place)| (*at, place));
    let asked = kept::asked(rooms.database()?, &admitted.grant, after, limit).await;
    asked.map_err(|error| rooms.told(error))
}

/// Where the page before ended.
fn after(knock: &Knock) -> Result<Option<(i64, Place)>, Error> {
    let read = |text: String| {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(3, ' ');
        let (at, seq, chain) = (parts.next()?, parts.next()?, parts.next()?);
        let place = Place {
            chain: chain.replace('\0', ""),
            seq: seq.parse().ok()?,
        };
        Some((at.parse().ok()?, place))
    };
    let expected = Error::InvalidField {
        field: "after",
        expected: "what an answer had as \"next\"",
    };
    let after = knock.query("after");
    after.map(|after| read(after).ok_or(expected)).transpose()
}

fn next(asked: &[Asked], limit: usize) -> Option<String> {
    let last = asked.last().filter(|_| asked.len() == limit)?;
    let text = format!("{} {} {}", last.at, last.place.seq, last.place.chain);
    Some(URL_SAFE_NO_PAD.encode(text))
}

fn time(micros: i64) -> String {
    Timestamp::from_microsecond(micros)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// By our clock, which may differ from the database's a little.
fn micros_since(at: i64) -> u128 {
    let now = Timestamp::now().as_microsecond();
    u128::try_from(now.saturating_sub(at)).unwrap_or_default()
}
