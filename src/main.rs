//! The program.
#![expect(clippy::print_stderr, reason = "provisional")]

fn main() -> std::process::ExitCode {
    let config = std::env::args().nth(3).unwrap_or_default();
    let options = kes::server::Options {
        config: config.into(),
        address: None,
        fallback: kes::config::Fallback::default(),
        require_mlock: false,
        banner: true,
    };
    match kes::server::run(options, &mut std::io::stdout()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {}", kes::server::chain(&error));
            std::process::ExitCode::FAILURE
        }
    }
}
