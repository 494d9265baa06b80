//! Deserializing the answer to a `BatchGetItem`: rows by their keys, which is most of what is read.
//!
//! The SDK reads an answer by asking what comes next at each of its letters, and took two fifths of a list of jobs. Here serde does it,
//! into the same types. Everything else stays the SDK's: signing, sending, repeating, and the reading of errors. A test holds what is
//! read to what the SDK reads.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Capacity, ConsumedCapacity, KeysAndAttributes};
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

/// An SDK interceptor that has the answers to `BatchGetItem` deserialized here.
#[derive(Debug)]
pub(crate) struct ReadsRows;

impl Intercept for ReadsRows {
    fn name(&self) -> &'static str {
        "ReadsRows"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().status().is_success() {
            config.interceptor_state().store_put(SharedResponseDeserializer::new(Rows));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Rows;

impl DeserializeResponse for Rows {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _config: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        // Of an answer that could not be read and was asked for again, the SDK asks here whatever the second one is.
        if !response.status().is_success() {
            return Err(OrchestratorError::other("an error after an answer that could not be read"));
        }
        let read = read(response.body().bytes().unwrap_or_default());
        read.map(Output::erase).map_err(|error| OrchestratorError::other(Unreadable(error)))
    }
}

/// The error for an answer that is not as the database writes it. The answer holds a client's data, so it is not shown.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot be read at line {}, column {}", .0.line(), .0.column())]
struct Unreadable(serde_json::Error);

fn read(body: &[u8]) -> Result<BatchGetItemOutput, serde_json::Error> {
    let Answer { responses, unprocessed, consumed } = serde_json::from_slice(body)?;
    let mut keys = HashMap::with_capacity(unprocessed.len());
    for (table, rest) in unprocessed {
        let rest = KeysAndAttributes::builder()
            .set_keys(Some(rest.keys.into_iter().map(|key| key.0).collect()))
            .set_consistent_read(rest.consistent_read)
            .build();
        keys.insert(table, rest.map_err(serde_json::Error::custom)?);
    }
    let responses = responses.into_iter().map(|(table, rows)| (table, rows.into_iter().map(|row| row.0).collect()));
    Ok(BatchGetItemOutput::builder()
        .set_responses(Some(responses.collect()))
        .set_unprocessed_keys(Some(keys))
        .set_consumed_capacity(Some(consumed.into_iter().map(ConsumedCapacity::from).collect()))
        .build())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    responses: HashMap<String, Vec<Row>>,
    #[serde(default, rename = "UnprocessedKeys")]
    unprocessed: HashMap<String, Rest>,
    #[serde(default, rename = "ConsumedCapacity")]
    consumed: Vec<Consumed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rest {
    keys: Vec<Row>,
    consistent_read: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Consumed {
    table_name: Option<String>,
    capacity_units: Option<f64>,
    table: Option<Units>,
    #[serde(default)]
    global_secondary_indexes: HashMap<String, Units>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Units {
    capacity_units: Option<f64>,
}

impl From<Units> for Capacity {
    fn from(units: Units) -> Self {
        Self::builder().set_capacity_units(units.capacity_units).build()
    }
}

impl From<Consumed> for ConsumedCapacity {
    fn from(consumed: Consumed) -> Self {
        let Consumed { table_name, capacity_units, table, global_secondary_indexes } = consumed;
        let indexes = global_secondary_indexes.into_iter().map(|(name, units)| (name, units.into()));
        let indexes: HashMap<_, _> = indexes.collect();
        Self::builder()
            .set_table_name(table_name)
            .set_capacity_units(capacity_units)
            .set_table(table.map(Capacity::from))
            .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
            .build()
    }
}

/// Attributes by their names.
struct Row(HashMap<String, AttributeValue>);

impl<'json> Deserialize<'json> for Row {
    fn deserialize<Source: Deserializer<'json>>(source: Source) -> Result<Self, Source::Error> {
        struct Attributes;

        impl<'json> Visitor<'json> for Attributes {
            type Value = Row;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a row")
            }

            fn visit_map<Access: MapAccess<'json>>(self, mut map: Access) -> Result<Row, Access::Error> {
                /// As many as most rows have, so that few are moved to a larger map.
                const ATTRIBUTES: usize = 14;
                let mut row = HashMap::with_capacity(ATTRIBUTES);
                while let Some((name, Attribute(value))) = map.next_entry()? {
                    row.insert(name, value);
                }
                Ok(Row(row))
            }
        }

        source.deserialize_map(Attributes)
    }
}

struct Attribute(AttributeValue);

/// The kinds of values, as the database calls them.
#[derive(Deserialize)]
#[serde(variant_identifier)]
enum Kind {
    S,
    N,
    B,
    #[serde(rename = "BOOL")]
    Bool,
    #[serde(rename = "NULL")]
    Null,
    #[serde(rename = "SS")]
    Ss,
    #[serde(rename = "NS")]
    Ns,
    #[serde(rename = "BS")]
    Bs,
    L,
    M,
}

impl<'json> Deserialize<'json> for Attribute {
    fn deserialize<Source: Deserializer<'json>>(source: Source) -> Result<Self, Source::Error> {
        struct Tagged;

        impl<'json> Visitor<'json> for Tagged {
            type Value = Attribute;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value under its kind")
            }

            fn visit_map<Access: MapAccess<'json>>(self, mut map: Access) -> Result<Attribute, Access::Error> {
                let kind = map.next_key()?.ok_or_else(|| Access::Error::custom("a value without a kind"))?;
                let value = match kind {
                    Kind::S => AttributeValue::S(map.next_value()?),
                    Kind::N => AttributeValue::N(map.next_value()?),
                    Kind::B => AttributeValue::B(map.next_value::<Bytes>()?.0),
                    Kind::Bool => AttributeValue::Bool(map.next_value()?),
                    Kind::Null => AttributeValue::Null(map.next_value()?),
                    Kind::Ss => AttributeValue::Ss(map.next_value()?),
                    Kind::Ns => AttributeValue::Ns(map.next_value()?),
                    Kind::Bs => {
                        AttributeValue::Bs(map.next_value::<Vec<Bytes>>()?.into_iter().map(|bytes| bytes.0).collect())
                    }
                    Kind::L => {
                        AttributeValue::L(map.next_value::<Vec<Self::Value>>()?.into_iter().map(|one| one.0).collect())
                    }
                    Kind::M => AttributeValue::M(map.next_value::<Row>()?.0),
                };
                match map.next_key::<Kind>()? {
                    None => Ok(Attribute(value)),
                    Some(_) => Err(Access::Error::custom("a value under two kinds")),
                }
            }
        }

        source.deserialize_map(Tagged)
    }
}

/// Bytes as base64.
struct Bytes(Blob);

impl<'json> Deserialize<'json> for Bytes {
    fn deserialize<Source: Deserializer<'json>>(source: Source) -> Result<Self, Source::Error> {
        struct Encoded;

        impl Visitor<'_> for Encoded {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("base64")
            }

            fn visit_str<Failure: serde::de::Error>(self, text: &str) -> Result<Bytes, Failure> {
                STANDARD.decode(text).map(|bytes| Bytes(Blob::new(bytes))).map_err(|_| Failure::custom("no base64"))
            }
        }

        source.deserialize_str(Encoded)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
    use serde_json::json;

    use super::*;
    use crate::answering::listening;
    use crate::clients;
    use crate::error::StoreError;

    async fn asked(status: u16, body: &str, reads_rows: bool) -> Result<BatchGetItemOutput, StoreError> {
        let (aws, _) = listening([(status, body)]).await;
        let client = clients::dynamodb(&aws, clients::http_client());
        let request = client.batch_get_item().return_consumed_capacity(ReturnConsumedCapacity::Indexes).customize();
        let request = if reads_rows { request.interceptor(ReadsRows) } else { request };
        request.send().await.map_err(|error| StoreError::of("BatchGetItem", &error))
    }

    #[tokio::test]
    async fn an_answer_is_read_as_the_sdk_reads_it() {
        let row = json!({
            "pk": {"S": "acme#\u{0} \" \\ \u{1f36c} /"},
            "number": {"N": "-12345678901234567890.5"},
            "binary": {"B": "AAEC/w=="},
            "empty": {"B": ""},
            "yes": {"BOOL": true},
            "nothing": {"NULL": true},
            "texts": {"SS": ["a", "b"]},
            "numbers": {"NS": ["1", "2"]},
            "binaries": {"BS": ["AA==", ""]},
            "list": {"L": [{"S": "x"}, {"M": {"a": {"L": []}}}]},
            "map": {"M": {"a": {"N": "1"}, "b": {"M": {}}}},
        });
        let consumed = json!([
            {"TableName": "one", "CapacityUnits": 10.5, "Table": {"CapacityUnits": 10}, "GlobalSecondaryIndexes": {"by": {"CapacityUnits": 0.5}}},
            {"TableName": "two", "CapacityUnits": 1.0},
        ]);
        let unprocessed = json!({"one": {"Keys": [{"pk": {"S": "x"}}, {"pk": {"S": "y"}}], "ConsistentRead": true}});
        for answer in [
            json!({"Responses": {"one": [row, {}], "two": []}, "UnprocessedKeys": unprocessed, "ConsumedCapacity": consumed}),
            json!({"Responses": {"one": [row]}, "UnprocessedKeys": {}}),
            json!({"Responses": {}, "UnprocessedKeys": {}, "ConsumedCapacity": [], "SomethingNew": [1, {"a": null}]}),
        ] {
            let [ours, theirs] = [true, false].map(|reads_rows| {
                let answer = answer.to_string();
                async move { asked(200, &answer, reads_rows).await.unwrap() }
            });
            let (ours, theirs) = (ours.await, theirs.await);
            assert_eq!(ours.responses, theirs.responses, "{answer}");
            assert_eq!(ours.unprocessed_keys, theirs.unprocessed_keys, "{answer}");
            assert_eq!(ours.consumed_capacity(), theirs.consumed_capacity(), "{answer}");
        }
    }

    #[tokio::test]
    async fn an_error_is_read_by_the_sdk_and_nonsense_is_not_shown() {
        let refusal =
            json!({"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "no table"});
        for reads_rows in [true, false] {
            let error = asked(400, &refusal.to_string(), reads_rows).await.unwrap_err().to_string();
            assert!(error.contains("ResourceNotFoundException"), "{error}");
        }
        for nonsense in
            [r#"{"Responses":{"one":[{"pk":{"S":"secret","N":"1"}}]}}"#, r#"{"Responses":["secret"]}"#, "secret"]
        {
            let error = format!("{:?}", asked(200, nonsense, true).await.unwrap_err());
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
