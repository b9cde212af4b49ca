//! How deep the tests go: few cases by default, and as many as the environment says.

#![allow(dead_code, unreachable_pub)]

/// The number that the environment has under this name, or the default. A bad value ends the test.
#[track_caller]
pub fn knob(name: &str, default: u32) -> u32 {
    let value = std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    read(name, value.as_deref(), default).unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// Reads what the environment has under a name, if anything.
pub fn read(name: &str, value: Option<&str>, default: u32) -> Result<u32, String> {
    let Some(value) = value else {
        return Ok(default);
    };
    match value.parse() {
        Ok(0) | Err(_) => Err(format!("{name} must be a number from 1 to {}, and is \"{value}\"", u32::MAX)),
        Ok(number) => Ok(number),
    }
}
