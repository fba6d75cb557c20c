//! What people see and change beside searching and asking: the Room itself, and its documents.

use ::rooms::Verb;
use api::room::Member;
use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use protocol::{
    quarantine::Reason,
    rooms::{document_id, document_of, documents as wire, search},
};
use store::rooms::{self as kept, Document, Quarantined};

use super::{
    Admitted,
    request::{Knock, answer},
    room::Source,
};
use crate::error::Error;

/// Documents on a page, unless the caller wants fewer or more, and at most.
const PAGE: usize = 100;
const MOST: usize = 1000;

/// The verbs of people.
const VERBS: [Verb; 7] = [
    Verb::Search,
    Verb::Ask,
    Verb::Contribute,
    Verb::Curate,
    Verb::Feedback,
    Verb::Audit,
    Verb::RedTeam,
];

/// The Room, for whoever may search it, and for its auditors.
///
/// # Errors
/// See [`Error`].
pub async fn overview(knock: Knock) -> Result<Response<Body>, Error> {
    let rooms = &knock.gateway.rooms;
    let work = async |admitted: Admitted| {
        let grant = &admitted.grant;
        // What is empty shows nothing, and may be filled by whoever uploads.
        let empty = match rooms.check_fresh(&admitted).await {
            Ok(()) => false,
            Err(Error::RoomEmpty) => true,
            Err(error) => return Err(error),
        };
        let documents = match grant.verb() {
            Verb::Search => {
                let listing = kept::documents(rooms.database()?, grant, None, 1).await;
                listing.map_err(|error| rooms.told(error))?.total.unwrap_or_default()
            }
            _ => 0,
        };
        let verbs = rooms.verbs(&knock.caller, &admitted.room, &VERBS).await?;
        let may = |verb| verbs.contains(&verb);
        let spec = admitted.room.spec.as_ref();
        let visible = |source: &&Source| source.clearance <= grant.clearance() && may(Verb::Contribute);
        let members = spec.iter().flat_map(|spec| &spec.members);
        let members = members.filter(|_| may(Verb::Curate) || may(Verb::Audit));
        answer(&search::Overview {
            object: "room".into(),
            namespace: knock.namespace.clone(),
            name: knock.name.clone(),
            user: knock.caller.identity.user().into(),
            clearance: grant.clearance().0,
            documents,
            empty,
            uploads: (admitted.room.sources.iter().filter(visible))
                .filter_map(upload_source)
                .collect(),
            answers: spec.is_some_and(|spec| spec.model.is_some()),
            members: members.map(member).collect(),
            verbs: verbs.iter().map(|verb| verb.as_str().into()).collect(),
        })
    };
    let admit = async {
        match knock.admit(Verb::Search).await {
            Err(Error::RoomNotFound { .. }) => knock.admit(Verb::Audit).await,
            admitted => admitted,
        }
    };
    knock.recorded("room_overview", admit, work).await
}

fn upload_source(source: &Source) -> Option<search::UploadSource> {
    Some(search::UploadSource {
        name: source.name.clone(),
        max_bytes: source.upload?.document,
        clearance: source.clearance.0,
    })
}

fn member(member: &Member) -> search::Member {
    search::Member {
        kind: format!("{:?}", member.kind),
        name: member.name.clone(),
        role: format!("{:?}", member.role),
        clearance: u8::try_from(member.clearance).unwrap_or_default(),
    }
}

fn document(document: &Document) -> wire::Document {
    wire::Document {
        id: document_id(&document.source, &document.name),
        source: document.source.clone(),
        name: document.name.clone(),
        title: document.title.clone(),
        origin: document.origin.clone(),
        clearance: document.clearance.0,
        bytes: Some(document.bytes),
        pages: document.pages,
        chunks: Some(document.chunks),
        ..wire::Document::default()
    }
}

fn quarantined(document: &Quarantined) -> wire::Document {
    let reason: Option<Reason> = document.reason.parse().ok();
    wire::Document {
        id: document_id(&document.source, &document.name),
        source: document.source.clone(),
        name: document.name.clone(),
        title: document.title.clone(),
        clearance: document.clearance.0,
        quarantined: Some(document.reason.clone()),
        advice: reason.map(|reason| reason.advice().into()),
        // What is no reason of ours is for a curator to judge.
        releasable: reason.is_none_or(Reason::is_judgement),
        released: document.is_released,
        pictures: Some(document.pictures),
        ..wire::Document::default()
    }
}

/// Documents that the caller sees, those that are set aside, or what they have uploaded.
///
/// # Errors
/// See [`Error`].
pub async fn documents(knock: Knock) -> Result<Response<Body>, Error> {
    let is_set = |name| knock.query(name).is_some_and(|value| value == "true");
    let limit = knock.number("limit", PAGE, MOST)?;
    let after = knock.query("after").map(|after| {
        document_of(&after).ok_or(Error::InvalidField {
            field: "after",
            expected: "what an answer had as \"next\"",
        })
    });
    let after = after.transpose()?;
    let rooms = &knock.gateway.rooms;
    if is_set("quarantined") {
        let work = async |admitted: Admitted| {
            let found = kept::quarantined(rooms.database()?, &admitted.grant, after.as_ref(), limit).await;
            let found = found.map_err(|error| rooms.told(error))?;
            let last = found.last().filter(|_| found.len() == limit);
            answer(&wire::Documents {
                object: "list".into(),
                next: last.map(|last| document_id(&last.source, &last.name)),
                documents: found.iter().map(quarantined).collect(),
                total: None,
            })
        };
        let admit = knock.admit_to_read(Verb::Curate);
        return knock.recorded("room_quarantine", admit, work).await;
    }
    if is_set("mine") {
        let work = async |admitted: Admitted| {
            let mine = kept::uploads(rooms.database()?, &admitted.grant).await;
            let mine = mine.map_err(|error| rooms.told(error))?;
            answer(&wire::Mine {
                object: "list".into(),
                uploads: mine.iter().map(super::upload::uploaded).collect(),
            })
        };
        return knock
            .recorded("room_uploads", knock.admit(Verb::Contribute), work)
            .await;
    }
    let work = async |admitted: Admitted| {
        let found = kept::documents(rooms.database()?, &admitted.grant, after.as_ref(), limit).await;
        let found = found.map_err(|error| rooms.told(error))?;
        answer(&wire::Documents {
            object: "list".into(),
            documents: found.documents.iter().map(document).collect(),
            total: found.total,
            next: found.next.map(|(source, name)| document_id(&source, &name)),
        })
    };
    knock.recorded("room_documents", knock.admit_to_look(), work).await
}

/// A document, if the caller sees it.
///
/// # Errors
/// See [`Error`].
pub async fn one(knock: Knock, id: &str) -> Result<Response<Body>, Error> {
    let rooms = &knock.gateway.rooms;
    let work = async |admitted: Admitted| {
        // What is no name costs as much as what is one.
        let (source, name) = document_of(id).unwrap_or_default();
        let found = kept::document(rooms.database()?, &admitted.grant, &source, &name).await;
        let found = found.map_err(|error| rooms.told(error))?;
        answer(&document(&found.ok_or(Error::RoomContentNotFound)?))
    };
    knock.recorded("room_document", knock.admit_to_look(), work).await
}

/// The picture of a page, for curators also of what is set aside.
///
/// # Errors
/// See [`Error`].
pub async fn page(knock: Knock, id: &str, page: &str) -> Result<Response<Body>, Error> {
    let rooms = &knock.gateway.rooms;
    let is_curated = knock.query("quarantined").is_some_and(|value| value == "true");
    let work = async |admitted: Admitted| {
        let (source, name) = document_of(id).unwrap_or_default();
        let page = page.parse().unwrap_or_default();
        let picture = kept::picture(rooms.database()?, &admitted.grant, &source, &name, page).await;
        let picture = picture.map_err(|error| rooms.told(error))?;
        let picture = picture.ok_or(Error::RoomContentNotFound)?;
        let headers = [
            (header::CONTENT_TYPE, picture.media_type),
            (header::CACHE_CONTROL, "no-store".into()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".into()),
        ];
        Ok((StatusCode::OK, headers, picture.bytes).into_response())
    };
    let admit = async {
        match is_curated {
            true => knock.admit_to_read(Verb::Curate).await,
            false => knock.admit_to_look().await,
        }
    };
    knock.recorded("room_page", admit, work).await
}

/// Removes a document for good.
///
/// # Errors
/// See [`Error`].
pub async fn remove(knock: Knock, id: &str) -> Result<Response<Body>, Error> {
    let rooms = &knock.gateway.rooms;
    let work = async |admitted: Admitted| {
        let (source, name) = document_of(id).unwrap_or_default();
        let removed = kept::remove(rooms.database()?, &admitted.grant, &source, &[&name]).await;
        match removed.map_err(|error| rooms.told(error))? {
            0 => Err(Error::RoomContentNotFound),
            _ => answer(&wire::Done {
                object: "room.document".into(),
                id: id.into(),
                deleted: true,
                released: false,
            }),
        }
    };
    knock.recorded("room_remove", knock.admit(Verb::Curate), work).await
}

/// Lets a document in that was set aside.
///
/// # Errors
/// See [`Error`].
pub async fn release(knock: Knock, id: &str) -> Result<Response<Body>, Error> {
    let rooms = &knock.gateway.rooms;
    let work = async |admitted: Admitted| {
        let (source, name) = document_of(id).unwrap_or_default();
        let released = kept::release(rooms.database()?, &admitted.grant, &source, &name).await;
        match released.map_err(|error| rooms.told(error))? {
            false => Err(Error::RoomContentNotFound),
            true => answer(&wire::Done {
                object: "room.document".into(),
                id: id.into(),
                deleted: false,
                released: true,
            }),
        }
    };
    knock.recorded("room_release", knock.admit(Verb::Curate), work).await
}
