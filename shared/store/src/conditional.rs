//! Single writes on a condition.

use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};

use crate::attributes::Attributes;
use crate::error::is_condition_failure;
use crate::{Store, StoreError};

impl Store {
    /// Puts a row if its condition holds. Answers whether it did.
    pub(crate) async fn put_if(&self, put: PutItemFluentBuilder) -> Result<bool, StoreError> {
        match put.return_consumed_capacity(ReturnConsumedCapacity::Indexes).send().await {
            Ok(answer) => {
                self.meter.count_write(answer.consumed_capacity());
                Ok(true)
            }
            Err(error) if is_condition_failure(&error) => {
                self.meter.count_write(None);
                Ok(false)
            }
            Err(error) => Err(StoreError::of("PutItem", &error)),
        }
    }

    /// Deletes a row if its condition holds. Answers whether it did.
    pub(crate) async fn delete_if(&self, delete: DeleteItemFluentBuilder) -> Result<bool, StoreError> {
        match delete.return_consumed_capacity(ReturnConsumedCapacity::Indexes).send().await {
            Ok(answer) => {
                self.meter.count_write(answer.consumed_capacity());
                Ok(true)
            }
            Err(error) if is_condition_failure(&error) => {
                self.meter.count_write(None);
                Ok(false)
            }
            Err(error) => Err(StoreError::of("DeleteItem", &error)),
        }
    }

    /// Updates a row if its condition holds, and answers with the row as it then stands. `None` when it does not hold.
    pub(crate) async fn update_if(&self, update: UpdateItemFluentBuilder) -> Result<Option<Attributes>, StoreError> {
        let update =
            update.return_values(ReturnValue::AllNew).return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        match update.send().await {
            Ok(answer) => {
                self.meter.count_write(answer.consumed_capacity());
                Ok(Some(answer.attributes.unwrap_or_default()))
            }
            Err(error) if is_condition_failure(&error) => {
                self.meter.count_write(None);
                Ok(None)
            }
            Err(error) => Err(StoreError::of("UpdateItem", &error)),
        }
    }
}
