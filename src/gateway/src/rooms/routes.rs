//! What there is of Rooms at which path.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::Response,
    routing::{MethodRouter, get, post, put},
};

use super::{answers, ask, detectors, ingest, people, redteam, request::Knock, search, state, upload};
use crate::{error::Error, routes::Gateway};

type Shared = State<Arc<Gateway>>;
type Outcome = Result<Response<Body>, Error>;
type Named<T> = Result<Path<T>, PathRejection>;
type Room = (String, String);
type One = (String, String, String);

/// All paths, as [`crate::routes::surface`] has them.
pub fn surface() -> Vec<(&'static str, MethodRouter<Arc<Gateway>>)> {
    vec![
        ("/v1/rooms/{namespace}/{room}", get(overview).delete(purge)),
        ("/v1/rooms/{namespace}/{room}/search", post(find)),
        ("/v1/rooms/{namespace}/{room}/ask", post(answer)),
        ("/v1/rooms/{namespace}/{room}/documents", get(documents).post(take)),
        (
            "/v1/rooms/{namespace}/{room}/documents/{document}",
            get(document).delete(remove),
        ),
        (
            "/v1/rooms/{namespace}/{room}/documents/{document}/release",
            post(release),
        ),
        (
            "/v1/rooms/{namespace}/{room}/documents/{document}/pages/{page}",
            get(page),
        ),
        ("/v1/rooms/{namespace}/{room}/feedback", post(feedback)),
        ("/v1/rooms/{namespace}/{room}/history", get(history)),
        ("/v1/rooms/{namespace}/{room}/audit", get(audit)),
        ("/v1/rooms/{namespace}/{room}/generations", post(begin)),
        (
            "/v1/rooms/{namespace}/{room}/generations/{generation}/known",
            get(known),
        ),
        (
            "/v1/rooms/{namespace}/{room}/generations/{generation}/carry",
            post(carry),
        ),
        (
            "/v1/rooms/{namespace}/{room}/generations/{generation}/documents",
            post(place),
        ),
        (
            "/v1/rooms/{namespace}/{room}/generations/{generation}/chunks",
            post(add),
        ),
        (
            "/v1/rooms/{namespace}/{room}/generations/{generation}/documents/{document}/pages/{page}",
            put(picture),
        ),
        (
            "/v1/rooms/{namespace}/{room}/generations/{generation}/verify",
            post(verify),
        ),
        (
            "/v1/rooms/{namespace}/{room}/generations/{generation}/publish",
            post(publish),
        ),
        (
            "/v1/rooms/{namespace}/{room}/generations/{generation}/live",
            post(roll_back),
        ),
        ("/v1/rooms/{namespace}/{room}/rights", post(set_rights)),
        ("/v1/rooms/{namespace}/{room}/removed", post(removed)),
        ("/v1/rooms/{namespace}/{room}/uploads", get(list_uploads)),
        ("/v1/rooms/{namespace}/{room}/uploads/{upload}", get(read_upload)),
        ("/v1/rooms/{namespace}/{room}/state", get(state)),
        ("/v1/rooms/{namespace}/{room}/redteam", get(red_team)),
        ("/v1/rooms/{namespace}/{room}/redteam/detectors", get(measure)),
    ]
}

/// The paths with what they are called in metrics.
const NAMES: [(&str, &str); 26] = [
    ("/v1/rooms/{namespace}/{room}", "room"),
    ("/v1/rooms/{namespace}/{room}/search", "room_search"),
    ("/v1/rooms/{namespace}/{room}/ask", "room_ask"),
    ("/v1/rooms/{namespace}/{room}/documents", "room_documents"),
    ("/v1/rooms/{namespace}/{room}/documents/{document}", "room_document"),
    (
        "/v1/rooms/{namespace}/{room}/documents/{document}/release",
        "room_release",
    ),
    (
        "/v1/rooms/{namespace}/{room}/documents/{document}/pages/{page}",
        "room_page",
    ),
    ("/v1/rooms/{namespace}/{room}/feedback", "room_feedback"),
    ("/v1/rooms/{namespace}/{room}/history", "room_history"),
    ("/v1/rooms/{namespace}/{room}/audit", "room_audit"),
    ("/v1/rooms/{namespace}/{room}/generations", "room_generations"),
    (
        "/v1/rooms/{namespace}/{room}/generations/{generation}/known",
        "room_known",
    ),
    (
        "/v1/rooms/{namespace}/{room}/generations/{generation}/carry",
        "room_carry",
    ),
    (
        "/v1/rooms/{namespace}/{room}/generations/{generation}/documents",
        "room_place",
    ),
    (
        "/v1/rooms/{namespace}/{room}/generations/{generation}/chunks",
        "room_chunks",
    ),
    (
        "/v1/rooms/{namespace}/{room}/generations/{generation}/documents/{document}/pages/{page}",
        "room_picture",
    ),
    (
        "/v1/rooms/{namespace}/{room}/generations/{generation}/verify",
        "room_verify",
    ),
    (
        "/v1/rooms/{namespace}/{room}/generations/{generation}/publish",
        "room_publish",
    ),
    (
        "/v1/rooms/{namespace}/{room}/generations/{generation}/live",
        "room_roll_back",
    ),
    ("/v1/rooms/{namespace}/{room}/rights", "room_rights"),
    ("/v1/rooms/{namespace}/{room}/removed", "room_removed"),
    ("/v1/rooms/{namespace}/{room}/uploads", "room_uploads"),
    ("/v1/rooms/{namespace}/{room}/uploads/{upload}", "room_upload"),
    ("/v1/rooms/{namespace}/{room}/state", "room_state"),
    ("/v1/rooms/{namespace}/{room}/redteam", "room_redteam"),
    ("/v1/rooms/{namespace}/{room}/redteam/detectors", "room_detectors"),
];

fn known_as(path: &str) -> Option<&'static (&'static str, &'static str)> {
    let fits = |template: &str| {
        let mut parts = path.split('/');
        let all = template.split('/').all(|wanted| {
            let part = parts.next();
            part.is_some_and(|part| wanted.starts_with('{') && !part.is_empty() || part == wanted)
        });
        all && parts.next().is_none()
    };
    NAMES.iter().find(|(template, _)| fits(template))
}

/// The name of a path in metrics.
pub fn name(path: &str) -> &'static str {
    known_as(path).map_or("other", |known| known.1)
}

/// A path in spans, without names.
pub fn template(path: &str) -> Option<&'static str> {
    known_as(path).map(|known| known.0)
}

/// Percent-encoded bytes that are no text name nothing.
fn path<T>(named: Named<T>) -> Result<T, Error> {
    named.map(|Path(path)| path).map_err(|_| Error::RouteNotFound)
}

async fn in_room(gateway: Arc<Gateway>, named: Named<Room>, request: Request) -> Result<(Knock, Body), Error> {
    Knock::take(gateway, path(named)?, request).await
}

async fn at_one(gateway: Arc<Gateway>, named: Named<One>, request: Request) -> Result<(Knock, String, Body), Error> {
    let (namespace, room, one) = path(named)?;
    let (knock, body) = Knock::take(gateway, (namespace, room), request).await?;
    Ok((knock, one, body))
}

macro_rules! in_room {
    ($($handler:ident => |$knock:ident, $body:ident| $work:expr;)*) => { $(
        async fn $handler(State(gateway): Shared, named: Named<Room>, request: Request) -> Outcome {
            let ($knock, $body) = in_room(gateway, named, request).await?;
            $work.await
        }
    )* };
}

macro_rules! at_one {
    ($($handler:ident => |$knock:ident, $one:ident, $body:ident| $work:expr;)*) => { $(
        async fn $handler(State(gateway): Shared, named: Named<One>, request: Request) -> Outcome {
            let ($knock, $one, $body) = at_one(gateway, named, request).await?;
            $work.await
        }
    )* };
}

in_room! {
    overview => |knock, _body| people::overview(knock);
    purge => |knock, _body| ingest::purge(knock);
    find => |knock, body| search::serve(knock, body);
    answer => |knock, body| ask::serve(knock, body);
    documents => |knock, _body| people::documents(knock);
    take => |knock, body| upload::take(knock, body);
    feedback => |knock, body| answers::give_feedback(knock, body);
    history => |knock, _body| answers::history(knock);
    audit => |knock, _body| answers::audit(knock);
    begin => |knock, body| ingest::begin(knock, body);
    set_rights => |knock, body| ingest::set_rights(knock, body);
    removed => |knock, body| ingest::removed(knock, body);
    list_uploads => |knock, _body| ingest::list_uploads(knock);
    state => |knock, _body| state::serve(knock);
    red_team => |knock, _body| redteam::facts(knock);
    measure => |knock, _body| detectors::serve(knock);
}

at_one! {
    document => |knock, id, _body| people::one(knock, &id);
    remove => |knock, id, _body| people::remove(knock, &id);
    release => |knock, id, _body| people::release(knock, &id);
    known => |knock, generation, _body| ingest::known(knock, &generation);
    carry => |knock, generation, body| ingest::carry(knock, &generation, body);
    place => |knock, generation, body| ingest::place(knock, &generation, body);
    add => |knock, generation, body| ingest::add(knock, &generation, body);
    verify => |knock, generation, _body| ingest::verify(knock, &generation);
    publish => |knock, generation, body| ingest::publish(knock, &generation, body);
    roll_back => |knock, generation, _body| ingest::roll_back(knock, &generation);
    read_upload => |knock, id, _body| ingest::read_upload(knock, &id);
}

async fn page(State(gateway): Shared, named: Named<(String, String, String, String)>, request: Request) -> Outcome {
    let (namespace, room, document, page) = path(named)?;
    let (knock, _) = Knock::take(gateway, (namespace, room), request).await?;
    people::page(knock, &document, &page).await
}

async fn picture(
    State(gateway): Shared,
    named: Named<(String, String, String, String, String)>,
    request: Request,
) -> Outcome {
    let (namespace, room, generation, document, page) = path(named)?;
    let (knock, body) = Knock::take(gateway, (namespace, room), request).await?;
    ingest::picture(knock, (&generation, &document, &page), body).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_path_has_a_name_of_its_own() {
        let paths: BTreeSet<_> = surface().into_iter().map(|(path, _)| path).collect();
        let named: BTreeSet<_> = NAMES.iter().map(|(path, _)| *path).collect();
        assert_eq!(paths, named);
        let names: BTreeSet<_> = NAMES.iter().map(|(_, name)| *name).collect();
        assert_eq!(names.len(), NAMES.len());
        assert_eq!(name("/v1/rooms/ns/hr/documents/abc"), "room_document");
        assert_eq!(template("/v1/rooms/ns/hr"), Some("/v1/rooms/{namespace}/{room}"));
        for other in [
            "/v1/rooms/ns",
            "/v1/rooms/ns/hr/other",
            "/v1/rooms/ns//search",
            "/v1/rooms/ns/hr/search/x",
        ] {
            assert_eq!((name(other), template(other)), ("other", None), "{other}");
        }
    }
}
