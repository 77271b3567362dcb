//! Gives the shared library the name under which programs look for it.

/// The version of the interface: 1 was the staged one alone.
const SONAME: &str = "libsoccr.so.2";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
}
