//! The binary against the local AWS, and against scripts of answers where no local AWS shows what AWS does.

mod drop_in;
mod step;
