//! The function `sweep`, as a Lambda function.

use function::{AnyEvent, Error, Function};
use sweep::Sweep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("sweep")?;
    let sweep = Sweep::new(function.store());
    let handler = move |_: AnyEvent, deadline| {
        let sweep = sweep.clone();
        async move { Ok(sweep.run(Sweep::last_start(deadline)).await?.check()?) }
    };
    function.handle(handler).await
}
