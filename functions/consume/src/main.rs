//! The function `consume`, as a Lambda function.

use consume::Consumer;
use function::{Error, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("consume")?;
    let consumer = Consumer::new(function.store(), function.queue_when_needed()?);
    let handler = move |event, deadline| {
        let consumer = consumer.clone();
        async move { Ok(consumer.handle_apart(event, deadline).await) }
    };
    function.handle(handler).await
}
