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

/// Rows that no script can show, with the file that tests them and the name of the test.
pub(super) const ELSEWHERE: &[(&str, &str, &str)] = &[(
    "17/server-quiet",
    "src/cli/server.rs",
    "documented_lines_are_read",
)];
