//! The function `status`, as a Lambda function.

use function::{Error, Function};
use status::{Status, pages, routes, routes_of_accept};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("status")?;
    let routes = routes(Status::new(function.store())).merge(routes_of_accept());
    function.answer_behind(routes, pages::in_front_of).await
}
