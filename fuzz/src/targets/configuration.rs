//! The configuration file.

use kes::{
    api,
    config::{self, Context, Env, Fallback},
};

/// What the environment holds, and what no message may say.
const VALUE: &str = "value-of-the-environment";

/// Any file is loaded, or refused with words that tell nothing of the environment.
pub fn config(data: &[u8]) {
    let env = Env::of([("VALUE", VALUE), ("EMPTY", "")]);
    let context = Context {
        env: &env,
        routes: &api::configurable(),
        fallback: Fallback::default(),
    };
    let said = match config::parse("kes.yml", data, &context) {
        Ok(config) => {
            assert!(!config.admin.as_str().is_empty());
            for (name, entry) in &config.policies {
                assert!(!entry.identities.contains(&config.admin), "{name}");
            }
            config.warnings.iter().map(ToString::to_string).collect()
        }
        Err(errors) => {
            assert!(!errors.problems.is_empty());
            errors.to_string()
        }
    };
    let written = String::from_utf8_lossy(data);
    assert!(!said.contains(VALUE) || written.contains(VALUE), "{said}");
}
