//! The interface as C programs see it: the symbols of the libraries, and the header, against the Rust functions.

#[path = "../common/mod.rs"]
mod common;
mod layout;
mod prototypes;

use common::{PACKAGE, archive, compiler, lacks_cpp, library, source, symbols};
use lab::harness::Result;
use lab::harness::libtest_mimic::{self, Arguments, Completion, Trial};
use prototypes::{Names, Prototype, functions, pointer_type};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let trial = |name: &str, body: fn() -> Result<Completion>| {
        Trial::ignorable_test(name, move || body().map_err(Into::into))
    };
    let trials = vec![
        trial(
            "the_shared_library_exports_the_list_and_nothing_else",
            exported_by_the_shared_library,
        ),
        trial(
            "the_static_library_exports_the_list_and_nothing_else",
            exported_by_the_static_library,
        ),
        trial("the_header_declares_the_list", declared),
        trial("the_header_declares_what_rust_defines", declared_as_defined),
        trial("the_layout_is_as_programs_were_compiled", || {
            laid_out(false)
        }),
        trial("the_layout_is_the_same_in_cpp", laid_out_in_cpp),
        trial("one_file_cannot_use_both_interfaces", not_both),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn has_nm() -> bool {
    let mut nm = archive::tool("nm");
    !nm.arg("--version")
        .output()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn no_nm() -> Completion {
    Completion::ignored_with("there is no nm here: apt-get install binutils")
}

fn exported_by_the_shared_library() -> Result<Completion> {
    if !has_nm() {
        return Ok(no_nm());
    }
    assert_eq!(archive::exported(&library("so")?)?, symbols());
    Ok(Completion::Completed)
}

/// As it is installed.
fn exported_by_the_static_library() -> Result<Completion> {
    if !has_nm() {
        return Ok(no_nm());
    }
    let folder = tempfile::tempdir()?;
    let (object, packed) = (
        folder.path().join("soccr.o"),
        folder.path().join("libsoccr.a"),
    );
    archive::pack(&library("a")?, &symbols(), &object, &packed)?;
    assert_eq!(archive::exported(&packed)?, symbols());
    Ok(Completion::Completed)
}

/// The functions of one header, as the compiler sees them.
fn header(name: &str) -> Result<BTreeMap<String, Prototype>> {
    let header = format!("{PACKAGE}/include/{name}");
    let text = archive::run(compiler(false).args(["-E", "-P", "-x", "c", &header]))?;
    Ok(functions(&text, &Names::new()))
}

fn declared() -> Result<Completion> {
    let names = |header: BTreeMap<String, Prototype>| header.into_keys().collect::<BTreeSet<_>>();
    let (today, staged) = (names(header("soccr.h")?), names(header("soccr-staged.h")?));
    assert_eq!(&today | &staged, symbols());
    let both: Vec<_> = today.intersection(&staged).collect();
    assert_eq!(
        both,
        [
            "libsoccr_pause",
            "libsoccr_release",
            "libsoccr_resume",
            "libsoccr_set_log"
        ]
    );
    Ok(Completion::Completed)
}

/// What the library defines for C, and the types that are in it. Not `client`, which declares what it calls of others.
const DEFINED_IN: [&str; 6] = ["abi", "address", "data", "handle", "log", "staged"];

/// The functions that C would have to declare for those of Rust.
fn defined() -> Result<BTreeMap<String, Prototype>> {
    let mut builder = cbindgen::Builder::new()
        .with_language(cbindgen::Language::C)
        .with_style(cbindgen::Style::Tag)
        .with_documentation(false)
        .with_no_includes()
        .include_item("LogFn");
    for module in DEFINED_IN {
        builder = builder.with_src(format!("{PACKAGE}/src/{module}.rs"));
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);
    let text = String::from_utf8(text)?;
    let name = |rust: &str, c: &str| (rust.to_owned(), c.to_owned());
    let mut names = Names::from([
        name("Handle", "libsoccr_sk"),
        name("SkData", "libsoccr_sk_data"),
        name("Address", "libsoccr_addr"),
    ]);
    // A pointer to a function can be none only in an option, which is that pointer.
    let log = pointer_type(&text, "LogFn", &names).ok_or("cbindgen says nothing of LogFn")?;
    names.insert("Option_LogFn".to_owned(), log);
    Ok(functions(&text, &names))
}

fn declared_as_defined() -> Result<Completion> {
    let defined = defined()?;
    let mut declared = header("soccr.h")?;
    declared.extend(header("soccr-staged.h")?);
    assert_eq!(defined.len(), symbols().len());
    for (name, defined) in defined {
        assert_eq!(
            declared.get(&name),
            Some(&defined),
            "{name} in the header, and as Rust defines it"
        );
    }
    Ok(Completion::Completed)
}

/// Compiles the assertions, for both interfaces.
fn laid_out(cpp: bool) -> Result<Completion> {
    let (language, standard) = if cpp {
        ("c++", "-std=c++11")
    } else {
        ("c", "-std=gnu11")
    };
    for interface in ["-USOCCR_STAGED_API", "-DSOCCR_STAGED_API"] {
        let mut compiler = compiler(cpp);
        compiler.args(["-fsyntax-only", standard, interface, "-x", language]);
        archive::run(compiler.arg(source("layout.c")))?;
    }
    Ok(Completion::Completed)
}

fn laid_out_in_cpp() -> Result<Completion> {
    match lacks_cpp() {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => laid_out(true),
    }
}

fn not_both() -> Result<Completion> {
    let compile = |first: &str, second: &str| {
        let mut compiler: Command = compiler(false);
        compiler.args([
            "-fsyntax-only",
            "-include",
            first,
            "-include",
            second,
            "-x",
            "c",
        ]);
        archive::run(compiler.arg("/dev/null"))
    };
    let refused = compile("soccr.h", "soccr-staged.h").err().ok_or("it can")?;
    assert!(
        refused.to_string().contains("only one of the two"),
        "{refused}"
    );
    compile("soccr-staged.h", "soccr.h")?;
    Ok(Completion::Completed)
}
