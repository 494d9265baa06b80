//! The three tables: their names, and how a local database or a test makes them. On AWS the template makes them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TimeToLiveSpecification, TimeToLiveStatus,
};

use crate::StoreError;
use crate::settings::{SettingError, required};

/// What the tables are called in this deployment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableNames {
    pub jobs: String,
    pub records: String,
    pub catalog: String,
}

impl TableNames {
    /// `{prefix}-jobs`, `{prefix}-records` and `{prefix}-catalog`.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        Self {
            jobs: format!("{prefix}-jobs"),
            records: format!("{prefix}-records"),
            catalog: format!("{prefix}-catalog"),
        }
    }

    /// Reads `TABLE_JOBS`, `TABLE_RECORDS` and `TABLE_CATALOG`.
    ///
    /// # Errors
    /// When one is missing; the error names it.
    pub fn from_environment() -> Result<Self, SettingError> {
        Ok(Self {
            jobs: required("TABLE_JOBS")?,
            records: required("TABLE_RECORDS")?,
            catalog: required("TABLE_CATALOG")?,
        })
    }
}

/// Index of jobs by account and status.
pub const BY_STATUS: &str = "by_status";
/// Index of records by account, type and shard.
pub const BY_TYPE: &str = "by_type";

struct Definition<'name> {
    name: &'name str,
    key: &'static [&'static str],
    /// Name of the index and its two key attributes. Only keys are projected: rows are read from the table, where a
    /// read can be consistent, and a write that leaves the keys alone costs nothing in the index.
    index: Option<(&'static str, [&'static str; 2])>,
}

/// Makes the tables that are not there yet, with their indexes and TTL.
///
/// # Errors
/// When the database refuses or cannot be reached.
pub async fn create_missing(client: &Client, names: &TableNames) -> Result<(), StoreError> {
    let definitions = [
        Definition { name: &names.jobs, key: &["pk", "sk"], index: Some((BY_STATUS, ["status_key", "sk"])) },
        Definition { name: &names.records, key: &["pk"], index: Some((BY_TYPE, ["type_shard", "listed_at"])) },
        Definition { name: &names.catalog, key: &["pk", "sk"], index: None },
    ];
    for definition in definitions {
        create(client, &definition).await?;
    }
    Ok(())
}

async fn create(client: &Client, definition: &Definition<'_>) -> Result<(), StoreError> {
    let mut attributes: Vec<&str> = definition.key.to_vec();
    let mut request = client
        .create_table()
        .table_name(definition.name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(definition.key)?));
    if let Some((name, key)) = definition.index {
        attributes.extend(key.iter().filter(|attribute| !definition.key.contains(attribute)));
        let index = GlobalSecondaryIndex::builder()
            .index_name(name)
            .set_key_schema(Some(key_schema(&key)?))
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
            .build()
            .map_err(|error| refused(&error))?;
        request = request.global_secondary_indexes(index);
    }
    for attribute in attributes {
        let attribute = AttributeDefinition::builder()
            .attribute_name(attribute)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .map_err(|error| refused(&error))?;
        request = request.attribute_definitions(attribute);
    }
    match request.send().await {
        Ok(_) => {}
        Err(error) if error.code() == Some("ResourceInUseException") => {}
        Err(error) => return Err(StoreError::of("CreateTable", &error)),
    }
    if !expires_already(client, definition.name).await? {
        let time_to_live = TimeToLiveSpecification::builder()
            .attribute_name("expires_at")
            .enabled(true)
            .build()
            .map_err(|error| refused(&error))?;
        client
            .update_time_to_live()
            .table_name(definition.name)
            .time_to_live_specification(time_to_live)
            .send()
            .await
            .map_err(|error| StoreError::of("UpdateTimeToLive", &error))?;
    }
    Ok(())
}

/// A process may have died between making the table and this.
async fn expires_already(client: &Client, table: &str) -> Result<bool, StoreError> {
    let answer = client
        .describe_time_to_live()
        .table_name(table)
        .send()
        .await
        .map_err(|error| StoreError::of("DescribeTimeToLive", &error))?;
    let status = answer.time_to_live_description().and_then(|description| description.time_to_live_status());
    Ok(matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)))
}

fn key_schema(attributes: &[&str]) -> Result<Vec<KeySchemaElement>, StoreError> {
    attributes
        .iter()
        .zip([KeyType::Hash, KeyType::Range])
        .map(|(attribute, key_type)| {
            KeySchemaElement::builder()
                .attribute_name(*attribute)
                .key_type(key_type)
                .build()
                .map_err(|error| refused(&error))
        })
        .collect()
}

fn refused(error: &aws_sdk_dynamodb::error::BuildError) -> StoreError {
    StoreError::Refused { call: "CreateTable", reason: error.to_string() }
}
