mod definition;
mod pin;
mod prune;
mod schedules;
fn main() {}
