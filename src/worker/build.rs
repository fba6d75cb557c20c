//! Where the program finds libtorch in the image: beside it, in `lib/atelier`.

fn main() {
    println!("cargo::rustc-link-arg-bins=-Wl,-rpath,$ORIGIN/../lib/atelier");
    println!("cargo::rerun-if-changed=build.rs");
}
