//! The password of an encrypted private key: from a file, from the environment, or from the person at the terminal (cli.md 3.3).

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::{
    error::Error,
    file,
    settings::{Environment, Password},
};
use crate::secret::Secret;

/// What sets it, for remedies.
pub(super) const ORIGINS: &str = "--key-password-file or KES_CLIENT_KEY_PASSWORD";

/// The password itself, or what stands in the first line of the file that has it.
pub(super) fn given(password: &Password, env: &Environment) -> Result<Secret, Error> {
    match password {
        Password::Is(given) => Ok(Secret::copy_from(given.value.as_bytes())),
        Password::In(path) => first_line(&located(Path::new(path.value.as_str()), env)),
    }
}

/// The password for the private key in the file `key`, as somebody types it.
///
/// # Errors
/// [`Error::NoPassword`] if there is nobody to ask.
pub(super) fn typed(key: &str) -> Result<Secret, Error> {
    match ask(&format!("Password of the private key {key}: ")) {
        Ok(password) => Ok(Secret::copy_from(password.as_bytes())),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Error::Interrupted),
        Err(source) => Err(Error::NoPassword {
            key: key.to_owned(),
            source,
        }),
    }
}

/// A relative name is that of a credential, where a service manager has passed some (systemd.exec(5), `LoadCredential=`).
fn located(path: &Path, env: &Environment) -> PathBuf {
    match env.get("CREDENTIALS_DIRECTORY") {
        Some(folder) => Path::new(&folder).join(path),
        None => path.to_owned(),
    }
}

/// The first line of a file.
fn first_line(path: &Path) -> Result<Secret, Error> {
    let text = file::read(path)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        let path = path.display();
        return Err(Error::Invalid(format!(
            "there is no password in the first line of '{path}'"
        )));
    }
    Ok(Secret::copy_from(line))
}

/// Asks at the terminal that controls this process, whatever its input and output are, and shows nothing of what is typed.
///
/// # Errors
/// That there is no terminal; [`io::ErrorKind::Interrupted`] for the interrupt key.
pub(super) fn ask(question: &str) -> io::Result<Zeroizing<String>> {
    // The interrupt key would end the process with its terminal still mute. Caught, it comes back as an error.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let _caught = signal(SignalKind::interrupt())?;
    rpassword::prompt_password(question).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::settings;

    fn of(file: Option<&Path>, variables: &[(&str, &str)]) -> String {
        let env = Environment::of(variables);
        let flag = file.map(|path| path.to_str().unwrap());
        let password = given(&settings::key_password(flag, &env).unwrap(), &env).unwrap();
        String::from_utf8(password.expose().to_vec()).unwrap()
    }

    #[test]
    fn a_file_comes_before_variables_and_ours_before_the_object_stores() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "from a file\r\nand more\n").unwrap();
        let both = [
            ("KES_CLIENT_KEY_PASSWORD", "ours"),
            ("MINIO_KMS_KES_KEY_PASSWORD", "theirs"),
        ];
        assert_eq!(of(Some(&path), &both), "from a file");
        assert_eq!(of(None, &both), "ours");
        assert_eq!(of(None, &both[1..]), "theirs");
        let credentials = folder.path().to_str().unwrap();
        let passed = [("CREDENTIALS_DIRECTORY", credentials)];
        assert_eq!(of(Some(Path::new("password")), &passed), "from a file");
    }

    #[test]
    fn a_file_without_a_password_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "\n\n").unwrap();
        let error = first_line(&path).err().unwrap().text();
        assert!(
            error.contains("no password in the first line of"),
            "{error}"
        );
        let missing = first_line(&folder.path().join("none")).err().unwrap();
        assert!(missing.text().contains("cannot read"), "{}", missing.text());
    }
}
