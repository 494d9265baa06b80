//! The function `accept`, as a Lambda function.

use accept::{Accept, routes};
use function::{Error, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("accept")?;
    let accept = Accept::new(function.store(), function.queue()?);
    function.answer(routes(accept)).await
}
