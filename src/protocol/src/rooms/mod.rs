//! What is said at the gateway about Rooms: by people who search and ask, and by the Jobs that fill them.
//!
//! Everything lies under `/v1/rooms/{namespace}/{room}`, in JSON, with names in snake_case as in the rest of the gateway's
//! API. Errors have the gateway's usual shape, `{"error": {message, type, param, code}}`, with stable codes (see [`code`]). A
//! Room that is not there and one that the caller may not enter give the same answer, 404. Readers pass over fields that
//! they do not know: a newer writer may add some.
//!
//! # Who fills a Room
//! A Job with a ServiceAccount that has the verb `ingest` on the Room, and no other way to its rows. In order:
//!
//! 1. `POST /generations` [`ingest::Begin`] gives [`ingest::Begun`]: a number, and a token that goes with each of the
//!    following in the header [`TOKEN_HEADER`]. Of two writers the one that began last goes on; the other one gets 409
//!    `generation_fenced` and has to stop.
//! 2. For each source: `GET /generations/{n}/known?source=&after=` gives [`ingest::Known`]; read its `now` *before* the
//!    source is read, and send it back as `read` with the documents of that source.
//! 3. `POST /generations/{n}/carry` [`ingest::Carry`] takes over what has not changed.
//! 4. `POST /generations/{n}/documents` [`ingest::PlaceDocuments`] places others, and `POST /generations/{n}/chunks`
//!    [`ingest::AddChunks`] adds their chunks. `PUT /generations/{n}/documents/{id}/pages/{page}` keeps a picture of a page:
//!    its bytes, with `image/png`, `image/jpeg` or `image/webp` for a content type.
//! 5. `POST /removed` [`ingest::Removed`] takes away what a source has no more, at once and in all generations.
//! 6. `POST /generations/{n}/verify` gives [`ingest::Verified`], `POST /generations/{n}/publish` [`ingest::Publish`] makes
//!    the generation the one that answers, and gives [`ingest::Published`].
//!
//! What people have uploaded is a source like others: [`uploads`]. Rights alone may be sent in between, with
//! `POST /rights` [`ingest::SetRights`]. `GET /state` [`state::State`] says how the Room stands, for its operator, and
//! `DELETE` of the Room itself takes all of it away ([`state::Purged`]).

pub mod answers;
pub mod ask;
pub mod documents;
pub mod ids;
pub mod ingest;
pub mod place;
pub mod redteam;
pub mod search;
pub mod state;
pub mod uploads;
pub mod vector;

pub use ids::{document_id, document_of};
pub use place::Place;

/// What stands before the namespace in paths.
pub const PREFIX: &str = "/v1/rooms/";
/// The header by which whoever may `redteam` plays somebody: `control`, `stranger` or `below=CLEARANCE`. See [`redteam`].
pub const RED_TEAM_HEADER: &str = "x-atelier-redteam-as";
/// The header with the token of whoever fills a generation.
pub const TOKEN_HEADER: &str = "x-atelier-generation-token";
/// Most documents, names or chunks in one request.
pub const MAX_BATCH: usize = 1000;
/// Most bytes of a request's body, but for pictures and uploads. A batch of chunks has to be cut to it.
pub const MAX_BODY: usize = 8 << 20;
/// Most bytes of a picture of a page.
pub const MAX_PICTURE: usize = 4 << 20;
/// Most chunks of a document.
pub const MAX_CHUNKS: u32 = 1 << 20;

/// Stable codes of errors, beside those of the rest of the gateway.
pub mod code {
    /// 404: there is no such Room, or the caller may not do this in it.
    pub const NOT_FOUND: &str = "room_not_found";
    /// 404: there is no such document, page, upload or answer, or the caller may not see it.
    pub const NO_SUCH_THING: &str = "room_content_not_found";
    /// 503: the database is not there. Rooms answer nothing without it.
    pub const UNAVAILABLE: &str = "rooms_unavailable";
    /// 501: this gateway has no database, so there are no Rooms.
    pub const OFF: &str = "rooms_off";
    /// 503: what sources say of rights is older than `access.maxStaleness`, or was never read.
    pub const STALE: &str = "room_access_stale";
    /// 503: nothing was published yet.
    pub const EMPTY: &str = "room_empty";
    /// 503: the Room's condition `RedTeamPassed` forbids it to answer: its adversarial tests found a leak.
    pub const CLOSED: &str = "room_failed_red_team";
    /// 503: the Room asks for adversarial tests, and has not passed them yet.
    pub const UNTESTED: &str = "room_not_tested";
    /// 409: another writer has begun since, or the generation was given up.
    pub const FENCED: &str = "generation_fenced";
    /// 409: something was written since the generation was verified, or it never was.
    pub const UNVERIFIED: &str = "generation_unverified";
    /// 409: documents lack chunks, or vectors have another dimension.
    pub const INCOMPLETE: &str = "generation_incomplete";
    /// 422: what was sent cannot be kept.
    pub const UNFIT: &str = "unfit";
    /// 413: an upload is larger than its source takes.
    pub const TOO_LARGE: &str = "request_too_large";
    /// 507: all documents of the source together would be more than it takes.
    pub const FULL: &str = "room_source_full";
    /// 501: the Room has no model, so it cannot be asked.
    pub const NO_MODEL: &str = "room_has_no_model";
    /// 501: the Room's model does not tell how probable its tokens are, and `answer.detectors` has Confidence.
    pub const MODEL_UNSURE: &str = "room_model_unsure";
    /// 409: the Room was not deleted, so it is not purged.
    pub const NOT_DELETED: &str = "room_not_deleted";
    /// In an answer: what the model wrote for a database may not be run, and was not.
    pub const STATEMENT_REFUSED: &str = "statement_refused";
    /// In an answer: a database refused a statement, or took too long.
    pub const DATABASE_FAILED: &str = "database_failed";
    /// In an answer: a database cannot be reached.
    pub const DATABASE_UNAVAILABLE: &str = "database_unavailable";
}
