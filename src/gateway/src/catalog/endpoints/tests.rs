use serde_json::{Value, json};

use super::*;
use crate::catalog::Lease;

fn slice(name: &str, version: &str, endpoints: Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "addressType": "IPv4",
        "metadata": {"name": name, "namespace": "ns", "labels": {LABEL_MODEL: "m", LABEL_VERSION: version}},
        "ports": [{"name": "admin", "port": 9090}, {"name": PORT_API, "port": 8000}],
        "endpoints": endpoints,
    }))
    .unwrap()
}

fn version(version: &str) -> ServedVersion {
    ServedVersion {
        namespace: "ns".into(),
        model: "m".into(),
        version: version.into(),
    }
}

fn addresses(endpoints: &Endpoints, of: &str) -> Vec<String> {
    let mut all: Vec<_> = endpoints
        .of(&version(of))
        .iter()
        .map(|e| e.address.to_string())
        .collect();
    all.sort();
    all
}

#[test]
fn slices_add_up_and_go() {
    let mut endpoints = Endpoints::default();
    endpoints.apply(&slice("a", "v-1", json!([{"addresses": ["10.0.0.1"]}])));
    endpoints.apply(&slice(
        "b",
        "v-1",
        json!([{"addresses": ["10.0.0.2"]}, {"addresses": ["10.0.0.1"]}]),
    ));
    endpoints.apply(&slice("c", "v-2", json!([{"addresses": ["10.0.0.3"]}])));
    assert_eq!(addresses(&endpoints, "v-1"), ["10.0.0.1:8000", "10.0.0.2:8000"]);
    endpoints.apply(&slice("b", "v-2", json!([])));
    assert_eq!(addresses(&endpoints, "v-1"), ["10.0.0.1:8000"]);
    endpoints.retain(|(_, name)| name == "b");
    assert!(!endpoints.is_live(&version("v-1")));
    assert!(endpoints.is_live(&version("v-2")));
    assert_eq!(addresses(&endpoints, "v-2"), [] as [&str; 0]);
}

#[test]
fn load_survives_an_update_and_a_change_makes_a_new_value() {
    let mut endpoints = Endpoints::default();
    let with_ready = |ready| {
        slice(
            "a",
            "v-1",
            json!([{"addresses": ["10.0.0.1"], "conditions": {"serving": ready}}]),
        )
    };
    endpoints.apply(&with_ready(true));
    let first = endpoints.of(&version("v-1"))[0].clone();
    let lease = Lease::new(first.clone());
    endpoints.apply(&with_ready(true));
    assert!(Arc::ptr_eq(&first, &endpoints.of(&version("v-1"))[0]));
    endpoints.apply(&with_ready(false));
    let second = endpoints.of(&version("v-1"))[0].clone();
    assert!(!second.serving && !Arc::ptr_eq(&first, &second));
    assert_eq!(second.in_flight(), 1);
    drop(lease);
    assert_eq!(second.in_flight(), 0);
}

#[test]
fn a_version_is_counted_as_long_as_it_has_workers() {
    let mut endpoints = Endpoints::default();
    let one = slice("a", "v-1", json!([{"addresses": ["10.0.0.1"]}]));
    endpoints.apply(&one);
    let of = |endpoints: &Endpoints, at: usize| endpoints.of(&version("v-1"))[at].clone();
    let mut lease = Lease::new(of(&endpoints, 0));
    lease.first_token();
    lease.succeeded();
    // One verdict for each request.
    lease.failed();
    endpoints.apply(&slice("b", "v-1", json!([{"addresses": ["10.0.0.2"]}])));
    let second = (0..2).map(|at| of(&endpoints, at)).find(|it| it.in_flight() == 0);
    Lease::new(second.unwrap()).failed();
    let [seen] = &endpoints.traffic()[..] else { panic!() };
    assert_eq!((seen.in_flight, seen.succeeded, seen.failed), (1, 1, 1));
    assert_eq!(seen.first_token.count(), 1);
    drop(lease);
    endpoints.retain(|_| false);
    assert!(endpoints.traffic().is_empty());
    endpoints.apply(&one);
    assert_eq!(endpoints.traffic()[0].succeeded, 0);
}

#[test]
fn absent_conditions_mean_ready() {
    let mut endpoints = Endpoints::default();
    let listed = json!([
        {"addresses": ["10.0.0.1"]},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
        {"addresses": ["fd00::3"], "conditions": {"ready": false}},
        {"addresses": ["not.an.address"]},
    ]);
    endpoints.apply(&slice("a", "v-1", listed));
    let states: Vec<_> = endpoints
        .of(&version("v-1"))
        .iter()
        .map(|e| (e.serving, e.terminating))
        .collect();
    assert_eq!(states, [(true, false), (true, true), (false, false)]);
    assert_eq!(addresses(&endpoints, "v-1")[2], "[fd00::3]:8000");
}

#[test]
fn foreign_slices_are_ignored() {
    let mut endpoints = Endpoints::default();
    let good = slice("a", "v-1", json!([{"addresses": ["10.0.0.1"]}]));
    for spoil in [
        (|s| s.metadata.labels = None) as fn(&mut EndpointSlice),
        |s| s.ports = None,
        |s| s.ports.iter_mut().flatten().for_each(|port| port.port = None),
        |s| s.ports.iter_mut().flatten().for_each(|port| port.port = Some(0)),
        |s| {
            s.ports
                .iter_mut()
                .flatten()
                .for_each(|port| port.name = Some("other".into()))
        },
        |s| s.ports.iter_mut().for_each(|ports| ports.truncate(0)),
    ] {
        endpoints.apply(&good);
        assert!(endpoints.is_live(&version("v-1")));
        let mut bad = good.clone();
        spoil(&mut bad);
        endpoints.apply(&bad);
        assert!(!endpoints.is_live(&version("v-1")));
    }
}
