//! Request, response and error bodies as they travel, shared by server and client (api.md 5 to 7).

pub mod base64;
pub mod outgoing;
pub mod reply;
pub mod request;
pub mod response;
pub mod scan;
pub mod write;
