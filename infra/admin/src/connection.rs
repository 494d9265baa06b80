//! Connection to a stack's tables: where they are, and with whose credentials they are reached.

use std::time::Duration;

use access::{Operator, OperatorError};
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use domain::clock::Clock;
use store::clients::{AwsSettings, Roots, http_client_with};
use store::tables::TableNames;
use store::{Store, StoreError};

use crate::failure::{Failure, with_causes};
use crate::values;

/// The stack that is worked on.
#[derive(Args, Debug)]
#[command(next_help_heading = "Where")]
pub(crate) struct Place {
    /// The stack, whose catalog table is called STACK-catalog
    #[arg(long, global = true, value_name = "NAME", default_value = "sundial")]
    #[arg(value_parser = NonEmptyStringValueParser::new(), conflicts_with = "catalog_table")]
    pub(crate) stack: String,
    /// The catalog table, when it is not called after the stack
    #[arg(long, global = true, value_name = "NAME", env = "TABLE_CATALOG")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) catalog_table: Option<String>,
    /// The region; `AWS_REGION` or the profile's when it is not given
    #[arg(long, global = true, value_name = "REGION", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration; `AWS_PROFILE` or `default` when it is not given
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) profile: Option<String>,
    /// Where DynamoDB is served, when it is not on AWS: a local run, or an emulator
    ///
    /// Credentials are then those of --profile or of the environment, or else made up.
    #[arg(long, global = true, value_name = "URL", env = "AWS_ENDPOINT_URL_DYNAMODB", value_parser = values::endpoint)]
    pub(crate) endpoint_url: Option<String>,
}

/// A connection to one stack, with the operator's rights on it.
pub(crate) struct Connection {
    pub(crate) operator: Operator,
    pub(crate) store: Store,
    table: String,
    place: String,
}

impl Place {
    pub(crate) fn table(&self) -> String {
        self.catalog_table.clone().unwrap_or_else(|| TableNames::with_prefix(&self.stack).catalog)
    }

    /// Finds the region and the credentials, and makes the client. The database is not called yet.
    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let config = self.loader().load().await;
        let region = config.region().cloned().ok_or(Failure::NoRegion)?;
        // Once, and not again by the client: behind it may be a sign-on, another role or another program.
        let credentials = credentials(&config).await?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(10))
            .operation_timeout(Duration::from_secs(30))
            .build();
        let mut client =
            aws_sdk_dynamodb::config::Builder::from(&config).credentials_provider(credentials).timeout_config(timeouts);
        if let Some(endpoint) = &self.endpoint_url {
            client = client.endpoint_url(endpoint);
        }
        // The other tables are called after the catalog's, and only asked by what counts records.
        let catalog = self.table();
        let prefix = catalog.strip_suffix("-catalog").unwrap_or(&self.stack);
        let tables = TableNames { catalog: catalog.clone(), ..TableNames::with_prefix(prefix) };
        let store = Store::new(Client::from_conf(client.build()), tables, Clock::system());
        let place = self.endpoint_url.as_ref().map_or_else(|| format!("in {region}"), |url| format!("at {url}"));
        Ok(Connection { operator: Operator::new(store.clone()), store, table: catalog, place })
    }

    fn loader(&self) -> ConfigLoader {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client_with(&Roots::System));
        let region = self.region.clone().map(Region::new);
        match (&self.profile, &self.endpoint_url) {
            (Some(profile), _) => loader = loader.profile_name(profile),
            // Nobody looks for an instance's credentials, which takes seconds, to talk to an emulator.
            (None, Some(endpoint)) => {
                let nobodys = AwsSettings::emulator(endpoint);
                let environment = EnvironmentVariableCredentialsProvider::new();
                let environment = CredentialsProviderChain::first_try("Environment", environment);
                loader = loader.credentials_provider(environment.or_else("Emulator", nobodys.credentials));
                let region = RegionProviderChain::first_try(region)
                    .or_else(EnvironmentVariableRegionProvider::new())
                    .or_else(Region::new(nobodys.region));
                return loader.region(region);
            }
            (None, None) => {}
        }
        match region {
            Some(region) => loader.region(region),
            None => loader,
        }
    }
}

async fn credentials(config: &SdkConfig) -> Result<Credentials, Failure> {
    let missing = || Failure::NoCredentials("nobody provides them".to_owned());
    let provider = config.credentials_provider().ok_or_else(missing)?;
    provider.provide_credentials().await.map_err(|error| Failure::NoCredentials(with_causes(&error)))
}

impl Connection {
    /// Adds to the failure of a missing table what may be wrong.
    pub(crate) fn explained(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Operator(OperatorError::Store(StoreError::Refused { reason, .. }))
                if reason.starts_with("ResourceNotFoundException") =>
            {
                Failure::NoTable { table: self.table.clone(), place: self.place.clone() }
            }
            other => other,
        }
    }
}
