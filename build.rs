//! Puts the commit the binary is built from into `KES_COMMIT`, for `/version` and `kes --version`.
#![expect(
    clippy::disallowed_methods,
    reason = "a build script is configured through its environment"
)]

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/refs/heads");
    println!("cargo:rerun-if-env-changed=KES_COMMIT");
    // A packager who builds from an archive names the commit; a checkout knows it by itself.
    let commit = std::env::var("KES_COMMIT").ok().or_else(from_git);
    println!(
        "cargo:rustc-env=KES_COMMIT={}",
        commit.as_deref().unwrap_or("<unknown>")
    );
}

fn from_git() -> Option<String> {
    let out = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .output()
        .ok()?;
    let commit = String::from_utf8(out.stdout).ok()?.trim().to_owned();
    (out.status.success() && !commit.is_empty()).then_some(commit)
}
