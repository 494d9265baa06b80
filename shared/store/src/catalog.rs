//! Definitions of object types and relationship types.

mod deletion;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem, Update};
use domain::account::AccountId;
use domain::limits;
use domain::time::Timestamp;
use domain::types::{
    Cardinality, DeletionMark, EndType, Indexes, ObjectTypeDefinition, RelationshipType, Schema, TypeKey,
};

pub use self::deletion::Deleted;
use crate::attributes::{Attributes, Reader, binary, broken, millis, number, row_key, text};
use crate::database::built;
use crate::keys::TypeKind;
use crate::transaction::Transacted;
use crate::{Catalog, StoreError, keys};

/// How often the replacement of a schema with indexes is begun anew because somebody else was faster.
const REPLACEMENTS: usize = 8;

/// The outcome of defining a type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Defined {
    Done,
    /// Nothing was written: the account has a type with this key, in whatever case.
    KeyTaken,
    /// Nothing was written: the account has as many types of this kind as it may.
    TooMany,
    /// Nothing was written: an object type that a relationship type names was deleted a moment ago.
    EndMissing,
}

impl Catalog {
    /// The secret that this deployment signs cursors with, 32 bytes. The first call of all makes it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cursor_secret(&self) -> Result<[u8; 32], StoreError> {
        let key = row_key(keys::deployment(), keys::cursor_secret());
        if let Some(row) = self.database.read_row(&self.database.tables.catalog, key.clone()).await? {
            return secret_of(&row);
        }
        let put = self
            .database
            .client
            .put_item()
            .table_name(&self.database.tables.catalog)
            .set_item(Some(key.clone()))
            .item("secret", binary(self.database.clock.random::<32>().to_vec()))
            // Closes the race between two that find none: the first one's secret is everybody's.
            .condition_expression("attribute_not_exists(pk)");
        self.database.put_if(put).await?;
        let row = self.database.read_row(&self.database.tables.catalog, key).await?;
        secret_of(&row.ok_or_else(|| broken("secret"))?)
    }

    /// Defines an object type, unless its key is taken or the account has as many types as it may.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn define_object_type(
        &self,
        account: &AccountId,
        object_type: &ObjectTypeDefinition,
    ) -> Result<Defined, StoreError> {
        let mut row = Attributes::from([
            ("key".to_owned(), text(object_type.key.as_str())),
            ("schema".to_owned(), text(&object_type.schema)),
            ("version".to_owned(), number(object_type.version)),
            ("created_at".to_owned(), millis(object_type.created_at)),
            ("updated_at".to_owned(), millis(object_type.updated_at)),
        ]);
        if !object_type.indexes.is_empty() {
            row.insert("x_indexes".to_owned(), text(object_type.indexes.to_text()));
            row.insert("x_filled".to_owned(), text(object_type.filled.to_text()));
        }
        self.define(account, TypeKind::Object, &object_type.key, row, &[]).await
    }

    /// Defines a relationship type, as [`define_object_type`](Self::define_object_type) does; its object types have to
    /// exist.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn define_relationship_type(
        &self,
        account: &AccountId,
        relationship_type: &RelationshipType,
    ) -> Result<Defined, StoreError> {
        let cardinality = relationship_type.cardinality;
        let row = Attributes::from([
            ("key".to_owned(), text(relationship_type.key.as_str())),
            ("source".to_owned(), text(relationship_type.source.to_string())),
            ("target".to_owned(), text(relationship_type.target.to_string())),
            ("many_sources".to_owned(), AttributeValue::Bool(cardinality.many_sources())),
            ("many".to_owned(), AttributeValue::Bool(cardinality.many_targets())),
            ("created_at".to_owned(), millis(relationship_type.created_at)),
        ]);
        let mut ends = Vec::new();
        for end in [&relationship_type.source, &relationship_type.target] {
            // A transaction may name a row only once.
            if let EndType::Object(key) = end
                && !ends.contains(&key)
            {
                ends.push(key);
            }
        }
        self.define(account, TypeKind::Relationship, &relationship_type.key, row, &ends).await
    }

    async fn define(
        &self,
        account: &AccountId,
        kind: TypeKind,
        key: &TypeKey,
        row: Attributes,
        named: &[&TypeKey],
    ) -> Result<Defined, StoreError> {
        let put = Put::builder()
            .table_name(&self.database.tables.catalog)
            .set_item(Some(row))
            .item("pk", text(keys::account(account)))
            .item("sk", text(keys::type_row(kind, key)))
            // Closes the race between two definitions of one key.
            .condition_expression("attribute_not_exists(pk)");
        let count = self
            .count_types(account, kind, 1)
            // Closes the race between two definitions for the last place: the limit is exact.
            .condition_expression("attribute_not_exists(#count) OR #count < :most")
            .expression_attribute_values(":most", number(limits::TYPES_PER_ACCOUNT));
        let mut writes = vec![
            TransactWriteItem::builder().put(built(put.build())?).build(),
            TransactWriteItem::builder().update(built(count.build())?).build(),
        ];
        for named in named {
            let check = ConditionCheck::builder()
                .table_name(&self.database.tables.catalog)
                .set_key(Some(type_key(account, TypeKind::Object, named)))
                // Closes the race with the deletion of an object type that this one names.
                .condition_expression("attribute_exists(pk)");
            writes.push(TransactWriteItem::builder().condition_check(built(check.build())?).build());
        }
        Ok(match self.database.transact(writes).await? {
            Transacted::Done => Defined::Done,
            Transacted::Refused(failed) => match failed.iter().position(|failed| *failed) {
                Some(0) => Defined::KeyTaken,
                Some(1) => Defined::TooMany,
                _ => Defined::EndMissing,
            },
        })
    }

    fn count_types(
        &self,
        account: &AccountId,
        kind: TypeKind,
        change: i8,
    ) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        let name = match kind {
            TypeKind::Object => "object_types",
            TypeKind::Relationship => "relationship_types",
        };
        Update::builder()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(type_counts_key(account)))
            .update_expression("ADD #count :change, revision :one")
            .expression_attribute_names("#count", name)
            .expression_attribute_values(":change", AttributeValue::N(change.to_string()))
            .expression_attribute_values(":one", number(1_u64))
    }

    /// Replaces the schema of an object type and answers with the type as it then is; `None` when it does not exist.
    /// Indexes that the type did not have in the same place are noted as to be filled.
    ///
    /// # Errors
    /// When the outcome is not known, or others change the type again and again.
    pub async fn replace_schema(
        &self,
        account: &AccountId,
        key: &TypeKey,
        schema: &Schema,
        now: Timestamp,
    ) -> Result<Option<ObjectTypeDefinition>, StoreError> {
        let update = || {
            self.database
                .client
                .update_item()
                .table_name(&self.database.tables.catalog)
                .set_key(Some(type_key(account, TypeKind::Object, key)))
                .expression_attribute_names("#schema", "schema")
                .expression_attribute_values(":schema", text(schema.as_str()))
                .expression_attribute_values(":now", millis(now))
                .expression_attribute_values(":one", number(1_u64))
        };
        let wanted = schema.indexes();
        if wanted.is_empty() {
            let update = update()
                .update_expression(
                    "SET #schema = :schema, updated_at = :now REMOVE x_indexes, x_filled ADD version :one",
                )
                // Closes the race with a delete: an update must not bring the type back.
                .condition_expression("attribute_exists(pk)");
            return self.database.update_if(update).await?.map(|row| object_type_from_row(&row)).transpose();
        }
        for _ in 0..REPLACEMENTS {
            let Some(there) = self.object_type(account, key).await? else { return Ok(None) };
            let filled = there.filled.kept_by(wanted);
            if filled != *wanted {
                // First: a note too many is taken away by who finds nothing to fill, one too few would leave an index empty for ever.
                self.note_filling(account, key, there.version + 1, now).await?;
            }
            let update = update()
                .update_expression(
                    "SET #schema = :schema, updated_at = :now, x_indexes = :indexes, x_filled = :filled ADD version :one",
                )
                // Closes the race with another replacement, which may have other indexes, and with a delete.
                .condition_expression("version = :version")
                .expression_attribute_values(":indexes", text(wanted.to_text()))
                .expression_attribute_values(":filled", text(filled.to_text()))
                .expression_attribute_values(":version", number(there.version));
            if let Some(row) = self.database.update_if(update).await? {
                return Ok(Some(object_type_from_row(&row)?));
            }
        }
        let reason = "others changed the type each time".to_owned();
        Err(StoreError::Unavailable { call: "UpdateItem", reason })
    }

    /// The revision of the account's types: it changes with each type that is defined or deleted. What was read of the
    /// types after it holds while it stays the same.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn types_revision(&self, account: &AccountId) -> Result<u64, StoreError> {
        let row = self.database.read_row(&self.database.tables.catalog, type_counts_key(account)).await?;
        Ok(row.map_or(Ok(None), |row| Reader(&row).optional_number("revision"))?.unwrap_or(0))
    }

    /// Reads the definition of an object type, its schema not compiled; `None` when it is not defined.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn object_type(
        &self,
        account: &AccountId,
        key: &TypeKey,
    ) -> Result<Option<ObjectTypeDefinition>, StoreError> {
        let row =
            self.database.read_row(&self.database.tables.catalog, type_key(account, TypeKind::Object, key)).await?;
        row.map(|row| object_type_from_row(&row)).transpose()
    }

    /// Reads the definition of a relationship type; `None` when it is not defined.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn relationship_type(
        &self,
        account: &AccountId,
        key: &TypeKey,
    ) -> Result<Option<RelationshipType>, StoreError> {
        let row = self
            .database
            .read_row(&self.database.tables.catalog, type_key(account, TypeKind::Relationship, key))
            .await?;
        row.map(|row| relationship_type_from_row(&row)).transpose()
    }

    /// Reads object types by their keys, without compiling their schemas; types that are not defined are missing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn named_object_types(
        &self,
        account: &AccountId,
        keys: impl IntoIterator<Item = &TypeKey>,
    ) -> Result<Vec<ObjectTypeDefinition>, StoreError> {
        let keys = keys.into_iter().map(|key| type_key(account, TypeKind::Object, key)).collect();
        let rows = self.database.read_rows(&self.database.tables.catalog, keys).await?;
        rows.iter().map(object_type_from_row).collect()
    }

    /// Lists every object type of the account, oldest first: at most 50.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn object_types(&self, account: &AccountId) -> Result<Vec<ObjectTypeDefinition>, StoreError> {
        let rows = self.type_rows(account, TypeKind::Object).await?;
        let mut types = rows.iter().map(object_type_from_row).collect::<Result<Vec<_>, _>>()?;
        types.sort_by(|left, right| (left.created_at, left.key.folded()).cmp(&(right.created_at, right.key.folded())));
        Ok(types)
    }

    /// Lists every relationship type of the account, oldest first: at most 50.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn relationship_types(&self, account: &AccountId) -> Result<Vec<RelationshipType>, StoreError> {
        let rows = self.type_rows(account, TypeKind::Relationship).await?;
        let mut types = rows.iter().map(relationship_type_from_row).collect::<Result<Vec<_>, _>>()?;
        types.sort_by(|left, right| (left.created_at, left.key.folded()).cmp(&(right.created_at, right.key.folded())));
        Ok(types)
    }

    async fn type_rows(&self, account: &AccountId, kind: TypeKind) -> Result<Vec<Attributes>, StoreError> {
        let table = &self.database.tables.catalog;
        self.database.rows_that_begin(table, &keys::account(account), &keys::types_prefix(kind)).await
    }
}

pub(crate) fn type_key(account: &AccountId, kind: TypeKind, key: &TypeKey) -> Attributes {
    row_key(keys::account(account), keys::type_row(kind, key))
}

pub(crate) fn type_counts_key(account: &AccountId) -> Attributes {
    row_key(keys::account(account), keys::type_counts())
}

fn object_type_from_row(row: &Attributes) -> Result<ObjectTypeDefinition, StoreError> {
    let reader = Reader(row);
    Ok(ObjectTypeDefinition {
        key: TypeKey::parse(reader.text("key")?).map_err(|_| broken("key"))?,
        schema: reader.text("schema")?.to_owned(),
        version: reader.number("version")?,
        created_at: reader.millis("created_at")?,
        updated_at: reader.millis("updated_at")?,
        deletion: deletion_of(&reader)?,
        indexes: indexes_of(&reader, "x_indexes")?,
        filled: indexes_of(&reader, "x_filled")?,
    })
}

fn indexes_of(reader: &Reader<'_>, name: &'static str) -> Result<Indexes, StoreError> {
    match reader.optional_text(name)? {
        None => Ok(Indexes::default()),
        Some(text) => Indexes::of_text(text).ok_or_else(|| broken(name)),
    }
}

fn deletion_of(reader: &Reader<'_>) -> Result<Option<DeletionMark>, StoreError> {
    Ok(reader.optional_text("deletion")?.map(|text| DeletionMark::kept(text.to_owned())))
}

/// Compiles a schema that was stored.
///
/// # Errors
/// When it does not compile, as a schema stored before a stricter bound was set may not.
pub fn compiled(schema: &str) -> Result<Schema, StoreError> {
    let schema = serde_json::from_str(schema).map_err(|_| broken("schema"))?;
    Schema::parse(&schema).map_err(|_| broken("schema"))
}

fn relationship_type_from_row(row: &Attributes) -> Result<RelationshipType, StoreError> {
    let reader = Reader(row);
    let end = |name| EndType::parse(name, reader.text(name)?).map_err(|_| broken(name));
    let said = |name| matches!(row.get(name), Some(AttributeValue::Bool(true)));
    Ok(RelationshipType {
        key: TypeKey::parse(reader.text("key")?).map_err(|_| broken("key"))?,
        source: end("source")?,
        target: end("target")?,
        cardinality: Cardinality::of(said("many_sources"), said("many")),
        created_at: reader.millis("created_at")?,
        deletion: deletion_of(&reader)?,
    })
}

fn secret_of(row: &Attributes) -> Result<[u8; 32], StoreError> {
    let secret = Reader(row).optional_binary("secret")?.and_then(|secret| secret.try_into().ok());
    secret.ok_or_else(|| broken("secret"))
}
