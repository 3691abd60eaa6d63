//! The rows of the specification of the command line that each need a script: documented spellings, known defects, hints.

/// Spellings of all releases (cli.md 17), in the order of the table.
const SPELLINGS: &[&str] = &[
    "create",
    "key-create-key",
    "key-delete",
    "key-list",
    "key-derive",
    "ls-subcommands",
    "policy-list",
    "policy-add",
    "policy-assign",
    "policy-rm",
    "identity-list",
    "tool-identity-new",
    "tool-identity-of",
    "tool-migrate",
    "identity-new-server",
    "identity-new-ip",
    "audit-trace",
    "log-trace",
    "update-flag",
    "server-root",
    "server-mlock",
    "server-quiet",
    "server-key-cert",
    "server-auth",
    "server-tls-key",
    "migrate-target",
    "enclave-flag",
    "removed",
    "single-dash",
];

/// Known defects (cli.md 18): `D1` to this one.
const DEFECTS: usize = 51;

/// Hints for common failures (cli.md 19.4), in the order of the table.
const HINTS: &[&str] = &[
    "refused",
    "name",
    "authority",
    "expired",
    "alert",
    "no-tls",
    "not-found",
    "decrypt",
    "invalid-name",
    "import-size",
];

/// All rows, as scripts name them.
pub(super) fn all() -> impl Iterator<Item = String> {
    let spellings = SPELLINGS.iter().map(|row| format!("17/{row}"));
    let defects = (1..=DEFECTS).map(|row| format!("18/D{row}"));
    let hints = HINTS.iter().map(|row| format!("19.4/{row}"));
    spellings.chain(defects).chain(hints)
}

/// A row that a test in Rust shows better than a script.
pub(super) struct Elsewhere {
    pub(super) row: &'static str,
    pub(super) file: &'static str,
    /// A text in that file: the name of a test.
    pub(super) test: &'static str,
    /// The command, or the flag of a command, that has the row; until there is one, there is nothing to show.
    pub(super) needs: &'static str,
}

const fn elsewhere(
    row: &'static str,
    file: &'static str,
    test: &'static str,
    needs: &'static str,
) -> Elsewhere {
    Elsewhere {
        row,
        file,
        test,
        needs,
    }
}

const MIGRATE: &str = "tests/integration/migrate/command.rs";

/// These rows.
pub(super) const ELSEWHERE: &[Elsewhere] = &[
    elsewhere(
        "17/server-quiet",
        "src/cli/server.rs",
        "documented_lines_are_read",
        "server",
    ),
    elsewhere(
        "17/tool-migrate",
        "src/cli/legacy/words.rs",
        "every_old_name_gives_the_current_command",
        "migrate",
    ),
    elsewhere(
        "17/migrate-target",
        MIGRATE,
        "documented_spellings_work",
        "migrate",
    ),
    elsewhere(
        "18/D23",
        "tests/integration/life/dev.rs",
        "the_documented_script_gets_its_api_key_and_certificate",
        "server --dev",
    ),
    elsewhere(
        "18/D37",
        MIGRATE,
        "misuse_is_refused_before_anything_is_opened",
        "migrate",
    ),
    elsewhere(
        "18/D40",
        "tests/integration/config/reference.rs",
        "config.cache.unused.as_secs(), 30",
        "server",
    ),
    elsewhere(
        "18/D43",
        "tests/integration/migrate/fault.rs",
        "nothing_is_lost",
        "migrate",
    ),
    elsewhere(
        "18/D44",
        MIGRATE,
        "another_value_is_named_with_what_to_do_about_it",
        "migrate",
    ),
];

/// Whether there is such a command, and such a flag of it.
pub(super) fn exists(needs: &str) -> bool {
    let mut commands = kes::cli::commands();
    commands.build();
    let mut command = &commands;
    for word in needs.split(' ') {
        match word.strip_prefix("--") {
            Some(flag) => {
                return command
                    .get_arguments()
                    .any(|arg| arg.get_long() == Some(flag));
            }
            None => match command.find_subcommand(word) {
                Some(below) => command = below,
                None => return false,
            },
        }
    }
    true
}
