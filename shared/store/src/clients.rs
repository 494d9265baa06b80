//! SDK clients, built once per process.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use domain::timing;

use crate::settings::{SettingError, required};

/// The roots that the endpoints of AWS have their certificates from: Amazon Root CA 1 to 4, and the one of Starfield that signs
/// those too, <https://www.amazontrust.com/repository/>. They are valid until the end of 2037 at least.
const AMAZON_ROOTS: [&[u8]; 5] = [
    include_bytes!("roots/amazon-root-ca-1.pem"),
    include_bytes!("roots/amazon-root-ca-2.pem"),
    include_bytes!("roots/amazon-root-ca-3.pem"),
    include_bytes!("roots/amazon-root-ca-4.pem"),
    include_bytes!("roots/starfield-services-root-g2.pem"),
];

/// Which roots the certificate of a server has to come from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Roots {
    /// Amazon's own, which are in the program: to read the system's hundred and more is most of what a function does to start.
    #[default]
    Amazon,
    /// The system's.
    System,
    /// Those of a file, in PEM.
    File(Vec<u8>),
}

impl Roots {
    /// Those in `file`, where there is one, before what region and endpoints say.
    fn chosen(region: &str, elsewhere: &[&str], file: Option<&str>) -> Result<Self, SettingError> {
        file.map_or_else(|| Ok(Self::of(region, elsewhere)), Self::in_file)
    }

    /// Those of the endpoints of a region, or of `elsewhere` in their place.
    fn of(region: &str, elsewhere: &[&str]) -> Self {
        // The regions that are apart from the others, and what somebody else serves, may have other roots.
        let is_apart = ["cn-", "us-iso", "eu-iso"].iter().any(|start| region.starts_with(start));
        let is_elsewhere = elsewhere.iter().any(|endpoint| endpoint.starts_with("https:"));
        if is_apart || is_elsewhere { Self::System } else { Self::Amazon }
    }

    /// Those in the file that `AWS_CA_BUNDLE` names.
    fn in_file(path: &str) -> Result<Self, SettingError> {
        let unreadable = SettingError::Unreadable { name: "AWS_CA_BUNDLE", expected: "a file of certificates in PEM" };
        let pem = std::fs::read_to_string(path).map_err(|_| unreadable)?;
        if pem.contains("-----BEGIN CERTIFICATE-----") { Ok(Self::File(pem.into_bytes())) } else { Err(unreadable) }
    }
}

/// Where AWS is, and who is calling. Inside Lambda all of it comes from the environment: no provider chain is asked.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    pub region: String,
    pub credentials: Credentials,
    /// Another address for DynamoDB: a local emulator.
    pub dynamodb_endpoint: Option<String>,
    /// Another address for SQS: a local emulator.
    pub sqs_endpoint: Option<String>,
    /// What HTTPS is held to.
    pub roots: Roots,
}

impl AwsSettings {
    /// Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, the endpoints
    /// `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL_SQS` and `AWS_ENDPOINT_URL`, and `AWS_CA_BUNDLE`, as the SDKs do.
    ///
    /// # Errors
    /// When the region or a credential is missing, or the file of roots cannot be read; the error names the variable.
    pub fn from_environment() -> Result<Self, SettingError> {
        let everywhere = std::env::var("AWS_ENDPOINT_URL").ok();
        let endpoint = |name: &str| std::env::var(name).ok().or_else(|| everywhere.clone());
        let region = required("AWS_REGION")?;
        let [dynamodb_endpoint, sqs_endpoint] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS"].map(endpoint);
        let elsewhere: Vec<&str> = dynamodb_endpoint.iter().chain(&sqs_endpoint).map(String::as_str).collect();
        let file = std::env::var("AWS_CA_BUNDLE").ok().filter(|file| !file.is_empty());
        let roots = Roots::chosen(&region, &elsewhere, file.as_deref())?;
        Ok(Self {
            region,
            credentials: Credentials::new(
                required("AWS_ACCESS_KEY_ID")?,
                required("AWS_SECRET_ACCESS_KEY")?,
                std::env::var("AWS_SESSION_TOKEN").ok(),
                None,
                "environment",
            ),
            dynamodb_endpoint,
            sqs_endpoint,
            roots,
        })
    }

    /// For an emulator at `endpoint` that does not look at credentials.
    #[must_use]
    pub fn emulator(endpoint: &str) -> Self {
        const REGION: &str = "us-east-1";
        Self {
            region: REGION.to_owned(),
            credentials: Credentials::new("local", "local", None, None, "emulator"),
            dynamodb_endpoint: Some(endpoint.to_owned()),
            sqs_endpoint: Some(endpoint.to_owned()),
            roots: Roots::of(REGION, &[endpoint]),
        }
    }
}

/// One HTTPS client that every SDK client of the process shares, for AWS itself.
#[must_use]
pub fn http_client() -> SharedHttpClient {
    http_client_with(&Roots::Amazon)
}

/// As [`http_client`], for servers whose certificates come from these roots.
///
/// # Panics
/// When a file has something in it that looks like a certificate and is none.
#[must_use]
pub fn http_client_with(roots: &Roots) -> SharedHttpClient {
    let trust = match roots {
        Roots::Amazon => AMAZON_ROOTS.iter().fold(TrustStore::empty(), |trust, root| trust.with_pem_certificate(*root)),
        Roots::System => TrustStore::default(),
        Roots::File(pem) => TrustStore::empty().with_pem_certificate(pem.as_slice()),
    };
    // ring, because the default provider spends tens of milliseconds of CPU at its first handshake.
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let client = match TlsContext::builder().with_trust_store(trust).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        // It takes whatever it is given, and looks at it later.
        Err(_) => builder.build_https(),
    };
    match roots {
        Roots::Amazon => SharedHttpClient::new(Untried(client)),
        // What an operator has put in is tried while the function starts.
        Roots::System | Roots::File(_) => client,
    }
}

/// An HTTP client whose roots are known to be good. Each SDK client tries its HTTP client when it is made: that decodes the roots, makes
/// a connector and throws it away, which was a ninth of what a function did to start. The first call makes the connector that is used.
#[derive(Debug)]
struct Untried(SharedHttpClient);

impl HttpClient for Untried {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[must_use]
pub fn dynamodb(settings: &AwsSettings, http_client: SharedHttpClient) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::from_conf(dynamodb_config(settings, http_client).build())
}

pub(crate) fn dynamodb_config(
    settings: &AwsSettings,
    http_client: SharedHttpClient,
) -> aws_sdk_dynamodb::config::Builder {
    let mut config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(settings.credentials.clone()))
        .http_client(http_client)
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(timeouts());
    if let Some(endpoint) = &settings.dynamodb_endpoint {
        config = config.endpoint_url(endpoint);
    }
    config
}

#[must_use]
pub fn sqs(settings: &AwsSettings, http_client: SharedHttpClient) -> aws_sdk_sqs::Client {
    let mut config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(settings.credentials.clone()))
        .http_client(http_client)
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(timeouts());
    if let Some(endpoint) = &settings.sqs_endpoint {
        config = config.endpoint_url(endpoint);
    }
    aws_sdk_sqs::Client::from_conf(config.build())
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(timing::CONNECT)
        .operation_attempt_timeout(timing::CALL_ATTEMPT)
        .operation_timeout(timing::CALL)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is not a certificate makes the client panic, at its first connection if not before.
    #[tokio::test]
    async fn every_root_is_a_certificate() {
        let file = AMAZON_ROOTS.concat();
        for roots in [Roots::Amazon, Roots::System, Roots::File(file)] {
            // Where nobody listens.
            let client = dynamodb(&AwsSettings::emulator("https://127.0.0.1:1"), http_client_with(&roots));
            let error = client.list_tables().send().await.unwrap_err();
            assert!(format!("{error:?}").contains("refused"), "{error:?}");
        }
    }

    #[test]
    fn the_roots_are_amazons_unless_something_else_is_served_or_wanted() {
        let of = |region: &str, elsewhere: &[&str]| Roots::chosen(region, elsewhere, None).unwrap();
        for region in ["us-east-1", "eu-central-2", "us-gov-west-1", "il-central-1"] {
            assert_eq!(of(region, &[]), Roots::Amazon, "{region}");
        }
        for region in ["cn-north-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1"] {
            assert_eq!(of(region, &[]), Roots::System, "{region}");
        }
        assert_eq!(of("us-east-1", &["http://127.0.0.1:4566"]), Roots::Amazon, "no certificates at all");
        assert_eq!(of("us-east-1", &["http://127.0.0.1:4566", "https://sqs.example"]), Roots::System);
    }

    #[test]
    fn a_file_of_roots_goes_before_everything_and_is_looked_at() {
        let of = |file: &str| Roots::chosen("cn-north-1", &["https://sqs.example"], Some(file));
        let known = concat!(env!("CARGO_MANIFEST_DIR"), "/src/roots/amazon-root-ca-1.pem");
        assert_eq!(of(known).unwrap(), Roots::File(AMAZON_ROOTS[0].to_vec()));
        for file in ["/nowhere", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            let error = of(file).unwrap_err().to_string();
            assert_eq!(error, "the environment variable AWS_CA_BUNDLE is not a file of certificates in PEM");
        }
    }
}
