//! [`Compat`]: switches for clients of old releases, all off by default (decisions 10 and 20).
//!
//! Nothing in a request tells an old client from a new one (minio.md B7), so an operator says whom the server is for. Each switch changes
//! what everybody gets, and names the releases that need it; who has none of them leaves it off.

/// The top-level section `compat` of the configuration. A reload takes a change over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are independent switches of the file"
)]
pub struct Compat {
    /// Two errors, "key already exists" and "not authorized", carry the texts of before 2022-02-28 under `message`, and today's under
    /// `error` (minio.md A7.3).
    ///
    /// For MinIO from 2020-07-11 to 2022-02-26: it knows the old texts only. From 2021-05-16 on, that MinIO does not even start once its
    /// key exists, or when it may not create it. Go SDKs from 0.18.0 on, and MinIO from 2022-03-03 on, understand both forms; a client
    /// that reads `message` alone and compares it sees the old texts.
    pub legacy_errors: bool,
    /// The three listings are one JSON value a line, `application/x-ndjson`, never in pages (minio.md B5).
    ///
    /// For MinIO from 2022-10 to 2023-08-16, and Go SDKs from 0.18.0 to kes-go 0.1.0: today's form they take for one key with an empty
    /// name. MinIO from 2023-08-23 on and later SDKs read both forms. A client that ignores the content type reads today's form only.
    pub ndjson_lists: bool,
    /// `/v1/identity/self/describe` tells the policy's name under `policy_name` and its rules as lists in a nested `policy` (minio.md B4).
    ///
    /// For MinIO from 2022-03-26 to 2023-08-16, which decrypts in bulk only if it can read this. MinIO from 2023-08-23 on does not
    /// ask. Go SDKs from kes-go 0.2.0 on cannot read this form.
    pub legacy_self_describe: bool,
    /// Keys whose names can no longer be created can be used: see [`KeyName::parse_old`](crate::name::KeyName::parse_old) (minio.md B8).
    ///
    /// For data that MinIO before 2022-03-26 encrypted under such a name, whatever release reads it now: its objects refer to the name for
    /// ever. Nothing changes for other names.
    pub legacy_names: bool,
}
