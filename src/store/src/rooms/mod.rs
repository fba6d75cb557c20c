//! Rooms: documents that only some may see.
//!
//! Nothing here that gives something of a Room is called without a [`rooms::Grant`] that fits. Three nets keep a Room tight. Statements name the Room,
//! and where somebody is to see the rows, their clearance and the lists that they are on. Row-level security knows the
//! Room and the clearance of each transaction, and holds for the owner of the tables as well. And each row that comes out
//! is held against the grant: where that disagrees with what came before, there is an error ([`Disagreement`]), and
//! nothing else.
//!
//! # Generations
//! A Room is filled at the side: a [`Writer`] places documents and adds their chunks to a *generation* that nobody sees,
//! and publishes it when it is whole. Each step of it is a transaction. A writer that dies leaves nothing that is seen;
//! [`sweep`] takes away what it had done, or the next one resumes it. Of two writers, the one that began last goes on.
//! Some generations are kept to [roll back](roll_back) to.
//!
//! Rights and deletions are not part of a generation. There is one row for a document, whichever generations it is in,
//! and what is changed there holds in all of them with the commit. What a source says of rights has the time at which it
//! was read ([`Moment`], by the database's clock): what was read earlier does not replace what was read later.
//!
//! # Plans
//! Tables grow from nothing to a million rows before PostgreSQL has counted them. So where one table is looked up by
//! another, it is by `LATERAL … LIMIT 1`: a look into an index for each row, however few rows it believes that there are.
//!
//! # Caches
//! Who searches keeps a generation in memory ([`load`]), and asks before each search what has changed since
//! ([`changes`]); texts of what was found come from the database ([`texts`]), which looks at the rights anew.

mod answers;
mod asked;
mod changes;
mod curate;
mod enter;
mod erase;
mod error;
mod generations;
mod inside;
mod life;
mod limits;
mod listing;
mod load;
mod overview;
mod pages;
mod purge;
mod remove;
mod rights;
mod sweep;
mod texts;
mod uploads;
mod writer;

pub use answers::{
    Expired, FromDatabase, Kept, Said, expire_answers, finish_answer, keep_answer, keep_databases, said, said_of,
};
pub use asked::{Asked, asked, mine};
pub use changes::{Since, changes};
pub use curate::{Quarantined, quarantine, quarantined, release};
pub use erase::erase_answers;
pub use error::{Disagreement, Error, Unfit};
pub use generations::{Generation, State, generations, roll_back};
pub use inside::{Head, head};
pub use life::{ensure, uids};
pub use limits::{MAX_BATCH, MAX_CHUNKS};
pub use listing::{Cursor, Document, Listing, document, documents};
pub use load::{Loaded, load, load_shadow};
pub use overview::{Overview, Source, overview};
pub use pages::{Picture, picture};
pub use purge::{Purged, purge};
pub use remove::{remove, remove_source};
pub use rights::{Moment, Rights, moment, raise, set_rights, synced};
pub use sweep::{Swept, sweep};
pub use texts::{Text, texts};
pub use uploads::{Arriving, MAX_PART, Stored, Upload, read_upload, stored, upload, uploads};
pub use writer::{DocumentId, Known, NewChunk, NewDocument, Placed, Published, Recipe, Verified, Writer, known};
