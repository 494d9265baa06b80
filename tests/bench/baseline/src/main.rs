//! What one would do without this service, on Lambda's runtime: what `tests/bench/invoke` holds the functions against.
//!
//! `{"put": 1000, "from": 0}` writes so many small records to the table `TABLE_RECORDS`, one `PutItem` after the other;
//! `{"parse": "/a/file"}` reads a file into a `serde_json::Value`.

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};
use store::clients::{self, AwsSettings};
use store::tables::TableNames;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let aws = AwsSettings::from_environment()?;
    let client = clients::dynamodb(&aws, clients::http_client_with(&aws.roots));
    let (client, table) = (&client, &TableNames::from_environment()?.records);
    run(service_fn(async |event: LambdaEvent<Value>| {
        if let Some(path) = event.payload["parse"].as_str() {
            let parsed: Value = serde_json::from_slice(&std::fs::read(path)?)?;
            return Ok::<_, Error>(json!({"is_object": parsed.is_object()}));
        }
        let number = |name: &str| event.payload[name].as_u64().unwrap_or_default();
        let count = number("put");
        for at in number("from")..number("from") + count {
            put(client, table, at).await?;
        }
        Ok(json!({"put": count}))
    }))
    .await
}

async fn put(client: &aws_sdk_dynamodb::Client, table: &str, number: u64) -> Result<(), Error> {
    let text = |text: String| AttributeValue::S(text);
    client
        .put_item()
        .table_name(table)
        .item("pk", text(format!("baseline#{number:032x}")))
        .item("type", text("product".to_owned()))
        .item("type_shard", text(format!("baseline#product#{}", number % 8)))
        .item("listed_at", text(format!("{number:032}")))
        .item("external_id", text(format!("sku-{number:06}")))
        .item("attributes", text(format!(r#"{{"name":"Gum {number:06}","price":1.5,"note":"sugar free"}}"#)))
        .item("version", AttributeValue::N("1".to_owned()))
        .condition_expression("attribute_not_exists(pk)")
        .send()
        .await?;
    Ok(())
}
