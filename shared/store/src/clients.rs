//! SDK clients, built once per process.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use domain::timing;

use crate::settings::{SettingError, required};

/// Where AWS is, and who is calling. Inside Lambda all of it comes from the environment: no provider chain is asked.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    pub region: String,
    pub credentials: Credentials,
    /// Another address for DynamoDB: a local emulator.
    pub dynamodb_endpoint: Option<String>,
    /// Another address for SQS: a local emulator.
    pub sqs_endpoint: Option<String>,
}

impl AwsSettings {
    /// Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, and the endpoints
    /// `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL_SQS` and `AWS_ENDPOINT_URL`, as the SDKs do.
    ///
    /// # Errors
    /// When the region or a credential is missing; the error names the variable.
    pub fn from_environment() -> Result<Self, SettingError> {
        let everywhere = std::env::var("AWS_ENDPOINT_URL").ok();
        let endpoint = |name: &str| std::env::var(name).ok().or_else(|| everywhere.clone());
        Ok(Self {
            region: required("AWS_REGION")?,
            credentials: Credentials::new(
                required("AWS_ACCESS_KEY_ID")?,
                required("AWS_SECRET_ACCESS_KEY")?,
                std::env::var("AWS_SESSION_TOKEN").ok(),
                None,
                "environment",
            ),
            dynamodb_endpoint: endpoint("AWS_ENDPOINT_URL_DYNAMODB"),
            sqs_endpoint: endpoint("AWS_ENDPOINT_URL_SQS"),
        })
    }

    /// For an emulator at `endpoint` that does not look at credentials.
    #[must_use]
    pub fn emulator(endpoint: &str) -> Self {
        Self {
            region: "us-east-1".to_owned(),
            credentials: Credentials::new("local", "local", None, None, "emulator"),
            dynamodb_endpoint: Some(endpoint.to_owned()),
            sqs_endpoint: Some(endpoint.to_owned()),
        }
    }
}

/// One HTTPS client that every SDK client of the process shares.
#[must_use]
pub fn http_client() -> SharedHttpClient {
    // ring, because the default provider spends tens of milliseconds of CPU at its first handshake.
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
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
