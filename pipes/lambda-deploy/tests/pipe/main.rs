//! The binary against the local AWS, and against scripts of answers where no local AWS shows what AWS does.

mod aftermath;
mod artifact;
mod bad_input;
mod canary;
mod code_deploy;
mod deploy;
mod drop_in;
mod image;
mod layer;
mod package;
mod race;
mod refused;
mod several;
mod smoke;
mod step;
mod waiting;
