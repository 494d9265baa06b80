//! The three tables: their names, and how a local database or a test makes them. On AWS the template makes them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType,
    TableDescription, TimeToLiveSpecification, TimeToLiveStatus,
};

use domain::types::indexes::SLOTS;

use crate::StoreError;
use crate::settings::{SettingError, required};

/// Names of the three tables of a deployment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableNames {
    pub jobs: String,
    pub records: String,
    pub catalog: String,
}

impl TableNames {
    /// Names the tables `{prefix}-jobs`, `{prefix}-records` and `{prefix}-catalog`.
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
/// Index of relationship records by account, type, source and shard.
pub const BY_SOURCE: &str = "by_source";
/// Index of relationship records by account, type, target and shard.
pub const BY_TARGET: &str = "by_target";

/// Indexes of records by account, type, shard and the value of an indexed attribute, one index for each slot.
pub const BY_SLOT: [&str; SLOTS] = ["by_x1", "by_x2", "by_x3", "by_x4", "by_x5"];
/// Index of records by account, type, shard and last update, where their type has it.
pub const BY_UPDATE: &str = "by_update";

/// The attribute that holds a record's entry in each of [`BY_SLOT`].
pub(crate) const SLOT_ENTRIES: [&str; SLOTS] = ["x1", "x2", "x3", "x4", "x5"];
/// The attribute that holds a record's entry in [`BY_UPDATE`].
pub(crate) const UPDATE_ENTRY: &str = "x_updated";

/// Name and key attributes of an index. Only keys are projected: rows are read from the table, where a read can be
/// consistent, and a write that leaves the keys alone costs nothing in the index.
type Index = (&'static str, [&'static str; 2]);

/// An index that is needed only by types whose schema asks for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TypeIndex {
    pub name: &'static str,
    /// The name of its partition key.
    pub partition: &'static str,
    /// The name of its sort key.
    pub entry: &'static str,
}

/// Lists the indexes that types ask for: one for each slot, and that of the last update.
pub fn type_indexes() -> impl Iterator<Item = TypeIndex> {
    let slots = BY_SLOT.into_iter().zip(SLOT_ENTRIES);
    slots.chain([(BY_UPDATE, UPDATE_ENTRY)]).map(|(name, entry)| TypeIndex { name, partition: "type_shard", entry })
}

struct Definition<'name> {
    name: &'name str,
    key: &'static [&'static str],
    indexes: Vec<Index>,
}

/// Makes the tables that are not there yet, with their indexes and TTL.
///
/// # Errors
/// When the database refuses or cannot be reached.
pub async fn create_missing(client: &Client, names: &TableNames) -> Result<(), StoreError> {
    create_all(client, names, type_indexes().map(|index| (index.name, [index.partition, index.entry]))).await
}

/// Makes the missing tables without the indexes that types ask for: these have to be made before such a type is
/// written.
///
/// # Errors
/// When the database refuses or cannot be reached.
pub async fn create_missing_but_type_indexes(client: &Client, names: &TableNames) -> Result<(), StoreError> {
    create_all(client, names, std::iter::empty()).await
}

async fn create_all(
    client: &Client,
    names: &TableNames,
    type_indexes: impl Iterator<Item = Index>,
) -> Result<(), StoreError> {
    let indexes = [
        (BY_TYPE, ["type_shard", "listed_at"]),
        (BY_SOURCE, ["source_shard", "listed_at"]),
        (BY_TARGET, ["target_shard", "listed_at"]),
    ];
    let definitions = [
        Definition { name: &names.jobs, key: &["pk", "sk"], indexes: vec![(BY_STATUS, ["status_key", "sk"])] },
        Definition { name: &names.records, key: &["pk"], indexes: indexes.into_iter().chain(type_indexes).collect() },
        Definition { name: &names.catalog, key: &["pk", "sk"], indexes: Vec::new() },
    ];
    for definition in definitions {
        create(client, &definition).await?;
    }
    Ok(())
}

async fn create(client: &Client, definition: &Definition<'_>) -> Result<(), StoreError> {
    let mut request = client
        .create_table()
        .table_name(definition.name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(definition.key)?));
    for (name, key) in &definition.indexes {
        let index = GlobalSecondaryIndex::builder()
            .index_name(*name)
            .set_key_schema(Some(key_schema(key)?))
            .projection(keys_only())
            .build()
            .map_err(|error| refused(&error))?;
        request = request.global_secondary_indexes(index);
    }
    request = request.set_attribute_definitions(Some(attributes_of(definition)?));
    match request.send().await {
        Ok(_) => {}
        Err(error) if error.code() == Some("ResourceInUseException") => add_indexes(client, definition).await?,
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

/// Adds the indexes that a table of an earlier release does not have. Rows that have no key of theirs are not in them.
async fn add_indexes(client: &Client, definition: &Definition<'_>) -> Result<(), StoreError> {
    let answer = client
        .describe_table()
        .table_name(definition.name)
        .send()
        .await
        .map_err(|error| StoreError::of("DescribeTable", &error))?;
    let there = answer.table().map(TableDescription::global_secondary_indexes).unwrap_or_default();
    let is_missing =
        |(name, _): &&Index| !there.iter().any(|index| index.index_name().is_some_and(|there| there == *name));
    // One at a time, as the API has it.
    for (name, key) in definition.indexes.iter().filter(is_missing) {
        let index = CreateGlobalSecondaryIndexAction::builder()
            .index_name(*name)
            .set_key_schema(Some(key_schema(key)?))
            .projection(keys_only())
            .build()
            .map_err(|error| refused(&error))?;
        client
            .update_table()
            .table_name(definition.name)
            .set_attribute_definitions(Some(attributes_of(definition)?))
            .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(index).build())
            .send()
            .await
            .map_err(|error| StoreError::of("UpdateTable", &error))?;
    }
    Ok(())
}

fn keys_only() -> Projection {
    Projection::builder().projection_type(ProjectionType::KeysOnly).build()
}

/// Every attribute that a key of the table or of an index has, each once. All are text.
fn attributes_of(definition: &Definition<'_>) -> Result<Vec<AttributeDefinition>, StoreError> {
    let mut names: Vec<&str> = definition.key.to_vec();
    for name in definition.indexes.iter().flat_map(|(_, key)| key) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .map_err(|error| refused(&error))
    };
    names.into_iter().map(attribute).collect()
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
