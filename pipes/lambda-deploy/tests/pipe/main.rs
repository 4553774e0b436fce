//! The binary against the local AWS, and against scripts of answers where no local AWS shows what AWS does.

mod bad_input;
mod canary;
mod deploy;
mod drop_in;
mod race;
mod refused;
mod several;
mod smoke;
mod step;
mod waiting;
