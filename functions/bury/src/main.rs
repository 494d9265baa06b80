//! The function `bury`, as a Lambda function.

use bury::Bury;
use function::{Error, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("bury")?;
    let bury = Bury::new(function.store(), function.queue_when_needed()?);
    let handler = move |event, deadline| {
        let bury = bury.clone();
        async move { Ok(bury.handle(event, deadline).await) }
    };
    function.handle(handler).await
}
