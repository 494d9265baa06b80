//! Many jobs, large jobs, many clients and more than one account.

mod accounts;
mod airports;
mod crowd;
mod large;
mod slots;
