use std::thread;

use tempfile::TempDir;

use super::*;
use crate::lora::{
    Projection,
    testing::{tiny, tiny_model, write_tiny},
};

/// Bytes of an adapter of rank 1 of the query in two layers: rows of 32 and of 32.
const UNIT: u64 = 2 * (32 + 32) * 4;

fn query(rank: usize) -> TempDir {
    tiny(rank, 2.0, &[Projection::Query])
}

fn registry(units: u64) -> Registry {
    Registry::new(tiny_model(), Dtype::Fp32, units * UNIT)
}

fn loaded(registry: &Registry) -> Vec<String> {
    let list = registry.list().into_iter();
    list.filter(|summary| summary.loaded)
        .map(|summary| summary.name)
        .collect()
}

#[test]
fn the_least_recently_used_goes_first_and_comes_back() {
    let directories = [query(1), query(1), query(1)];
    let registry = registry(2);
    registry.add("a", directories[0].path()).unwrap();
    registry.add("b", directories[1].path()).unwrap();
    drop(registry.get("a").unwrap());
    registry.add("c", directories[2].path()).unwrap();
    assert_eq!(loaded(&registry), ["a", "c"]);
    assert_eq!(registry.bytes(), 2 * UNIT);
    assert!(registry.loaded("b").unwrap().is_none());

    drop(registry.get("b").unwrap());
    assert_eq!(loaded(&registry), ["b", "c"]);
    let stats = registry.stats();
    assert_eq!((stats.loads, stats.evictions, stats.failures), (4, 2, 0));
    let requests: Vec<u64> = registry.list().iter().map(|summary| summary.requests).collect();
    assert_eq!(requests, [1, 1, 0]);
}

#[test]
fn what_requests_use_stays() {
    let directories = [query(1), query(1)];
    let registry = registry(1);
    registry.add("a", directories[0].path()).unwrap();
    let used = registry.get("a").unwrap();
    let error = registry.add("b", directories[1].path()).unwrap_err();
    assert!(
        matches!(
            error,
            RegistryError::Busy {
                bytes: UNIT,
                budget: UNIT
            }
        ),
        "{error}"
    );
    assert!(registry.list()[0].in_use && loaded(&registry) == ["a"]);

    // Deleting does not free what a request still uses.
    registry.remove("a").unwrap();
    assert!(matches!(registry.get("a"), Err(RegistryError::Unknown { .. })));
    assert_eq!(registry.bytes(), UNIT);
    assert!(matches!(
        registry.add("b", directories[1].path()),
        Err(RegistryError::Busy { .. })
    ));
    drop(used);
    registry.add("b", directories[1].path()).unwrap();
    assert_eq!((loaded(&registry), registry.bytes()), (vec!["b".to_owned()], UNIT));
}

#[test]
fn an_adapter_that_never_fits_evicts_nobody() {
    let (small, large) = (query(1), query(3));
    let registry = registry(2);
    registry.add("small", small.path()).unwrap();
    let error = registry.add("large", large.path()).unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { .. }), "{error}");
    assert_eq!(loaded(&registry), ["small"]);
}

#[test]
fn other_files_under_the_same_name_are_another_adapter() {
    let directory = query(1);
    let registry = registry(3);
    let first = registry.add("a", directory.path()).unwrap();
    let running = registry.get("a").unwrap();
    let again = registry.add("a", directory.path()).unwrap();
    assert_eq!((first.id, registry.stats().loads), (again.id, 1));
    assert!(
        Arc::ptr_eq(&running, &registry.get("a").unwrap()),
        "a second copy of the same files"
    );

    write_tiny(directory.path(), 2, 2.0, &[Projection::Query]);
    let replaced = registry.add("a", directory.path()).unwrap();
    assert_ne!(replaced.id, first.id);
    assert_eq!((running.id(), registry.get("a").unwrap().id()), (first.id, replaced.id));
    assert_eq!(registry.bytes(), 3 * UNIT);
    drop(running);
    assert_eq!(registry.bytes(), 2 * UNIT);

    // In use and unchanged, it takes no room, however full the memory is.
    let _used = registry.get("a").unwrap();
    let other = query(2);
    assert!(matches!(
        registry.add("b", other.path()),
        Err(RegistryError::Busy { .. })
    ));
    assert_eq!(registry.add("a", directory.path()).unwrap().id, replaced.id);

    // A replacement that cannot be loaded changes nothing.
    let empty = tempfile::tempdir().unwrap();
    assert!(registry.add("a", empty.path()).is_err());
    assert_eq!(registry.get("a").unwrap().id(), replaced.id);
    assert_eq!(registry.list().len(), 1);
}

#[test]
fn many_who_ask_at_once_load_it_once() {
    let directories = [query(1), query(2)];
    let registry = registry(2);
    registry.add("a", directories[0].path()).unwrap();
    registry.add("b", directories[1].path()).unwrap();
    assert_eq!(loaded(&registry), ["b"]);
    let adapters: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| registry.get("a").unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(adapters.iter().all(|adapter| Arc::ptr_eq(adapter, &adapters[0])));
    assert_eq!(registry.stats().loads, 3);
}

#[test]
fn files_that_went_away_are_told_of() {
    let (gone, other) = (query(1), query(1));
    let registry = registry(1);
    registry.add("gone", gone.path()).unwrap();
    registry.add("other", other.path()).unwrap();
    drop(gone);
    let error = registry.get("gone").unwrap_err().to_string();
    assert!(error.contains("adapter_config.json"), "{error}");
    assert_eq!(loaded(&registry), ["other"]);
}

#[test]
fn a_pinned_adapter_is_never_another_one() {
    let (one, other) = (query(1), tiny(1, 3.0, &[Projection::Query]));
    let registry = registry(1);
    let id = registry.add("a", one.path()).unwrap().id.prefixed();
    registry.add_pinned("a", one.path(), Some(&id)).unwrap();
    let error = registry.add_pinned("a", other.path(), Some(&id)).unwrap_err();
    assert!(error.to_string().contains(&id), "{error}");
    assert!(registry.get("a").is_ok(), "the one that was there stays");

    // It is put out of memory, and its files are replaced meanwhile.
    registry.add("b", other.path()).unwrap();
    write_tiny(one.path(), 1, 3.0, &[Projection::Query]);
    let error = registry.get("a").unwrap_err();
    assert!(error.to_string().contains("expected"), "{error}");
}
