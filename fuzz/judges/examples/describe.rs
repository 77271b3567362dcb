//! Says what an input of a fuzz target is, where that is read by `arbitrary`:
//! `cargo run -p judges --example describe -- staged fuzz/seeds/staged/honest-v6`

use judges::TARGETS;
use std::error::Error;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [target, path] = &arguments[..] else {
        return Err("say which target, and which file".into());
    };
    let target = TARGETS.iter().find(|it| it.name == *target);
    let describe = target.and_then(|it| it.describe);
    let describe = describe.ok_or("a target whose inputs are its own format")?;
    println!("{}", describe(&fs::read(path)?));
    Ok(())
}
