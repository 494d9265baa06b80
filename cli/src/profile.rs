//! Addresses and secrets that `sundial login` keeps, and which of them a command uses.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use console::Term;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::arguments::{ConnectionArguments, LoginArguments};
use crate::client::{Client, Credentials, Request};
use crate::failure::{Failure, Verdict};
use crate::output::{Output, write_json};

const DEFAULT_PROFILE: &str = "default";

#[derive(Default, Deserialize, Serialize)]
struct Configuration {
    /// The profile that is used when none is named.
    current: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

#[derive(Deserialize, Serialize)]
struct Profile {
    url: String,
    #[serde(flatten)]
    credentials: Credentials,
}

/// The service that a command calls, from its arguments, the environment or the profile, in this order.
pub(crate) struct Connection {
    origin: String,
    credentials: Credentials,
    credentials_from: String,
    profile: Option<String>,
    retry_for: Duration,
}

impl Connection {
    pub(crate) fn resolve(arguments: &ConnectionArguments) -> Result<Self, Failure> {
        let configuration = Configuration::read()?;
        let name = arguments.profile.clone().filter(|name| !name.is_empty());
        let wanted = name.clone().or(configuration.current).unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        let profile = configuration.profiles.get(&wanted);
        if profile.is_none() && name.is_some() {
            return Err(Failure::Usage(format!("there is no profile {wanted}: make it with `sundial login {wanted}`")));
        }
        let url = arguments.url.clone().filter(|url| !url.is_empty());
        let profile_origin = profile.map(|profile| origin(&profile.url)).transpose()?;
        let (origin, is_profiles) = match (url, profile_origin) {
            (Some(url), kept) => {
                let origin = origin(&url)?;
                let same = kept.as_ref() == Some(&origin);
                (origin, same)
            }
            (None, Some(kept)) => (kept, true),
            (None, None) => {
                return Err(Failure::Usage(
                    "no service is known: run `sundial login --url https://…`, or set SUNDIAL_URL and SUNDIAL_TOKEN"
                        .to_owned(),
                ));
            }
        };
        refuse_plain_http(&origin, arguments.insecure_http)?;
        let (credentials, credentials_from) = if arguments.token_stdin {
            (Credentials::Token { token: token_from_stdin()? }, "standard input".to_owned())
        } else if let Some(token) = env::var("SUNDIAL_TOKEN").ok().filter(|token| !token.is_empty()) {
            (Credentials::Token { token }, "SUNDIAL_TOKEN".to_owned())
        } else if let (Some(profile), true) = (profile, is_profiles) {
            (profile.credentials.clone(), format!("profile {wanted}"))
        } else {
            // A secret is for the service that it was given for, and never sent to another.
            return Err(Failure::Refused(format!(
                "no token for {origin} is known: run `sundial login --url {origin}`, or set SUNDIAL_TOKEN"
            )));
        };
        let profile = is_profiles.then_some(wanted);
        Ok(Self { origin, credentials, credentials_from, profile, retry_for: Duration::from_secs(arguments.retry_for) })
    }

    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Client::new(self.origin.clone(), &self.credentials, self.retry_for)
    }
}

/// Asks for the token or the password where nobody sees it, tries it, and keeps it.
pub(crate) async fn login(
    arguments: &ConnectionArguments,
    login: &LoginArguments,
    output: &Output,
) -> Result<Verdict, Failure> {
    let url = arguments.url.as_deref().filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| Failure::Usage("say where the service is: --url https://…".to_owned()))?;
    let origin = origin(url)?;
    refuse_plain_http(&origin, arguments.insecure_http)?;
    let credentials = match &login.email {
        Some(_) if arguments.token_stdin => {
            return Err(Failure::Usage(
                "--email goes with a password, and --token-stdin without: leave one out".to_owned(),
            ));
        }
        Some(email) => {
            let password = if login.password_stdin {
                password_from_stdin()?
            } else {
                ask(&format!("Password of {email} for {origin}"), "the password by a pipe to --password-stdin")?
            };
            if password.is_empty() {
                return Err(Failure::Usage("there is no password: nothing was kept".to_owned()));
            }
            Credentials::Password { email: email.clone(), password }
        }
        None if arguments.token_stdin => Credentials::Token { token: token_from_stdin()? },
        None => {
            let token = ask(&format!("Token for {origin}"), "the token by a pipe to --token-stdin")?;
            Credentials::Token { token: token.trim().to_owned() }
        }
    };
    let client = Client::new(origin.clone(), &credentials, Duration::from_secs(arguments.retry_for))?;
    client.send(Request::get("/limits")).await?;
    let name = login.name.clone().or_else(|| arguments.profile.clone()).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
    let mut configuration = Configuration::read()?;
    let is_password = matches!(credentials, Credentials::Password { .. });
    configuration.profiles.insert(name.clone(), Profile { url: origin.clone(), credentials });
    configuration.current = Some(name.clone());
    configuration.write()?;
    output.line(&format!("Logged in to {origin} as profile {name}."))?;
    if is_password {
        // The API gives no token for a password, so that every request has to come with it.
        output.line(&format!(
            "The password itself is kept, in {}, which only you can read. A token is safer: it can end, and be revoked alone.",
            Configuration::path()?.display()
        ))?;
    }
    Ok(Verdict::Succeeded)
}

/// Shows which service is called with whose token, and never the token.
pub(crate) async fn whoami(arguments: &ConnectionArguments, output: &Output) -> Result<Verdict, Failure> {
    let connection = Connection::resolve(arguments)?;
    connection.client()?.send(Request::get("/limits")).await?;
    if output.is_json() {
        let email = match &connection.credentials {
            Credentials::Token { .. } => None,
            Credentials::Password { email, .. } => Some(email),
        };
        write_json(&json!({
            "url": connection.origin, "profile": connection.profile, "email": email,
            "credentials_from": connection.credentials_from,
        }))?;
    } else {
        let from = &connection.credentials_from;
        let line = match &connection.credentials {
            Credentials::Token { .. } => format!("{}, with the token of {from}: accepted", connection.origin),
            Credentials::Password { email, .. } => {
                format!("{}, as {email} with the password of {from}: accepted", connection.origin)
            }
        };
        output.line(&crate::text::printable(&line))?;
    }
    Ok(Verdict::Succeeded)
}

impl Configuration {
    fn path() -> Result<PathBuf, Failure> {
        let directory = env::var_os("XDG_CONFIG_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
        let directory = directory.or_else(|| env::home_dir().map(|home| home.join(".config")));
        let directory = directory.ok_or_else(|| {
            Failure::Usage("there is no home directory: set SUNDIAL_URL and SUNDIAL_TOKEN".to_owned())
        })?;
        Ok(directory.join("sundial").join("config.json"))
    }

    fn read() -> Result<Self, Failure> {
        // Without a home directory nothing is kept, and the environment may say all that is needed.
        let Ok(path) = Self::path() else { return Ok(Self::default()) };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::NotDone(format!("cannot read {}: {error}", path.display()))),
        };
        // The error of the parser may quote the file, and so a token.
        serde_json::from_str(&text).map_err(|error| {
            let line = error.line();
            Failure::NotDone(format!("{} is damaged at line {line}: remove it and log in again", path.display()))
        })
    }

    /// Replaces the file as a whole, for nobody else to read at any moment.
    fn write(&self) -> Result<(), Failure> {
        let path = Self::path()?;
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        serde_json::to_writer_pretty(&mut file, self).map_err(io::Error::from)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// What is typed after this question, and not shown.
fn ask(question: &str, otherwise: &str) -> Result<String, Failure> {
    let mut terminal = Term::stderr();
    if !terminal.is_term() {
        return Err(Failure::Usage(format!("no terminal to ask on: send {otherwise}")));
    }
    terminal.write_all(format!("{question} (nothing is shown as you type): ").as_bytes())?;
    Ok(terminal.read_secure_line()?)
}

/// All of standard input but the end of its line: blanks may be part of a password.
fn password_from_stdin() -> Result<String, Failure> {
    let mut password = String::new();
    io::stdin().lock().take(16_384).read_to_string(&mut password)?;
    let line = password.strip_suffix('\n').unwrap_or(&password);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn token_from_stdin() -> Result<String, Failure> {
    let mut token = String::new();
    io::stdin().lock().take(16_384).read_to_string(&mut token)?;
    let token = token.trim().to_owned();
    if token.is_empty() { Err(Failure::Usage("standard input has no token".to_owned())) } else { Ok(token) }
}

/// What stands before the API's own path: scheme and host, and the path that a gateway or a proxy puts before it, if there is one.
fn origin(url: &str) -> Result<String, Failure> {
    let wrong = || {
        let form = "the address must be as https://acme.example.com, without a user and without a query";
        Failure::Usage(form.to_owned())
    };
    let parsed = reqwest::Url::parse(url.trim()).map_err(|_| wrong())?;
    let path = parsed.path().trim_end_matches('/');
    let path = path.strip_suffix("/api/sunshine").or_else(|| path.strip_suffix("/api")).unwrap_or(path);
    let has_more = parsed.query().is_some() || parsed.fragment().is_some();
    let has_user = !parsed.username().is_empty() || parsed.password().is_some();
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() || has_more || has_user {
        return Err(wrong());
    }
    Ok(format!("{}{path}", parsed.origin().ascii_serialization()))
}

fn refuse_plain_http(origin: &str, is_allowed: bool) -> Result<(), Failure> {
    let is_here = reqwest::Url::parse(origin).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_loopback = host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        url.scheme() == "https" || host == "localhost" || is_loopback
    });
    if is_here || is_allowed {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{origin} is not https, so that others could read your token: use https, or --insecure-http if you must"
    )))
}

#[cfg(test)]
mod tests {
    use super::{origin, refuse_plain_http};

    #[test]
    fn an_address_is_taken_with_and_without_the_path() {
        for url in
            ["https://a.example", "https://a.example/", "https://a.example/api/sunshine/", "https://A.example:443"]
        {
            assert_eq!(origin(url).unwrap(), "https://a.example", "{url}");
        }
        assert_eq!(origin("http://127.0.0.1:4566/stage/one/api/sunshine").unwrap(), "http://127.0.0.1:4566/stage/one");
        for url in
            ["a.example", "ftp://a.example", "https://user:secret@a.example", "https://a.example/?x", "https://a/#x"]
        {
            assert!(origin(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_token_is_not_sent_in_the_clear() {
        assert!(refuse_plain_http("http://a.example", false).is_err());
        assert!(refuse_plain_http("http://127.example.com", false).is_err());
        assert!(refuse_plain_http("http://127.0.0.1:8080", false).is_ok());
        assert!(refuse_plain_http("https://a.example", false).is_ok());
    }
}
