//! The function `records`, as a Lambda function.

use function::{Error, Function};
use records::{Records, routes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("records")?;
    let records = Records::new(function.store());
    function.answer(routes(records)).await
}
