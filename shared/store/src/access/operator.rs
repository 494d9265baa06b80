//! The operator's writes: the only ones of accounts, users and tokens. No function is allowed these calls.

mod accounts;
mod tokens;
mod users;

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};

pub use self::accounts::AccountChange;
pub use self::tokens::ListedToken;
pub use self::users::{PasswordSet, UserChange};
use crate::attributes::Attributes;
use crate::database::built;
use crate::transaction::Transacted;
use crate::{AccessRows, StoreError};

/// The outcome of creating an account, a user or a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Created {
    Done,
    /// Nothing was written: one with this key exists already.
    Taken,
    /// Nothing was written: the account or the user that it would belong to does not exist.
    NoOwner,
}

/// Changes of one row, put together.
#[derive(Default)]
struct Changes {
    set: Vec<String>,
    remove: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Changes {
    fn set(&mut self, name: &str, value: AttributeValue) {
        self.set.push(format!("#{name} = :{name}"));
        self.names.insert(format!("#{name}"), name.to_owned());
        self.values.insert(format!(":{name}"), value);
    }

    fn remove(&mut self, name: &str) {
        self.remove.push(format!("#{name}"));
        self.names.insert(format!("#{name}"), name.to_owned());
    }

    fn expression(&self) -> String {
        let part = |verb: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{verb} {} ", parts.join(", ")),
        };
        part("SET", &self.set) + &part("REMOVE", &self.remove)
    }

    fn on(self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        update
            .update_expression(self.expression())
            .set_expression_attribute_names(Some(self.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            // Closes the race with a deletion: a change must not bring the row back.
            .condition_expression("attribute_exists(pk)")
    }
}

impl AccessRows {
    /// Puts a row that is new, beneath one that has to be there.
    async fn create_of(&self, owner: Attributes, new: Attributes) -> Result<Created, StoreError> {
        let put = Put::builder()
            .table_name(&self.database.tables.catalog)
            .set_item(Some(new))
            // Closes the race between two operators.
            .condition_expression("attribute_not_exists(pk)");
        let check = ConditionCheck::builder()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(owner))
            .condition_expression("attribute_exists(pk)");
        let writes = vec![
            TransactWriteItem::builder().put(built(put.build())?).build(),
            TransactWriteItem::builder().condition_check(built(check.build())?).build(),
        ];
        Ok(match self.database.transact(writes).await? {
            Transacted::Done => Created::Done,
            Transacted::Refused(failed) if failed.first() == Some(&true) => Created::Taken,
            Transacted::Refused(_) => Created::NoOwner,
        })
    }

    fn update_of(&self, key: Attributes) -> UpdateItemFluentBuilder {
        self.database.client.update_item().table_name(&self.database.tables.catalog).set_key(Some(key))
    }
}
