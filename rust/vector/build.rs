//! Says early, and in a sentence, that the feature `usearch` needs a C++ compiler.

use std::env;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-env-changed=CXX");
    println!("cargo::rerun-if-changed=build.rs");
    // For other targets than the host's the compiler has another name, which the build of the library finds out.
    let crossing = env::var("HOST") != env::var("TARGET");
    if env::var_os("CARGO_FEATURE_USEARCH").is_none() || crossing || cfg!(windows) {
        return;
    }
    let named = env::var("CXX").ok();
    let candidates = match &named {
        Some(named) => vec![named.split_whitespace().next_back().unwrap_or_default()],
        None => vec!["c++", "g++", "clang++"],
    };
    let runs = |compiler: &&str| {
        let mut version = Command::new(compiler);
        version
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    if !candidates.iter().any(runs) {
        println!(
            "cargo::error=the feature `usearch` of sopasync-vector needs a C++17 compiler, and none of {candidates:?} runs: \
             install g++ or clang++, name one in CXX, or build with --no-default-features, which leaves out that graph and nothing else"
        );
    }
}
