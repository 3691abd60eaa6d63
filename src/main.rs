//! The program.

use std::process::ExitCode;

use kes::memory::Wiping;

#[global_allocator]
static HEAP: Wiping = Wiping::new();

fn main() -> ExitCode {
    // Fails only if a provider is installed already, and nothing ran before.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    kes::cli::main()
}
