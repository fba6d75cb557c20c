use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controllers::llmmodel::source::Source;
use crate::controllers::llmmodel::testing::{self, compressed_report, report, the_owner, wanted};
use crate::controllers::llmmodel::validate::{NodeCache, Settings};
use crate::controllers::llmmodel::version::{Tuned, TunedPlace};

#[test]
fn the_list_of_adapters() {
    let source = |source: Value| json!({"name": "a", "source": source});
    let lists = [
        source(json!({"huggingFace": {"repo": "team/a", "tokenSecretRef": {"name": "hub", "key": "read"}}})),
        source(json!({"objectStore": {"uri": "s3://b/a/", "credentialsSecretRef": {"name": "store"}}})),
        source(json!({"oci": {"image": "adapters/a:1", "path": "a", "sha256": "c1".repeat(32)}})),
        source(json!({"persistentVolumeClaim": {"claimName": "adapters"}})),
    ]
    .map(|adapter| {
        let (owner, wanted, settings) = (the_owner(), wanted(json!({"adapters": [adapter]})), settings());
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        json!(builder.adapters(&Observed::default()))
    });
    insta::assert_yaml_snapshot!("adapters", lists);
}

fn children(spec: Value) -> Children {
    children_of(wanted(spec))
}

#[test]
fn an_adapter_of_a_training_is_mounted_beside_its_base() {
    let mut wanted = wanted(json!({"source": {"huggingFace": {"repo": "team/model"}}}));
    wanted.tuned = Some(Tuned {
        digest: format!("sha256:{}", "d1".repeat(32)),
        place: TunedPlace {
            claim: "tone-tune".into(),
            path: format!("outputs/{}", "d1".repeat(32)),
        },
    });
    let Children {
        revision, deployment, ..
    } = children_of(wanted);
    insta::assert_yaml_snapshot!("children_tuned", [json!(revision), json!(deployment)]);
}

fn children_of(wanted: Wanted) -> Children {
    let (owner, settings) = (the_owner(), settings());
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    let report = match wanted.compress {
        Some(_) => compressed_report(),
        None => report(),
    };
    let report = match wanted.source {
        Source::HuggingFace(_) | Source::ObjectStore(_) => PrepareReport {
            revision: Some("1".repeat(40)),
            ..report
        },
        Source::Oci(ref oci) if oci.is_artifact() => PrepareReport {
            revision: Some(format!("sha256:{}", "2".repeat(64))),
            ..report
        },
        _ => report,
    };
    builder.children(&Version::new(&wanted, report), 1)
}

/// An installation with a node cache, which is off unless a spec asks for it.
fn settings() -> Settings {
    Settings {
        node_cache: Some(NodeCache {
            host_path: "/var/cache/atelier/".into(),
            size: 50 << 30,
        }),
        ..testing::settings()
    }
}

#[rstest]
#[case("oci", json!({"source": {"oci": {"image": "models/small:1", "pullPolicy": "Never", "pullSecrets": [{"name": "registry"}]}}}))]
#[case("http", json!({
    "source": {"http": {"url": "https://example.com/m.gguf", "sha256": "b1".repeat(32), "headersSecretRef": {"name": "headers"}}},
    "prompt": {"system": "Price: $(COST)", "templateOverride": "{{ messages }}"},
    "engine": {"atelier": {"prefixCache": {"enabled": false}}},
    "resources": {"cpu": "1500m", "memory": "2Gi"},
}))]
#[case("hub", json!({
    "source": {"huggingFace": {
        "repo": "team/model", "revision": "v1", "files": ["*.gguf"], "endpoint": "http://mirror:8080/hub",
        "tokenSecretRef": {"name": "hub", "key": "read"},
    }},
}))]
#[case("artifact", json!({
    "source": {"oci": {
        "image": "registry.example.com:5000/team/model:1", "type": "Artifact", "path": "q4", "plainHttp": true,
        "pullSecrets": [{"name": "mine"}, {"name": "ours"}],
    }},
}))]
#[case("store", json!({
    "source": {"objectStore": {"uri": "s3://models/small/$(KEY)/m.gguf", "credentialsSecretRef": {"name": "store"}}},
}))]
#[case("claim", json!({
    "source": {"persistentVolumeClaim": {"claimName": "weights", "path": "a/b.gguf"}},
    "replicas": 2,
    "placement": {"zones": ["a", "b"], "nodeSelector": {"disk": "fast"}, "tolerations": [{"operator": "Exists"}], "priorityClassName": "high"},
    "podOverrides": {"labels": {"team": "x"}, "annotations": {"note": "y"}, "env": [{"name": "A", "value": "b"}], "serviceAccountName": "sa", "terminationGracePeriodSeconds": 90},
}))]
#[case("node_cache", json!({
    "source": {"huggingFace": {"repo": "team/model", "tokenSecretRef": {"name": "hub", "key": "token"}}},
    "placement": {"nodeCache": true},
}))]
#[case("node_cache_of_an_encoder", json!({
    "task": "Embed", "source": {"objectStore": {"uri": "s3://models/encoder/"}}, "placement": {"nodeCache": true},
}))]
#[case("compressed", json!({
    "source": {"http": {"url": "https://example.com/m.gguf", "sha256": "b1".repeat(32)}},
    "compress": {"quantization": "Int4"},
    "placement": {"zones": ["a"]},
}))]
#[case("embed", json!({"task": "Embed"}))]
#[case("adapters", json!({"adapters": [
    {"name": "hub", "source": {"huggingFace": {
        "repo": "team/a", "files": ["a/*"], "endpoint": "http://mirror:8080", "tokenSecretRef": {"name": "hub", "key": "read"},
    }}},
    {"name": "store", "source": {"objectStore": {"uri": "s3://b/a/", "credentialsSecretRef": {"name": "store"}}}},
    {"name": "image", "source": {"oci": {"image": "adapters/a:1", "path": "a", "pullSecrets": [{"name": "registry"}]}}},
    {"name": "claim", "source": {"persistentVolumeClaim": {"claimName": "adapters", "sha256": "c1".repeat(32)}}},
]}))]
#[case("other_engine", json!({
    "source": {"persistentVolumeClaim": {"claimName": "weights"}},
    "engine": {"openAICompatible": {
        "image": "ghcr.io/ggml-org/llama.cpp:server", "port": 8080,
        "args": ["--model", "$(MODEL_PATH)", "--alias", "$(SERVED_NAME)", "--ctx-size", "$(CONTEXT_LENGTH)", "--metrics"],
    }},
    "podOverrides": {"env": [{"name": "LLAMA_ARG_N_PARALLEL", "value": "4"}, {"name": "USER", "value": "me"}]},
}))]
#[case("other_engine_on_devices", json!({
    "source": {"huggingFace": {"repo": "team/model", "files": ["*.safetensors"]}},
    "engine": {"openAICompatible": {
        "image": "vllm/vllm-openai:v1", "healthPath": "/ping", "metrics": {"port": 9000, "path": "/stats"},
        "args": ["--model=$(MODEL_PATH)", "--tensor-parallel-size=$(TENSOR_PARALLEL)"],
    }},
    "resources": {"memory": "64Gi", "accelerator": {"resourceName": "amd.com/gpu", "count": 2}, "tensorParallel": 2},
    "placement": {"tolerations": [{"operator": "Exists"}]},
    "podOverrides": {"annotations": {"prometheus.io/scrape": "false"}, "terminationGracePeriodSeconds": 120},
}))]
#[case("routed", json!({"route": {"gatewayApi": {
    "parentRefs": [{"name": "public", "namespace": "edge"}, {"name": "inner"}],
}}}))]
#[case("device_class", json!({"resources": {"accelerator": {"deviceClassName": "gpu.nvidia.com"}}}))]
#[case("autoscaled", json!({"autoscaling": {
    "minReplicas": 0, "maxReplicas": 5, "scaleToZero": {},
    "targets": [
        {"metric": "InFlight", "value": "8"}, {"metric": "QueueSeconds", "value": "500m"},
        {"metric": "TokensPerSecond", "value": "2k"}, {"metric": "KvCacheUsage", "value": "80"},
        {"metric": "CPU", "value": "70"},
    ],
    "behavior": {"scaleUpStabilizationSeconds": 30, "maxRemovedPerMinute": 1},
}}))]
fn children_of_a_version(#[case] name: &str, #[case] spec: Value) {
    let Children {
        revision,
        network_policy,
        service,
        pdb,
        deployment,
        hpa,
    } = children(spec);
    let mut all = vec![
        json!(revision),
        json!(network_policy),
        json!(service),
        json!(pdb),
        json!(deployment),
    ];
    all.extend(hpa.map(|hpa| json!(hpa)));
    insta::assert_yaml_snapshot!(format!("children_{name}"), all);
}

#[rstest]
#[case("oci", json!({"source": {"oci": {"image": "models/small:1", "path": "m.gguf", "pullPolicy": "Never"}}}))]
#[case("artifact", json!({"source": {"oci": {"image": "team/model@sha256:ab", "type": "Artifact"}}}))]
#[case("http", json!({"source": {"http": {"url": "http://example.com:8080/m", "sha256": "b1".repeat(32)}}}))]
#[case("node_cache", json!({"source": {"huggingFace": {"repo": "team/model"}}, "placement": {"nodeCache": true}}))]
#[case("claim", json!({"source": {"persistentVolumeClaim": {"claimName": "weights"}}, "placement": {"nodeCache": true}}))]
#[case("hub", json!({"source": {"huggingFace": {"repo": "team/model"}}}))]
#[case("store", json!({"source": {"objectStore": {"uri": "gs://models/encoder/"}}}))]
fn the_prepare_job(#[case] name: &str, #[case] spec: Value) {
    let (owner, wanted, settings) = (the_owner(), wanted(spec), settings());
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    insta::assert_yaml_snapshot!(format!("job_{name}"), builder.prepare_job());
}

#[rstest]
#[case("oci", json!({
    "source": {"oci": {"image": "models/small:1", "pullSecrets": [{"name": "registry"}]}},
    "compress": {
        "quantization": "Int4", "method": "GPTQ", "groupSize": 64, "maxPerplexityIncrease": "3%",
        "calibration": {"source": {"persistentVolumeClaim": {"claimName": "texts", "path": "ours.jsonl"}}},
    },
    "resources": {"cpu": "2"},
}))]
#[case("http", json!({
    "source": {"http": {"url": "http://example.com/m", "sha256": "b1".repeat(32), "headersSecretRef": {"name": "headers"}}},
    "compress": {"pruning": {"method": "Magnitude", "sparsity": "50%"}},
    "resources": {"memory": "40Gi"},
}))]
fn the_compress_job_and_its_claim(#[case] name: &str, #[case] spec: Value) {
    let (owner, wanted, settings) = (the_owner(), wanted(spec), settings());
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    let compression = wanted.compress.as_ref().unwrap();
    let job = builder.compress_job(compression, &report());
    let claim = builder.claim(compression, &report());
    assert_eq!(report_of(&claim), Some(report()));
    insta::assert_yaml_snapshot!(format!("compress_{name}"), json!([claim, job]));
}

#[test]
fn the_route_of_two_versions() {
    let parents = json!([{"name": "public", "namespace": "edge", "sectionName": "https"}, {"name": "inner"}]);
    let asked = json!({"parentRefs": parents, "hostnames": ["m.example.com", "*.m.example.com"]});
    let (owner, settings) = (the_owner(), settings());
    let wanted = wanted(json!({"route": {"gatewayApi": asked}}));
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    let route = builder.route(
        wanted.route.as_ref().unwrap(),
        &[("v-0000000000", 90), ("v-1111111111", 10)],
    );
    insta::assert_yaml_snapshot!("route", route);
}

#[test]
fn replicas_spread_where_their_volume_can_follow() {
    let (owner, wanted) = (the_owner(), wanted(json!({"compress": {"quantization": "Int4"}})));
    for (modes, together) in [(["ReadWriteOnce"], true), (["ReadWriteMany"], false)] {
        let mut settings = settings();
        settings.storage.access_modes = modes.map(Into::into).into();
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        let deployment = builder
            .children(&Version::new(&wanted, compressed_report()), 1)
            .deployment;
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.affinity.is_some(), together, "{modes:?}");
    }
}

#[test]
fn pods_of_all_versions_are_where_the_volume_of_a_training_is() {
    let (owner, settings) = (the_owner(), settings());
    let path = format!("outputs/{}", "d1".repeat(32));
    let claim = json!({"claimName": "tone-tune", "path": path});
    let weights = wanted(json!({"source": {"persistentVolumeClaim": claim}}));
    let mut adapter = wanted(json!({}));
    adapter.tuned = Some(Tuned {
        digest: format!("sha256:{}", "d1".repeat(32)),
        place: TunedPlace {
            claim: "tone-tune".into(),
            path,
        },
    });
    let is_beside = |pod: Value| {
        let labels = json!({"atelier.dev/volume": "tone-tune"});
        let affinity = pod["spec"]["affinity"]["podAffinity"].to_string();
        let label = pod["metadata"]["labels"]["atelier.dev/volume"] == "tone-tune";
        (label, affinity.contains(&json!({"matchLabels": labels}).to_string()))
    };
    for (wanted, shared) in [(&weights, false), (&adapter, false), (&weights, true)] {
        let mut settings = settings.clone();
        let mode = if shared { "ReadWriteMany" } else { "ReadWriteOnce" };
        settings.storage.access_modes = vec![mode.into()];
        let builder = Builder {
            owner: &owner,
            wanted,
            settings: &settings,
        };
        let version = Version::new(wanted, report());
        let pods = [
            json!(builder.children(&version, 1).deployment)["spec"]["template"].clone(),
            json!(builder.evaluation_job(&version, &[]))["spec"]["template"].clone(),
        ];
        pods.into_iter()
            .for_each(|pod| assert_eq!(is_beside(pod), (true, !shared)));
        let look = json!(builder.prepare_job())["spec"]["template"].clone();
        let is_read = wanted.tuned.is_none();
        assert_eq!(is_beside(look), (is_read, is_read && !shared));
    }
}

#[test]
fn everything_has_one_owner_and_our_labels() {
    let Children {
        revision,
        network_policy,
        service,
        pdb,
        deployment,
        hpa,
    } = children(json!({"autoscaling": {"maxReplicas": 2}}));
    for metadata in [
        revision.metadata,
        network_policy.metadata,
        service.metadata,
        pdb.metadata,
        deployment.metadata,
        hpa.unwrap().metadata,
    ] {
        assert_eq!(metadata.owner_references.unwrap()[0].uid, "model-uid");
        assert_eq!(metadata.labels.unwrap()[names::LABEL_MODEL], "m");
    }
}

#[test]
fn devices_of_a_class_are_claimed_by_serving_and_evaluating_pods() {
    let (owner, settings) = (the_owner(), settings());
    let accelerator = |count: i32| {
        wanted(json!({
            "engine": {"openAICompatible": {"image": "vllm"}},
            "resources": {"accelerator": {"deviceClassName": "gpu.example.com", "count": count}},
        }))
    };
    let [one, two] = [1, 2].map(accelerator);
    let builder = |wanted| Builder {
        owner: &owner,
        wanted,
        settings: &settings,
    };
    let template = builder(&one).device_claims().unwrap();
    // It cannot be changed.
    assert_ne!(
        template.metadata.name,
        builder(&two).device_claims().unwrap().metadata.name
    );
    let version = Version::new(&one, report());
    let pods = [
        builder(&one).children(&version, 1).deployment.spec.unwrap().template,
        builder(&one).evaluation_job(&version, &[]).spec.unwrap().template,
    ];
    for pod in pods {
        let pod = pod.spec.unwrap();
        let claims = pod.resource_claims.unwrap();
        assert_eq!(claims[0].resource_claim_template_name, template.metadata.name);
        let resources = pod.containers[0].resources.as_ref().unwrap();
        assert_eq!(resources.claims.as_ref().unwrap()[0].name, claims[0].name);
    }
    insta::assert_yaml_snapshot!("device_claims", template);
}

#[rstest]
#[case("ours", json!({}), true)]
#[case("another engine", json!({
    "source": {"persistentVolumeClaim": {"claimName": "weights"}},
    "engine": {"openAICompatible": {"image": "vllm/vllm-openai:v1"}},
}), false)]
fn workers_of_ours_are_told_of_the_collector(#[case] name: &str, #[case] spec: Value, #[case] told: bool) {
    let overrides = json!({"env": [{"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "team=x"}]});
    let with_overrides = |spec: &Value| {
        let mut spec = spec.clone();
        spec["podOverrides"] = overrides.clone();
        spec
    };
    for (spec, resource) in [
        (
            spec.clone(),
            "k8s.namespace.name=ns,atelier.model.name=m,atelier.model.version=v-",
        ),
        (with_overrides(&spec), "team=x"),
    ] {
        let (owner, wanted) = (the_owner(), wanted(spec));
        let settings = Settings {
            otlp_endpoint: Some("http://collector.monitoring:4318".into()),
            ..testing::settings()
        };
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        let children = builder.children(&Version::new(&wanted, report()), 1);
        let pod = json!(children.deployment);
        let env = pod["spec"]["template"]["spec"]["containers"][0]["env"].clone();
        let env = env.as_array().cloned().unwrap_or_default();
        let value = |name: &str| {
            let found: Vec<_> = env.iter().filter(|variable| variable["name"] == name).collect();
            assert!(found.len() <= 1, "{name}: {env:?}");
            found
                .first()
                .map(|variable| variable["value"].as_str().unwrap().to_owned())
        };
        let policy = json!(children.network_policy)["spec"]["egress"].to_string();
        assert_eq!(value("OTEL_EXPORTER_OTLP_ENDPOINT").is_some(), told, "{name}: {env:?}");
        assert_eq!(policy.contains("4318"), told, "{name}: {policy}");
        if told {
            let attributes = value("OTEL_RESOURCE_ATTRIBUTES").unwrap();
            assert!(attributes.starts_with(resource), "{attributes}");
        }
    }
}
