//! The files in `config/`, which people copy: each can be loaded, or says in its first lines that it cannot yet.

use std::{collections::BTreeSet, fs, path::Path};

use kes::config::{Context, Env, Fallback, inspect_bytes, parse};

use super::{ROUTES, lines};

/// Names of the files, and of the keystores that this build cannot open.
const FILES: [(&str, Option<&str>); 11] = [
    ("aws", Some("AWS SecretsManager")),
    ("azure", Some("Azure KeyVault")),
    ("fortanix", Some("Fortanix SDKMS")),
    ("fs", None),
    ("gcp", Some("GCP SecretManager")),
    ("keycontrol", Some("Entrust KeyControl")),
    ("kes", None),
    ("keysecure", Some("Gemalto KeySecure")),
    ("memory", None),
    ("minimal", None),
    ("vault", Some("HashiCorp Vault")),
];

fn text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap()
}

/// A value for every variable that a file names.
fn env(text: &str) -> Env {
    let names = text.split("${").skip(1);
    let names = names.filter_map(|rest| rest.split_once('}'));
    Env::of(
        names
            .enumerate()
            .map(|(i, (name, _))| (name, format!("{i:064x}"))),
    )
}

fn context(env: &Env) -> Context<'_> {
    Context {
        env,
        routes: ROUTES,
        fallback: Fallback::default(),
    }
}

#[test]
fn every_file_loads_or_says_why_not() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let there: BTreeSet<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed = FILES.iter().map(|(name, _)| format!("{name}.yaml"));
    assert_eq!(there, listed.collect());
    for (name, missing) in FILES {
        let text = text(name);
        assert!(text.starts_with("# "), "{name} does not say what it is for");
        let env = env(&text);
        match (parse("kes.yml", text.as_bytes(), &context(&env)), missing) {
            (Ok(config), None) => {
                let expected = usize::from(name == "memory");
                assert_eq!(
                    config.warnings.len(),
                    expected,
                    "{name}: {:?}",
                    config.warnings
                );
            }
            (Err(errors), Some(keystore)) => {
                let [problem] = errors.problems.as_slice() else {
                    panic!("{name}: {errors}");
                };
                let expected = format!("this build has no {keystore} keystore yet");
                assert_eq!(problem.text, expected, "{name}");
                assert!(errors.warnings.is_empty(), "{name}: {:?}", errors.warnings);
                let head: String = text.lines().take(3).collect();
                assert!(head.contains(&expected), "{name}: {head}");
            }
            (Ok(_), Some(_)) => panic!("{name} loads: strike the words at its head"),
            (Err(errors), None) => panic!("{name}: {errors}"),
        }
        let inspection = inspect_bytes("kes.yml", text.as_bytes(), &context(&env));
        let inspection = inspection.unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_eq!(lines(&inspection.review()), [""; 0], "{name}");
        assert!(inspection.literal_secret().is_none(), "{name}");
    }
}

#[test]
fn the_complete_file_is_what_the_program_makes() {
    assert!(
        text("kes") == kes::config::sample(),
        "config/kes.yaml is old: kes config schema --sample > config/kes.yaml"
    );
}

#[test]
fn the_complete_file_changes_nothing_of_the_minimal_one() {
    let env = Env::of([("KES_ADMIN_IDENTITY", "disabled")]);
    let shown = |text: &str| {
        let file = inspect_bytes("kes.yml", text.as_bytes(), &context(&env));
        file.unwrap_or_else(|errors| panic!("{errors}"))
            .shown_json()
    };
    let minimal = text("minimal").replace("${KES_ADMIN_IDENTITY}", "disabled");
    assert_eq!(shown(&text("kes")), shown(&minimal));
}

#[test]
fn its_examples_can_be_used() {
    let text = text("kes");
    let examples = text
        .replace("api: {}", "api:")
        .replace("policy: {}", "policy:")
        .replace("keys: []", "keys:")
        .replace("skip_auth: off", "skip_auth: on")
        .replace("name: \"\"", "name: my-key");
    // An example is a comment that is indented.
    let lines_of = examples.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with("  ") => rest,
        _ => line,
    });
    let examples = lines_of.collect::<Vec<_>>().join("\n");
    let env = Env::of([("A", "b")]);
    let config = parse("kes.yml", examples.as_bytes(), &context(&env));
    let config = config.unwrap_or_else(|errors| panic!("{errors}\n{examples}"));
    assert!(config.api[0].skip_auth);
    assert_eq!(config.policies.len(), 1);
    assert_eq!(config.keys.len(), 1);
    // The templates of the other keystores are not in use.
    assert_eq!(lines(&config.warnings), [""; 0]);
}
