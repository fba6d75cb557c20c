//! Compiles the kernels.

use std::{env, path::Path};

/// All C++ files in `cpp/`.
const FILES: [&str; 12] = [
    "attention.cpp",
    "autograd.cpp",
    "cuda.cpp",
    "learn.cpp",
    "linear.cpp",
    "lora.cpp",
    "norm.cpp",
    "objective.cpp",
    "pool.cpp",
    "rope.cpp",
    "torch.cpp",
    "widen.cpp",
];

fn main() {
    println!("cargo::rerun-if-changed=cpp");
    let libraries = env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is");
    let headers = Path::new(&libraries)
        .parent()
        .expect("libtorch's lib/ lies beside its include/")
        .join("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .files(FILES.map(|file| format!("cpp/{file}")))
        // Compared with headers of ours, libtorch's warn.
        .flag(format!("-isystem{}", headers.display()))
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        // Instructions are chosen function by function, when the program runs. Unoptimized they are
        // a hundred times slower and nobody steps through them.
        .opt_level(3)
        .warnings(true)
        // Vectors are passed between functions of one file only, all of them inlined.
        .flag_if_supported("-Wno-psabi")
        // GCC 12 takes its own _mm512_undefined_pd for an uninitialized variable.
        .flag_if_supported("-Wno-maybe-uninitialized")
        .compile("atelier_kernels");
}
