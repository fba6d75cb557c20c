//! What tests of the parts share.

use protocol::ingest::{
    ChunkSize, Cleaning, Embedding, GatewayAccess, IngestPlan, IngestSource, IngestSourceKind, Limits,
};

#[path = "../../tests/common/room.rs"]
pub mod room;

/// A plan with one source.
pub fn plan() -> IngestPlan {
    IngestPlan {
        namespace: "team".into(),
        room: "handbook".into(),
        gateway: GatewayAccess {
            url: "http://127.0.0.1:9".into(),
            ca: None,
            token_file: "/nowhere".into(),
        },
        embedding: Embedding {
            model: room::MODEL.into(),
            digest: "sha256:1".into(),
        },
        sources: vec![source(
            "files",
            IngestSourceKind::Mounted {
                path: "/nowhere".into(),
            },
        )],
        cleaning: Cleaning {
            clean: true,
            ..Cleaning::default()
        },
        chunks: ChunkSize {
            tokens: 128,
            overlap: 16,
        },
        keep: 1,
        red_team: None,
        scratch: "/nowhere".into(),
        limits: Limits::default(),
    }
}

/// A source that is read.
pub fn source(name: &str, kind: IngestSourceKind) -> IngestSource {
    IngestSource {
        name: name.into(),
        clearance: 0,
        read: true,
        ocr: None,
        kind,
    }
}

/// The Room's gateway, and a directory with the token for it.
pub fn gateway(room: &room::Room) -> (super::gateway::Gateway, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    std::fs::write(&token_file, room::TOKEN).unwrap();
    let access = GatewayAccess {
        url: format!("http://{}/", room.address),
        ca: None,
        token_file,
    };
    (super::gateway::Gateway::new(&access, impatient()).unwrap(), dir)
}

/// Three quick tries.
pub fn impatient() -> super::gateway::Patience {
    super::gateway::Patience {
        attempts: 3,
        first: std::time::Duration::from_millis(1),
        longest: std::time::Duration::from_millis(2),
    }
}
