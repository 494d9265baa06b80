//! Conditional writes of single rows.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemOutput;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemOutput;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity, ReturnValue};

use crate::StoreError;
use crate::attributes::Attributes;
use crate::database::Database;
use crate::error::is_condition_failure;

impl Database {
    /// Puts a row if its condition holds. Answers whether it did.
    pub(crate) async fn put_if(&self, put: PutItemFluentBuilder) -> Result<bool, StoreError> {
        let answer = put.return_consumed_capacity(ReturnConsumedCapacity::Indexes).send().await;
        Ok(self.held("PutItem", answer, PutItemOutput::consumed_capacity)?.is_some())
    }

    /// Deletes a row if its condition holds. Answers whether it did.
    pub(crate) async fn delete_if(&self, delete: DeleteItemFluentBuilder) -> Result<bool, StoreError> {
        let answer = delete.return_consumed_capacity(ReturnConsumedCapacity::Indexes).send().await;
        Ok(self.held("DeleteItem", answer, DeleteItemOutput::consumed_capacity)?.is_some())
    }

    /// Updates a row if its condition holds, and answers with the whole row after it; `None` when the condition does
    /// not hold.
    pub(crate) async fn update_if(&self, update: UpdateItemFluentBuilder) -> Result<Option<Attributes>, StoreError> {
        let update =
            update.return_values(ReturnValue::AllNew).return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        let answer = self.held("UpdateItem", update.send().await, UpdateItemOutput::consumed_capacity)?;
        Ok(answer.map(|answer| answer.attributes.unwrap_or_default()))
    }

    /// The answer to a write whose condition held; `None` when it did not. Either is counted.
    fn held<Answer, Error, Raw>(
        &self,
        call: &'static str,
        answer: Result<Answer, SdkError<Error, Raw>>,
        consumed: impl Fn(&Answer) -> Option<&ConsumedCapacity>,
    ) -> Result<Option<Answer>, StoreError>
    where
        Error: ProvideErrorMetadata + std::error::Error + 'static,
        Raw: std::fmt::Debug,
    {
        match answer {
            Ok(answer) => {
                self.meter.count_write(consumed(&answer));
                Ok(Some(answer))
            }
            Err(error) if is_condition_failure(&error) => {
                self.meter.count_write(None);
                Ok(None)
            }
            Err(error) => Err(StoreError::of(call, &error)),
        }
    }
}
