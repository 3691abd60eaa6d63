//! The configuration file.

use kes::{
    api,
    config::{self, Context, Env, Fallback},
};

/// What the environment holds, and what no message may say.
const VALUE: &str = "value-of-the-environment";

/// What is said about a file by the commands that tell about one. None of them panics, and a file that is migrated means the same: what
/// it amounts to, and whether it can be loaded, stays.
fn told(data: &[u8], context: &Context<'_>) -> String {
    let file = config::inspect_bytes("kes.yml", data, context);
    let mut said = match &file {
        Ok(file) => format!("{} {} {:?}", file.shown(), file.shown_json(), file.review()),
        Err(errors) => errors.to_string(),
    };
    let Ok(migration) = config::migrate_bytes("kes.yml", data, context.routes) else {
        return said;
    };
    said.extend(
        migration
            .changed
            .iter()
            .chain(&migration.left)
            .map(ToString::to_string),
    );
    let after = config::inspect_bytes("kes.yml", migration.text.as_bytes(), context);
    match (&file, &after) {
        (Ok(before), Ok(after)) => assert_eq!(before.shown_json(), after.shown_json()),
        (Err(_), Err(_)) => {}
        _ => panic!("{}", migration.text),
    }
    let again = config::migrate_bytes("kes.yml", migration.text.as_bytes(), context.routes);
    assert!(again.is_ok_and(|again| again.text == migration.text));
    said
}

/// Any file is loaded, or refused with words that tell nothing of the environment; and so are its beginning and its end.
pub fn config(data: &[u8]) {
    one(data);
    // The middle is where the file is most likely to be cut off by a full disk.
    let (head, tail) = data.split_at(data.len() / 2);
    one(head);
    one(tail);
}

fn one(data: &[u8]) {
    let env = Env::of([("VALUE", VALUE), ("EMPTY", "")]);
    let context = Context {
        env: &env,
        routes: &api::configurable(),
        fallback: Fallback::default(),
    };
    let mut said = match config::parse("kes.yml", data, &context) {
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
    said += &told(data, &context);
    let written = String::from_utf8_lossy(data);
    assert!(!said.contains(VALUE) || written.contains(VALUE), "{said}");
}
