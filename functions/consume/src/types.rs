//! The types that a chunk's items name, with schemas compiled once per container.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use domain::account::AccountId;
use domain::decide::Types;
use domain::types::{Schema, TypeKey};
use futures_util::future::try_join_all;
use store::{Store, StoreError};

/// Compiled schemas by account and type. An entry is used only while the type's stored schema is the same text.
#[derive(Debug, Default)]
pub struct SchemaCache(Mutex<HashMap<(AccountId, TypeKey), Schema>>);

/// Schemas kept at the most. A container that serves more types than this compiles some again.
const SCHEMAS_KEPT: usize = 512;

impl SchemaCache {
    fn find(&self, account: &AccountId, key: &TypeKey, text: &str) -> Option<Schema> {
        let schemas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        schemas.get(&(account.clone(), key.clone())).filter(|schema| schema.as_str() == text).cloned()
    }

    fn keep(&self, account: &AccountId, key: &TypeKey, schema: &Schema) {
        let mut schemas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if schemas.len() >= SCHEMAS_KEPT {
            schemas.clear();
        }
        schemas.insert((account.clone(), key.clone()), schema.clone());
    }
}

/// Reads the types of one chunk, each once: what the chunk is judged by does not change under it.
pub(crate) struct TypeLoader<'consumer> {
    store: &'consumer Store,
    schemas: &'consumer SchemaCache,
    account: &'consumer AccountId,
    asked: HashSet<TypeKey>,
    pub(crate) types: Types,
}

impl<'consumer> TypeLoader<'consumer> {
    pub(crate) fn new(store: &'consumer Store, schemas: &'consumer SchemaCache, account: &'consumer AccountId) -> Self {
        Self { store, schemas, account, asked: HashSet::new(), types: Types::default() }
    }

    /// Sees to it that the object types among `keys` are there, if they are defined.
    pub(crate) async fn load_objects(&mut self, keys: impl IntoIterator<Item = &TypeKey>) -> Result<(), StoreError> {
        let wanted: Vec<_> = keys.into_iter().filter(|key| self.asked.insert((*key).clone())).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        for stored in self.store.stored_object_types(self.account, wanted).await? {
            let object_type = if let Some(schema) = self.schemas.find(self.account, &stored.key, &stored.schema) {
                stored.with_schema(schema)?
            } else {
                let compiled = stored.compile()?;
                self.schemas.keep(self.account, &stored.key, &compiled.schema);
                compiled
            };
            self.types.objects.insert(stored.key, object_type);
        }
        Ok(())
    }

    /// Sees to it that the relationship types among `keys` are there, if they are defined.
    pub(crate) async fn load_relationships(
        &mut self,
        keys: impl IntoIterator<Item = &TypeKey>,
    ) -> Result<(), StoreError> {
        let wanted: HashSet<_> = keys.into_iter().collect();
        let found = wanted.into_iter().map(|key| self.store.relationship_type(self.account, key));
        for relationship_type in try_join_all(found).await?.into_iter().flatten() {
            self.types.relationships.insert(relationship_type.key.clone(), relationship_type);
        }
        Ok(())
    }
}
