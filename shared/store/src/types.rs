//! Loading of the types that items name, with schemas compiled once per container.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::account::AccountId;
use domain::job::Operation;
use domain::plan::decide::Types;
use domain::types::{DeletionMark, ObjectTypeDefinition, RelationshipType, Schema, TypeKey};
use futures_util::future::try_join_all;

use crate::catalog::compiled;
use crate::{Catalog, StoreError};

/// Compiled schemas by account and type. An entry is used only while the type's stored schema is the same text.
#[derive(Debug, Default)]
pub struct SchemaCache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    schemas: HashMap<(AccountId, TypeKey), Schema>,
    /// What they take together: see [`Schema::bytes`].
    bytes: usize,
}

/// Bytes of compiled schemas that are kept at the most, as [`Schema::bytes`] estimates them: more than a thousand of half a
/// kilobyte, or eighty with three patterns each. A container that serves more compiles some again.
const BYTES_KEPT: usize = 64 * 1024 * 1024;

impl SchemaCache {
    fn find(&self, account: &AccountId, key: &TypeKey, text: &str) -> Option<Schema> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.schemas.get(&(account.clone(), key.clone())).filter(|schema| schema.as_str() == text).cloned()
    }

    fn keep(&self, account: &AccountId, key: &TypeKey, schema: &Schema) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + schema.bytes() > BYTES_KEPT {
            *kept = Kept::default();
        }
        kept.bytes += schema.bytes();
        if let Some(before) = kept.schemas.insert((account.clone(), key.clone()), schema.clone()) {
            kept.bytes -= before.bytes();
        }
    }
}

/// A loader of the types of one chunk or one request: each is read once, so it does not change while items are judged
/// by it.
///
/// Where records are to be made of a type that is being deleted, loading it waits for the end of the deletion.
#[derive(Debug)]
pub struct TypeLoader<'function> {
    catalog: &'function Catalog,
    schemas: &'function SchemaCache,
    account: &'function AccountId,
    asked: HashSet<TypeKey>,
    types: Types,
    makes: bool,
}

/// How long a deletion of a type is waited for: the usual one takes three seconds.
const DELETION_PATIENCE: Duration = Duration::from_secs(6);

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

impl<'function> TypeLoader<'function> {
    /// Makes a loader for the types of `account`, which takes compiled schemas from `schemas` where they are there.
    #[must_use]
    pub fn new(
        catalog: &'function Catalog,
        schemas: &'function SchemaCache,
        account: &'function AccountId,
        operation: Operation,
    ) -> Self {
        let makes = operation.may_make();
        Self { catalog, schemas, account, asked: HashSet::new(), types: Types::default(), makes }
    }

    /// Reads until none of the types is being deleted.
    async fn settled<Type, Reading>(
        &self,
        read: impl Fn() -> Reading,
        deletion: impl Fn(&Type) -> Option<&DeletionMark>,
    ) -> Result<Vec<Type>, StoreError>
    where
        Reading: Future<Output = Result<Vec<Type>, StoreError>>,
    {
        let since = Instant::now();
        loop {
            let types = read().await?;
            let now = self.catalog.clock().now();
            let is_going = |found: &Type| deletion(found).is_some_and(|mark| mark.is_in_force(now));
            if !self.makes || !types.iter().any(is_going) {
                return Ok(types);
            }
            if since.elapsed() >= DELETION_PATIENCE {
                let reason = "a type is being deleted".to_owned();
                return Err(StoreError::Unavailable { call: "BatchGetItem", reason });
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// The types that were loaded so far.
    #[must_use]
    pub const fn types(&self) -> &Types {
        &self.types
    }

    /// Loads the object types among `keys` that are defined and not loaded yet.
    ///
    /// # Errors
    /// When the database does not answer, or a stored schema cannot be read.
    pub async fn load_objects(&mut self, keys: impl IntoIterator<Item = &TypeKey>) -> Result<(), StoreError> {
        let wanted: Vec<_> = keys.into_iter().filter(|key| self.asked.insert((*key).clone())).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let read = || self.catalog.named_object_types(self.account, wanted.iter().copied());
        for defined in self.settled(read, |defined: &ObjectTypeDefinition| defined.deletion.as_ref()).await? {
            let schema = if let Some(schema) = self.schemas.find(self.account, &defined.key, &defined.schema) {
                schema
            } else {
                let schema = compiled(&defined.schema)?;
                self.schemas.keep(self.account, &defined.key, &schema);
                schema
            };
            let object_type = defined.with(schema);
            self.types.objects.insert(defined.key, object_type);
        }
        Ok(())
    }

    /// Loads the relationship types among `keys` that are defined.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load_relationships(&mut self, keys: impl IntoIterator<Item = &TypeKey>) -> Result<(), StoreError> {
        let wanted: HashSet<_> = keys.into_iter().collect();
        let read = async || {
            let found = wanted.iter().map(|key| self.catalog.relationship_type(self.account, key));
            Ok(try_join_all(found).await?.into_iter().flatten().collect())
        };
        for relationship_type in self.settled(read, |defined: &RelationshipType| defined.deletion.as_ref()).await? {
            self.types.relationships.insert(relationship_type.key.clone(), relationship_type);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_of_schemas_is_bounded_in_bytes_and_a_changed_schema_is_not_found() {
        let cache = SchemaCache::default();
        let account = AccountId::parse("acme").unwrap();
        let key = |number: usize| TypeKey::parse(&format!("type{number}")).unwrap();
        let large = |title: usize| {
            let title = format!("{title:030000}");
            Schema::parse(&json!({"title": title, "properties": {"a": {"type": "string"}}})).unwrap()
        };
        for number in 0..100 {
            let schema = large(number);
            cache.keep(&account, &key(number), &schema);
            cache.keep(&account, &key(number), &schema);
            assert!(cache.find(&account, &key(number), schema.as_str()).is_some());
            assert!(cache.find(&account, &key(number), "{}").is_none());
            let kept = cache.0.lock().unwrap();
            assert_eq!(kept.bytes, kept.schemas.values().map(Schema::bytes).sum::<usize>());
            assert!(kept.bytes <= BYTES_KEPT);
        }
        assert!(cache.find(&account, &key(0), large(0).as_str()).is_none(), "it had to make room");
    }
}
