mod code_deploy;
mod definition;
mod family;
mod pin;
mod schedules;
fn main() {}
